package overload

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A server with a known capacity that is overloaded, at once or after a while,
// and one that has become slower for good: the limit is found, what is admitted is
// done soon, and as much is done as can be.
func TestAdaptiveFindsTheLimit(t *testing.T) {
	t.Parallel()
	const workers, service = 16, 20 * time.Millisecond
	const capacity = float64(workers) / 0.02
	for _, tt := range []struct {
		name          string
		first, then   float64       // load, of the capacity
		before, after time.Duration // how long requests take
		change        time.Duration
		seconds       int
		goodput       float64 // of the capacity, at least, in the last 30 s
		p99           time.Duration
		most          int // the limit at the end
	}{
		{"more than it can", 0.5, 1.5, service, service, 10 * time.Second, 120, 0.97, 3 * service, 40},
		{"ten times as much", 0.5, 10, service, service, 10 * time.Second, 120, 0.97, 4 * service, 40},
		{"ten times from the start", 10, 10, service, service, 0, 120, 0.97, 5 * service, 64},
		{"no overload", 0.5, 0.8, service, service, 10 * time.Second, 60, 0.79, 2 * service, 80},
		{"slower for good", 0.6, 0.6, service / 10, service, 30 * time.Second, 900, 0.59, 4 * service, 80},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				slots := make(chan struct{}, workers)
				g := newGate(Options{Concurrency: Concurrency{Adaptive: true}, Queue: defaultQueue, QueueWait: defaultQueueWait}, Read)
				rng := rand.New(rand.NewPCG(1, 1))
				var mu sync.Mutex
				var took []time.Duration
				start := time.Now()
				end := time.Duration(tt.seconds) * time.Second
				for now := time.Duration(0); now < end; now = time.Since(start) {
					load, takes := tt.first, tt.before
					if now >= tt.change {
						load, takes = tt.then, tt.after
					}
					time.Sleep(time.Duration(rng.ExpFloat64() * float64(time.Second) / (load * capacity)))
					takes = time.Duration(float64(takes) * (0.7 + 0.6*rng.Float64()))
					go func() {
						arrived := time.Now()
						p, ok := g.tryAcquire()
						if !ok {
							var shed *Shed
							if p, shed = g.queue(t.Context()); shed != nil {
								return
							}
						}
						slots <- struct{}{}
						time.Sleep(takes)
						<-slots
						g.release(p, true)
						if at := time.Since(start); at >= end-30*time.Second && at < end {
							mu.Lock()
							defer mu.Unlock()
							took = append(took, time.Since(arrived))
						}
					}()
				}
				limit, _ := g.limiter.state()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				slices.Sort(took)
				goodput, p99 := float64(len(took))/30/capacity, took[len(took)*99/100]
				if goodput < tt.goodput || p99 > tt.p99 || limit > tt.most {
					t.Errorf("%.3f of the capacity, p99 %s, limit %d, want %g at least, %s and %d at most", goodput, p99, limit, tt.goodput, tt.p99, tt.most)
				}
			})
		})
	}
}

// A service becomes slow because of its disk, and not because of load: the latency does not depend
// on the concurrency. Some requests are shed until the limit has adapted; then none. Bursts of a
// busy host that schedules its clients only every 250 ms are all served.
func TestSlowIsNotOverload(t *testing.T) {
	t.Parallel()
	const rate, fast = 140, 3 * time.Millisecond
	for _, tt := range []struct {
		name   string
		slow   time.Duration // what each request takes from 10 s on
		share  float64       // of the requests that do
		clumps time.Duration // between clients' sends; 0: each by itself
		within time.Duration // of the change, after which none is shed
	}{
		{"hundred times slower", 300 * time.Millisecond, 1, 0, 10 * time.Second},
		{"three hundred times slower", time.Second, 1, 0, time.Minute},
		{"ten times slower", 30 * time.Millisecond, 1, 0, 0},
		{"a third of the requests", time.Second, 0.3, 0, 5 * time.Second},
		{"in clumps", 30 * time.Millisecond, 1, 250 * time.Millisecond, 0},
		{"in large clumps", 30 * time.Millisecond, 1, 800 * time.Millisecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGate(Options{Concurrency: Concurrency{Adaptive: true}, Queue: defaultQueue, QueueWait: defaultQueueWait}, Read)
				rng := rand.New(rand.NewPCG(1, 1))
				start := time.Now()
				var mu sync.Mutex
				var shedBefore, shedAfter, served int
				const change = 10 * time.Second
				for i := 0; ; i++ {
					at := time.Duration(float64(i) / rate * float64(time.Second))
					if tt.clumps > 0 {
						at = at.Truncate(tt.clumps)
					}
					if at > change+tt.within+time.Minute {
						break
					}
					time.Sleep(time.Until(start.Add(at)))
					takes := fast
					if at >= change && rng.Float64() < tt.share {
						takes = tt.slow
					}
					takes = time.Duration(float64(takes) * (0.7 + 0.6*rng.Float64()))
					go func() {
						p, ok := g.tryAcquire()
						var shed *Shed
						if !ok {
							p, shed = g.queue(t.Context())
						}
						if shed == nil {
							time.Sleep(takes)
							g.release(p, true)
						}
						mu.Lock()
						defer mu.Unlock()
						switch {
						case shed == nil:
							served++
						case at > change+tt.within || at < change:
							shedAfter++
						default:
							shedBefore++
						}
					}()
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				limit, _ := g.limiter.state()
				t.Logf("%d served, %d shed until the limit had followed, %d after that; limit %d", served, shedBefore, shedAfter, limit)
				if shedAfter > 0 {
					t.Errorf("%d were shed, want none", shedAfter)
				}
			})
		})
	}
}

// However long nothing was in flight, the latency of the burst after that is not taken for
// the unloaded one.
func TestBurstAfterIdle(t *testing.T) {
	t.Parallel()
	for _, idle := range []time.Duration{0, time.Second, 10 * time.Minute} {
		t.Run(idle.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const unloaded, overloaded, limit = 5 * time.Millisecond, 500 * time.Millisecond, 200
				l := newAdaptiveLimiter()
				l.limit = limit
				send := func(takes time.Duration) {
					if l.acquire(t.Context(), time.Minute) == nil {
						start := time.Now()
						time.Sleep(takes)
						l.release(start, true)
					}
				}
				for range 199 { // the last ones are in a window that is not over
					send(unloaded)
					time.Sleep(unloaded)
				}
				time.Sleep(idle)
				var wg sync.WaitGroup
				for range 4 * limit { // some windows: the first one has unloaded requests, too
					wg.Go(func() { send(overloaded) })
				}
				wg.Wait()
				if got := l.follower.unloaded; got != unloaded.Seconds() {
					t.Errorf("unloaded latency %g s, want %g", got, unloaded.Seconds())
				}
				if got, _ := l.state(); got >= limit {
					t.Errorf("limit %d, want less than %d", got, limit)
				}
			})
		})
	}
}

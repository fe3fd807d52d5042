package overload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/httpheader"
)

func fixed(n, queue int, wait time.Duration) Options {
	return Options{Concurrency: Concurrency{N: n}, WriteShare: 0.25, Queue: queue, QueueWait: wait}
}

func inFlight(g *gate) int {
	_, n := g.limiter.state()
	return n
}

// Queued requests are admitted in order of arrival, as soon as a slot is free.
func TestQueueIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(fixed(4, 10, time.Second), Write) // a quarter of 4: one at a time
		first, ok := g.tryAcquire()
		if !ok {
			t.Fatal("the first has to wait")
		}
		var order []int
		for i := range 5 {
			go func() {
				p, shed := g.queue(t.Context())
				if shed != nil {
					t.Error(shed)
					return
				}
				order = append(order, i) // one at a time: the gate sees to it
				time.Sleep(10 * time.Millisecond)
				g.release(p, true)
			}()
			synctest.Wait()
		}
		if n := g.waiting.Load(); n != 5 {
			t.Errorf("%d wait, want 5", n)
		}
		start := time.Now()
		g.release(first, false)
		time.Sleep(time.Second)
		synctest.Wait()
		if want := []int{0, 1, 2, 3, 4}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
		if g.waiting.Load() != 0 || inFlight(g) != 0 {
			t.Errorf("%d wait, %d in flight at the end (%s)", g.waiting.Load(), inFlight(g), time.Since(start))
		}
	})
}

// The reason for shedding a request, and its latency.
func TestQueueSheds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		queue  int
		wait   time.Duration
		served time.Duration // what a request takes, as learned so far
		ctx    func(context.Context) (context.Context, context.CancelFunc)
		want   Reason
		after  time.Duration
	}{
		{"no room", 0, time.Second, 0, nil, QueueFull, 0},
		{"it would wait too long", 10, 25 * time.Millisecond, time.Second, nil, QueueFull, 0},
		{"it has waited too long", 10, 25 * time.Millisecond, 0, nil, QueueTimeout, 250 * time.Millisecond},
		{"its deadline would pass", 10, time.Second, 100 * time.Millisecond, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		}, DeadlineExceeded, 0},
		{"its deadline has passed", 10, time.Second, 0, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		}, DeadlineExceeded, 50 * time.Millisecond},
		{"its client has left", 10, time.Second, 0, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(30*time.Millisecond, cancel)
			return ctx, cancel
		}, ClientGone, 30 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGate(fixed(4, tt.queue, tt.wait), Write)
				if tt.served > 0 {
					g.updateServiceTime(tt.served.Seconds())
				}
				p, _ := g.tryAcquire()
				ctx := t.Context()
				if tt.ctx != nil {
					var cancel context.CancelFunc
					ctx, cancel = tt.ctx(ctx)
					defer cancel()
				}
				start := time.Now()
				_, shed := g.queue(ctx)
				if shed == nil || shed.Reason != tt.want || time.Since(start) != tt.after {
					t.Errorf("refused with %v after %s, want %s after %s", shed, time.Since(start), tt.want, tt.after)
				}
				if g.waiting.Load() != 0 {
					t.Errorf("%d wait", g.waiting.Load())
				}
				g.release(p, false)
				if p, ok := g.tryAcquire(); !ok {
					t.Error("no room when all have left")
				} else {
					g.release(p, false)
				}
			})
		})
	}
}

// Each queued request sees when the queue formed, also if two enter at once: a burst has time to drain.
func TestQueueSince(t *testing.T) {
	t.Parallel()
	for range 5000 {
		g := newGate(fixed(4, 10, time.Second), Write)
		begin := make(chan struct{})
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				<-begin
				if n := g.enter(); g.queuedSince.Load() == 0 {
					t.Errorf("request %d does not see when the queue formed", n)
				}
			})
		}
		close(begin)
		both.Wait()
	}
}

// Reads that fill their share do not keep a write waiting, nor the other way round.
func TestShares(t *testing.T) {
	t.Parallel()
	for n, want := range map[int][2]int{2: {1, 1}, 4: {3, 1}, 16: {12, 4}, 100: {75, 25}} {
		c := Concurrency{N: n}
		if got := [2]int{c.share(Read, 0.25), c.share(Write, 0.25)}; got != want {
			t.Errorf("shares of %d: %v, want %v", n, got, want)
		}
	}
	control, err := New(fixed(4, 0, time.Second), nil)
	if err != nil {
		t.Fatal(err)
	}
	for { // as many reads as there may be
		if _, ok := control.gates[Read].tryAcquire(); !ok {
			break
		}
	}
	for _, class := range []Class{Write, Batch, Stream} {
		if _, ok := control.gates[class].tryAcquire(); !ok {
			t.Errorf("a %s has to wait for reads", class)
		}
	}
}

// A handler that panics gives back what it held; so does one whose client leaves.
func TestPanicReleases(t *testing.T) {
	t.Parallel()
	r, c := router(t, fixed(2, 0, time.Second), Read, func(*gin.Context) { panic("x") })
	for range 3 {
		func() {
			defer func() { _ = recover() }()
			request(t, r, "10.0.0.1:1")
		}()
	}
	if n := inFlight(c.gates[Read]); n != 0 {
		t.Errorf("%d in flight after the panics", n)
	}
}

// The deadline is the earlier one of the client's and the server's, and lasts while
// the request is in flight: no longer, and no shorter, with or without a bound.
func TestDeadline(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		limit  time.Duration
		class  Class
		header string
		want   time.Duration // 0: none
		status int
	}{
		{"the server's", 30 * time.Second, Read, "", 30 * time.Second, 200},
		{"the client's is shorter", 30 * time.Second, Read, "1500", 1500 * time.Millisecond, 200},
		{"the client's is longer", 30 * time.Second, Write, "86400000", 30 * time.Second, 200},
		{"only the client's", 0, Batch, "100", 100 * time.Millisecond, 200},
		{"none", 0, Read, "", 0, 200},
		{"of a stream none", 30 * time.Second, Stream, "", 0, 200},
		{"of a stream the client's", 30 * time.Second, Stream, "100", 100 * time.Millisecond, 200},
		{"zero", 0, Read, "0", 0, 503},
		{"negative", 0, Read, "-1", 0, 503},
		{"no number", 0, Read, "1s", 0, 503},
		{"too long", 0, Read, "86400001", 0, 503},
	} {
		for _, concurrency := range []Concurrency{{}, {N: 4}} {
			t.Run(tt.name+" "+concurrency.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var left time.Duration
					var alive error
					r, _ := router(t, Options{Concurrency: concurrency, RequestTimeout: tt.limit}, tt.class, func(c *gin.Context) {
						if d, ok := c.Request.Context().Deadline(); ok {
							left = time.Until(d)
						}
						alive = c.Request.Context().Err()
					})
					var header []string
					if tt.header != "" {
						header = []string{httpheader.Timeout, tt.header}
					}
					w := request(t, r, "10.0.0.1:1", header...)
					if w.Code != tt.status || left != tt.want || alive != nil {
						t.Errorf("%d, deadline in %s, context %v, want %d, %s", w.Code, left, alive, tt.status, tt.want)
					}
				})
			})
		}
	}
}

// A request's context is like the standard library's, whether it is used early, late
// or by a context of its own.
func TestDeadlineContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		make := func(d time.Duration) *deadlineContext {
			return &deadlineContext{Context: context.WithValue(t.Context(), key{}, "v"), deadline: time.Now().Add(d)}
		}
		early := make(time.Second)
		child, cancel := context.WithTimeout(early, time.Hour)
		defer cancel()
		if d, ok := child.Deadline(); !ok || time.Until(d) != time.Second || child.Value(key{}) != "v" {
			t.Errorf("deadline %v %v, value %v", d, ok, child.Value(key{}))
		}
		<-child.Done()
		if child.Err() != context.DeadlineExceeded || early.Err() != context.DeadlineExceeded || context.Cause(child) != context.DeadlineExceeded {
			t.Errorf("%v, %v, %v", child.Err(), early.Err(), context.Cause(child))
		}
		late := make(time.Second)
		time.Sleep(2 * time.Second)
		if late.Err() != context.DeadlineExceeded {
			t.Errorf("asked late: %v", late.Err())
		}
		ended := make(time.Hour)
		ended.end()
		if ended.Err() != context.Canceled || ended.Value(key{}) != "v" {
			t.Errorf("after the end: %v", ended.Err())
		}
		left := make(time.Hour)
		stopped := make(time.Hour)
		stopped.Context, cancel = context.WithCancel(stopped.Context)
		grandchild, stop := context.WithCancel(stopped)
		defer stop()
		cancel()
		<-grandchild.Done() // at once, through both
		if stopped.Err() != context.Canceled || left.Err() != nil {
			t.Errorf("%v, %v", stopped.Err(), left.Err())
		}
		left.end() // else its timer would outlive the test
	})
}

// Many clients at once, some of whom leave: nothing is lost, nothing is held.
func TestStress(t *testing.T) {
	t.Parallel()
	r, c := router(t, Options{Rate: 1e5, Burst: 1000, ClientRate: 1e4, ClientBurst: 100, Concurrency: Concurrency{Adaptive: true},
		Queue: 20, QueueWait: 5 * time.Millisecond, RequestTimeout: 20 * time.Millisecond}, Read, func(c *gin.Context) {
		select {
		case <-c.Request.Context().Done():
			c.Status(http.StatusServiceUnavailable)
		case <-time.After(time.Duration(rand.IntN(3)) * time.Millisecond):
			c.Status(http.StatusOK)
		}
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for i := range 64 {
		wg.Go(func() {
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rand.IntN(8))*time.Millisecond)
				req := httptest.NewRequest("GET", "/x", nil).WithContext(ctx)
				req.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", i%8)
				w := httptest.NewRecorder()
				r.ServeHTTP(w, req)
				cancel()
				mu.Lock()
				codes[w.Code]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if codes[200]+codes[503] != 6400 || codes[200] == 0 {
		t.Errorf("answers %v, want 6400 of 200 and 503", codes)
	}
	g := c.gates[Read]
	if inFlight(g) != 0 || g.waiting.Load() != 0 || g.limiter.waiters.Len() != 0 {
		t.Errorf("%d in flight, %d wait at the end", inFlight(g), g.waiting.Load())
	}
}

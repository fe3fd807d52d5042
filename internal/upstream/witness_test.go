package upstream

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A server that hangs opens its breaker also if every client leaves before -try-timeout. One
// that is only slower than clients are patient does not, however many leave.
func TestCallersLeaveEarly(t *testing.T) {
	t.Parallel()
	const patience, tryTimeout = time.Second, 3 * time.Second
	leave := map[string]func(context.Context) (context.Context, context.CancelFunc){
		"disconnect": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(patience, cancel)
			return ctx, cancel
		},
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, patience)
		},
	}
	for name, leave := range leave {
		for _, tt := range []struct {
			name      string
			takes     time.Duration
			retryable bool
			open      time.Duration // the breaker is open within this time; 0: never
		}{
			{"hangs, reads", time.Hour, true, patience + tryTimeout + time.Second},
			{"hangs, writes", time.Hour, false, patience + 10*time.Second + time.Second}, // a write has the whole -store-timeout
			{"slow", 2 * time.Second, true, 0},
			{"slow for one caller in two", patience + 50*time.Millisecond, true, 0},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var hangs atomic.Bool
					var most atomic.Int64
					hangs.Store(true)
					p := newPool(t, Options{Timeout: 10 * time.Second, AttemptTimeout: tryTimeout, Retries: 2, RetryWait: time.Second, Budget: 0.1, Breaker: true},
						func(r *http.Request) (*http.Response, error) {
							if hangs.Load() {
								return later(r, tt.takes, 200)
							}
							return later(r, time.Millisecond, 200)
						})
					s := p.servers[0]
					start := time.Now()
					opened := time.Duration(0)
					var wg sync.WaitGroup
					for time.Since(start) < 20*time.Second {
						wg.Go(func() {
							ctx, cancel := leave(t.Context())
							defer cancel()
							_, _ = p.Do(ctx, get(tt.retryable))
						})
						if most.Store(max(most.Load(), s.inFlight.Load())); opened == 0 && s.breaker.IsOpen() {
							opened = time.Since(start)
						}
						time.Sleep(50 * time.Millisecond)
					}
					if (opened == 0) != (tt.open == 0) || opened > tt.open {
						t.Errorf("open after %s, want %s (0: never)", opened, tt.open)
					}
					// Who has left is not kept, but for one.
					if limit := int64(patience/(50*time.Millisecond)) + 2; most.Load() > limit {
						t.Errorf("%d in flight at once, want %d at most", most.Load(), limit)
					}
					hangs.Store(false)
					wg.Wait()
					time.Sleep(15 * time.Second)
					for range 10 {
						if _, err := p.Do(t.Context(), get(tt.retryable)); err != nil && !errors.Is(err, ErrCircuitOpen) {
							t.Error(err)
						}
						time.Sleep(time.Second)
					}
					if !s.breaker.IsClosed() || s.inFlight.Load() != 0 || s.witnessing.Load() {
						t.Errorf("once it is succeeded: breaker %s, %d in flight, witnessing %v", s.breaker.State(), s.inFlight.Load(), s.witnessing.Load())
					}
				})
			})
		}
	}
}

// A server that hangs is found out also if hedges are always faster.
func TestHedgedHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{URLs: []string{"http://hangs:1", "http://b:1"}, Timeout: 10 * time.Second, AttemptTimeout: 3 * time.Second, Retries: 2, RetryWait: time.Second,
			Budget: 1, Breaker: true, HedgeAfter: Hedge{After: 20 * time.Millisecond}},
			func(r *http.Request) (*http.Response, error) {
				if r.URL.Host == "hangs:1" {
					return later(r, time.Hour, 200)
				}
				return later(r, 5*time.Millisecond, 200)
			})
		start := time.Now()
		for p.servers[0].breaker.IsClosed() {
			if time.Since(start) > 20*time.Second {
				t.Fatal("the breaker of the server that hangs is still closed")
			}
			if _, err := p.Do(t.Context(), get(true)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Minute) // probes end
	})
}

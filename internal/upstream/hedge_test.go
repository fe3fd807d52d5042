package upstream

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A slow read is hedged, and the first response counts.
func TestHedge(t *testing.T) {
	t.Parallel()
	for h, most := range map[string]int64{"20ms": 16, "p95": 110} {
		synctest.Test(t, func(t *testing.T) {
			var n, canceled atomic.Int64
			var after Hedge
			if err := after.Set(h); err != nil || after.String() != h {
				t.Fatalf("%s: %v", after, err)
			}
			p := newPool(t, Options{Timeout: 10 * time.Second, AttemptTimeout: 5 * time.Second, Retries: 2, RetryWait: time.Second, Budget: 0.1, Breaker: true, HedgeAfter: after},
				func(r *http.Request) (*http.Response, error) {
					// Evenly spread: by chance there would now and then be more reads above the
					// quantile, one after the other, than the budget has hedges for.
					i := n.Add(1)
					d := 5*time.Millisecond + time.Duration(i*1237%5000)*time.Microsecond
					if i > 200 && i%50 == 0 {
						d = time.Second
					}
					resp, err := later(r, d, 200)
					if err != nil {
						canceled.Add(1)
					}
					return resp, err
				})
			var longest time.Duration
			for range 1000 {
				start := time.Now()
				a, err := p.Do(t.Context(), get(true))
				if err != nil || string(a.Body) != "body" {
					t.Fatal(a, err)
				}
				longest = max(longest, time.Since(start))
			}
			synctest.Wait()
			if longest > 50*time.Millisecond || canceled.Load() < 10 || canceled.Load() > most {
				t.Errorf("%s: the longest took %s, %d were canceled", h, longest, canceled.Load())
			}
			if extra := n.Load() - 1000; extra > 1000/10+budgetBurst {
				t.Errorf("%s: %d hedges, want a tenth at most", h, extra)
			}
			if s := p.servers[0]; s.inFlight.Load() != 0 || !s.breaker.IsClosed() {
				t.Errorf("%s: %d in flight, breaker %s", h, s.inFlight.Load(), s.breaker.State())
			}
			// Writes are never hedged.
			n.Store(0)
			r := &Request{Method: http.MethodPut, Route: "/x", Path: "/x", Header: http.Header{}, Retryable: true}
			for range 300 {
				if _, err := p.Do(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			if n.Load() != 300 {
				t.Errorf("%s: 300 writes were %d", h, n.Load())
			}
		})
	}
}

// A hedge is for a slow server. A quick failure is retried as without hedges, and a failure
// beside an attempt in flight waits for that.
func TestHedgeAndFailure(t *testing.T) {
	t.Parallel()
	down := func(*http.Request) (*http.Response, error) { return nil, errRefused }
	status := func(after time.Duration, code int) network {
		return func(r *http.Request) (*http.Response, error) { return later(r, after, code) }
	}
	for _, tt := range []struct {
		name     string
		attempts []network // in order; the last one stands for all after it
		status   int       // 0: ErrUnavailable
		sent     int64
		from, to time.Duration
		spent    float64 // of the budget
	}{
		{"down", []network{down}, 0, 3, 37 * time.Millisecond, 75 * time.Millisecond, 2},
		{"its own failure", []network{status(0, 500)}, 500, 3, 37 * time.Millisecond, 75 * time.Millisecond, 2},
		{"down, then well", []network{down, status(time.Millisecond, 200)}, 200, 2, 13 * time.Millisecond, 26 * time.Millisecond, 1},
		{"first fails, hedge is well", []network{status(1500*time.Millisecond, 500), status(1200*time.Millisecond, 200)}, 200, 2, 2200 * time.Millisecond, 2200 * time.Millisecond, 1},
		{"hedge fails, first is well", []network{status(1500*time.Millisecond, 200), down}, 200, 2, 1500 * time.Millisecond, 1500 * time.Millisecond, 1},
		{"both fail, then well", []network{status(1500*time.Millisecond, 500), status(200*time.Millisecond, 500), status(0, 200)}, 200, 3, 1512 * time.Millisecond, 1525 * time.Millisecond, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int64
				p := newPool(t, Options{Timeout: 10 * time.Second, AttemptTimeout: 3 * time.Second, Retries: 2, RetryWait: time.Second, Budget: 0.1, HedgeAfter: Hedge{After: time.Second}},
					func(r *http.Request) (*http.Response, error) {
						n := int(sent.Add(1))
						return tt.attempts[min(n, len(tt.attempts))-1](r)
					})
				start := time.Now()
				a, err := p.Do(t.Context(), get(true))
				took := time.Since(start)
				if tt.status == 0 && !errors.Is(err, ErrUnavailable) || tt.status != 0 && (err != nil || a.StatusCode != tt.status) {
					t.Errorf("response %v, %v, want %d", a, err, tt.status)
				}
				if sent.Load() != tt.sent || took < tt.from || took > tt.to {
					t.Errorf("%d attempts in %s, want %d in %s to %s", sent.Load(), took, tt.sent, tt.from, tt.to)
				}
				if left := p.budget.left(); left != budgetBurst-tt.spent {
					t.Errorf("%g retries are left, want %g", left, budgetBurst-tt.spent)
				}
			})
		})
	}
}

// Hedges leave a part of the budget to retries: a server that is slow and then fails is
// still retried.
func TestHedgesLeaveRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		var down atomic.Bool
		p := newPool(t, Options{Timeout: 10 * time.Second, Retries: 2, RetryWait: time.Second, Budget: 0.01, HedgeAfter: Hedge{After: 10 * time.Millisecond}},
			func(r *http.Request) (*http.Response, error) {
				sent.Add(1)
				if down.Load() {
					return nil, errRefused
				}
				return later(r, 20*time.Millisecond, 200)
			})
		const slow = 50
		for range slow {
			if _, err := p.Do(t.Context(), get(true)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if hedges := sent.Load() - slow; hedges < hedgeReserve || hedges > hedgeReserve+1 {
			t.Errorf("%d hedges, want %d", hedges, hedgeReserve)
		}
		down.Store(true)
		for range hedgeReserve / 2 {
			if _, err := p.Do(t.Context(), get(true)); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%v, want ErrUnavailable after two retries", err)
			}
		}
	})
}

// What fails quickly does not make hedges come sooner.
func TestHedgeQuantileOfGoodReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		p := newPool(t, Options{Timeout: 10 * time.Second, Budget: 1, HedgeAfter: Hedge{Quantile: 0.95}},
			func(r *http.Request) (*http.Response, error) {
				if down.Load() {
					return nil, errRefused
				}
				return later(r, 20*time.Millisecond, 200)
			})
		for i := range 3 * hedgeBegin {
			down.Store(i >= hedgeBegin)
			_, _ = p.Do(t.Context(), get(true))
		}
		if d := time.Duration(p.latencies.now.Load()); d != 20*time.Millisecond {
			t.Errorf("hedges after %s, want 20ms", d)
		}
	})
}

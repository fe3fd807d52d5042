package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// network is what lies between a Pool and its servers: it can be made to fail.
type network func(*http.Request) (*http.Response, error)

func (n network) RoundTrip(r *http.Request) (*http.Response, error) { return n(r) }

var errRefused = errors.New("connection refused")

func noConnection(cause error) error {
	return &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: cause}}
}

func respond(r *http.Request, status int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Header: h, Body: io.NopCloser(strings.NewReader("body")), Request: r}
}

// later responds after a time, unless the request ends before.
func later(r *http.Request, d time.Duration, status int) (*http.Response, error) {
	select {
	case <-time.After(d):
		return respond(r, status), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func newPool(t testing.TB, o Options, n network) *Pool {
	t.Helper()
	if o.URLs == nil {
		o.URLs = []string{"http://a:1"}
	}
	o.Wrap = func(http.RoundTripper) http.RoundTripper { return n }
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(retryable bool) *Request {
	return &Request{Method: http.MethodGet, Route: "/x", Path: "/x", Header: http.Header{}, Retryable: retryable}
}

// The result of a call, its attempts and its duration.
func TestAttempts(t *testing.T) {
	t.Parallel()
	down := func(*http.Request) (*http.Response, error) { return nil, errRefused }
	closed := func(*http.Request) (*http.Response, error) { return nil, noConnection(syscall.ECONNREFUSED) }
	slow := func(r *http.Request) (*http.Response, error) { return later(r, time.Hour, 200) }
	status := func(code int, header ...string) network {
		return func(r *http.Request) (*http.Response, error) { return respond(r, code, header...), nil }
	}
	then := func(first, second network) network {
		var n atomic.Int64
		return func(r *http.Request) (*http.Response, error) {
			if n.Add(1) == 1 {
				return first(r)
			}
			return second(r)
		}
	}
	for _, tt := range []struct {
		name     string
		network  network
		once     bool // not retryable
		long     bool
		status   int
		err      error
		attempts int64
		from, to time.Duration // how long it takes
	}{
		{"well", status(200), false, false, 200, nil, 1, 0, 0},
		{"down, then well", then(down, status(200)), false, false, 200, nil, 2, 12 * time.Millisecond, 25 * time.Millisecond},
		{"down", down, false, false, 0, ErrUnavailable, 3, 37 * time.Millisecond, 75 * time.Millisecond},
		{"down, not retryable", down, true, false, 0, ErrUnavailable, 1, 0, 0},
		{"no connection, not retryable", closed, true, false, 0, ErrUnavailable, 3, 37 * time.Millisecond, 75 * time.Millisecond},
		{"no connection, then success, not retryable", then(closed, status(201)), true, false, 201, nil, 2, 12 * time.Millisecond, 25 * time.Millisecond},
		{"no connection, then down, not retryable", then(closed, down), true, false, 0, ErrUnavailable, 2, 12 * time.Millisecond, 25 * time.Millisecond},
		{"slow", slow, false, false, 0, ErrTimeout, 3, 3037 * time.Millisecond, 3075 * time.Millisecond},
		{"slow, no timeout per attempt", slow, false, true, 0, ErrTimeout, 1, 10 * time.Second, 10 * time.Second},
		{"slow, not retryable", slow, true, false, 0, ErrTimeout, 1, 10 * time.Second, 10 * time.Second},
		{"slow, then well", then(slow, status(201)), false, false, 201, nil, 2, 1012 * time.Millisecond, 1025 * time.Millisecond},
		{"its own failure", status(500), false, false, 500, nil, 3, 37 * time.Millisecond, 75 * time.Millisecond},
		{"a gateway's failure, then well", then(status(502), status(200)), false, false, 200, nil, 2, 12 * time.Millisecond, 25 * time.Millisecond},
		{"not found", status(404), false, false, 404, nil, 1, 0, 0},
		{"full", status(507), false, false, 507, nil, 1, 0, 0},
		{"too much, come back soon", then(status(503, "Retry-After", "0"), status(200)), false, false, 200, nil, 2, 0, 25 * time.Millisecond},
		{"too much, come back in a second", then(status(503, "Retry-After", "1"), status(200)), false, false, 200, nil, 2, time.Second, 1025 * time.Millisecond},
		{"too much, come back at a time", then(status(503, "Retry-After", "Sat, 01 Jan 2000 00:00:01 GMT"), status(200)), false, false, 200, nil, 2, time.Second, 1025 * time.Millisecond},
		{"too much, come back at a time of another clock", then(status(503, "Retry-After", "Wed, 21 Oct 2015 07:28:01 GMT", "Date", "Wed, 21 Oct 2015 07:28:00 GMT"), status(200)),
			false, false, 200, nil, 2, time.Second, 1025 * time.Millisecond},
		{"too much, come back at a time that is past", then(status(503, "Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"), status(200)), false, false, 200, nil, 2, 0, 25 * time.Millisecond},
		{"too much, come back at a time that is far", status(503, "Retry-After", "Sat, 01 Jan 2000 00:00:09 GMT"), false, false, 503, nil, 1, 0, 0},
		{"too many, come back in a minute", status(429, "Retry-After", "60"), false, false, 429, nil, 1, 0, 0},
		{"a key that is in use, come back in a second", then(status(409, "Retry-After", "1"), status(201)), false, false, 201, nil, 2, time.Second, 1025 * time.Millisecond},
		{"a conflict", status(409), false, false, 409, nil, 1, 0, 0},
		{"too much, it does not say when to come back", then(status(503), status(200)), false, false, 200, nil, 2, 12 * time.Millisecond, 25 * time.Millisecond},
		{"well, with a Retry-After that means nothing", status(200, "Retry-After", "1"), false, false, 200, nil, 1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var attempts atomic.Int64
				p := newPool(t, Options{Timeout: 10 * time.Second, AttemptTimeout: time.Second, Retries: 2, RetryWait: 2 * time.Second, Budget: 0.1},
					func(r *http.Request) (*http.Response, error) { attempts.Add(1); return tt.network(r) })
				r := get(!tt.once)
				r.NoAttemptTimeout = tt.long
				start := time.Now()
				a, err := p.Do(t.Context(), r)
				took := time.Since(start)
				if !errors.Is(err, tt.err) || err == nil && (a.StatusCode != tt.status || string(a.Body) != "body") {
					t.Errorf("response %v, %v, want %d, %v", a, err, tt.status, tt.err)
				}
				if attempts.Load() != tt.attempts || took < tt.from || took > tt.to {
					t.Errorf("%d attempts in %s, want %d in %s to %s", attempts.Load(), took, tt.attempts, tt.from, tt.to)
				}
			})
		})
	}
}

// Every attempt sends the whole body and its remaining timeout.
func TestAttemptsAreEqual(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bodies, timeouts []string
		p := newPool(t, Options{Timeout: 1500 * time.Millisecond, AttemptTimeout: time.Second, Retries: 2, RetryWait: time.Second, Budget: 1}, func(r *http.Request) (*http.Response, error) {
			b, err := io.ReadAll(r.Body)
			bodies, timeouts = append(bodies, string(b)+r.Header.Get("X")), append(timeouts, r.Header.Get("X-Request-Timeout"))
			if err != nil || len(bodies) == 2 {
				return respond(r, 200), err
			}
			return later(r, time.Hour, 200)
		})
		r := &Request{Method: http.MethodPut, Route: "/x", Path: "/x", Header: http.Header{"X": {"y"}}, Body: []byte("z"), Retryable: true}
		if _, err := p.Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(bodies) != "[zy zy]" {
			t.Errorf("sent %v", bodies)
		}
		if second, _ := strconv.Atoi(timeouts[1]); timeouts[0] != "1050" || second < 520 || second > 540 { // with the margin
			t.Errorf("X-Request-Timeout %v, want 1000 and what is left", timeouts)
		}
		if len(r.Header) != 1 {
			t.Errorf("the request's header was changed: %v", r.Header)
		}
	})
}

// Who leaves is not kept, and neither harms nor heals the server's reputation.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Timeout: 10 * time.Second, AttemptTimeout: 3 * time.Second, Retries: 2, RetryWait: time.Second, Budget: 1, Breaker: true},
			func(r *http.Request) (*http.Response, error) { return later(r, 100*time.Millisecond, 200) })
		for i := range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			want := context.Canceled
			if i%2 == 0 {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
				want = ErrTimeout
			} else {
				time.AfterFunc(10*time.Millisecond, cancel)
			}
			start := time.Now()
			_, err := p.Do(ctx, get(true))
			if !errors.Is(err, want) || time.Since(start) != 10*time.Millisecond {
				t.Errorf("%v after %s, want %v after 10ms", err, time.Since(start), want)
			}
			cancel()
		}
		time.Sleep(time.Second) // the witness ends
		if !p.servers[0].breaker.IsClosed() || p.servers[0].inFlight.Load() != 0 {
			t.Errorf("breaker %s, %d in flight", p.servers[0].breaker.State(), p.servers[0].inFlight.Load())
		}
	})
}

// Retries are no more than their share of all calls, and what was saved up.
func TestBudget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ share, most float64 }{{0.1, 0.1}, {0.5, 0.5}, {1, 1}, {0, 0}} {
		synctest.Test(t, func(t *testing.T) {
			var attempts atomic.Int64
			p := newPool(t, Options{Timeout: 10 * time.Second, Retries: 3, RetryWait: time.Second, Budget: tt.share},
				func(*http.Request) (*http.Response, error) { attempts.Add(1); return nil, errRefused })
			const calls = 1000
			var wg sync.WaitGroup
			var shed atomic.Int64
			for range 10 {
				wg.Go(func() {
					for range calls / 10 {
						_, err := p.Do(t.Context(), get(true))
						var u *ShedError
						if errors.Is(err, ErrRetryBudget) && errors.As(err, &u) && u.RetryAfter() == time.Second {
							shed.Add(1)
						} else if !errors.Is(err, ErrUnavailable) {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			extra := float64(attempts.Load() - calls)
			if limit := tt.most*calls + budgetBurst; extra > limit || tt.share > 0 && extra < 0.9*tt.most*calls {
				t.Errorf("share %g: %g retries, want at most %g", tt.share, extra, limit)
			}
			if shed.Load() == 0 && tt.share > 0 && tt.share < 1 || shed.Load() != p.budget.exhausted.Load() {
				t.Errorf("share %g: %d of budget, %d counted", tt.share, shed.Load(), p.budget.exhausted.Load())
			}
		})
	}
}

// If the call times out before a retry, the result of the last attempt counts.
func TestDeadlineWhileWaiting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int // 0: down
		err    error
	}{{0, ErrUnavailable}, {429, nil}, {500, nil}} {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, Options{Timeout: 10 * time.Second, Retries: 2, RetryWait: 2 * time.Second, Budget: 1}, func(r *http.Request) (*http.Response, error) {
				if tt.status == 0 {
					return nil, errRefused
				}
				return respond(r, tt.status, "Retry-After", "1"), nil
			})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			a, err := p.Do(ctx, get(true))
			if !errors.Is(err, tt.err) || err == nil && a.StatusCode != tt.status {
				t.Errorf("%v, %v, want %d, %v", a, err, tt.status, tt.err)
			}
		})
	}
}

// Close closes what is idle.
func TestClose(t *testing.T) {
	t.Parallel()
	var open atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	closed := make(chan struct{}, 10)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			closed <- struct{}{}
		}
	}
	srv.Start()
	defer srv.Close()
	p, err := New(Options{URLs: []string{srv.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Do(t.Context(), get(false)); err != nil || open.Load() != 1 {
		t.Fatal(err, open.Load())
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	<-closed
}

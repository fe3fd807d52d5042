package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// A failing server gets no calls, then a few probes, and then all calls again.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var called atomic.Int64
		var broken atomic.Bool
		broken.Store(true)
		p := newPool(t, Options{Timeout: time.Second, Breaker: true}, func(r *http.Request) (*http.Response, error) {
			called.Add(1)
			time.Sleep(time.Millisecond)
			if broken.Load() {
				return nil, errRefused
			}
			return respond(r, 200), nil
		})
		call := func() error { _, err := p.Do(t.Context(), get(false)); return err }
		for i := range breakerFailures {
			if err := call(); !errors.Is(err, ErrUnavailable) {
				t.Fatalf("call %d: %v, want ErrUnavailable", i, err)
			}
		}
		start := time.Now()
		var u *ShedError
		if err := call(); !errors.Is(err, ErrCircuitOpen) || !errors.As(err, &u) || u.RetryAfter() != time.Second || time.Since(start) != 0 {
			t.Fatalf("%v after %s, want ErrCircuitOpen at once", err, time.Since(start))
		}
		// For ten seconds many call: only probes reach it, one or so every half second.
		called.Store(0)
		for time.Since(start) < 10*time.Second {
			go call()
			time.Sleep(5 * time.Millisecond)
		}
		synctest.Wait()
		if n := called.Load(); n < 15 || n > 3*25 {
			t.Errorf("called %d times in 10 s while it was down", n)
		}
		broken.Store(false)
		back := time.Now()
		for call() != nil {
			time.Sleep(5 * time.Millisecond)
		}
		for range 100 {
			if err := call(); err != nil {
				t.Fatalf("after it was back: %v", err)
			}
		}
		if d := time.Since(back); d > time.Second || !p.servers[0].breaker.IsClosed() {
			t.Errorf("closed after %s, breaker %s", d, p.servers[0].breaker.State())
		}
	})
}

// A probe is completed even if its caller leaves, and its outcome counts; what
// began before the breaker opened does not count.
func TestProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mode atomic.Value
		mode.Store("slow")
		p := newPool(t, Options{Timeout: 10 * time.Second, Breaker: true}, func(r *http.Request) (*http.Response, error) {
			switch mode.Load() {
			case "down":
				return nil, errRefused
			case "slow":
				return later(r, 5*time.Second, 200)
			default:
				return later(r, 100*time.Millisecond, 200)
			}
		})
		s := p.servers[0]
		for range 5 { // these end when the breaker has been open for long
			go p.Do(t.Context(), get(false))
		}
		synctest.Wait()
		mode.Store("down")
		for range breakerFailures {
			p.Do(t.Context(), get(false))
		}
		if !s.breaker.IsOpen() {
			t.Fatalf("breaker %s", s.breaker.State())
		}
		// Streams do not keep a probe's place for as long as they last.
		time.Sleep(time.Second)
		mode.Store("well")
		resp, err := p.Open(t.Context(), get(false))
		if err != nil || !s.breaker.IsHalfOpen() {
			t.Fatal(resp, err, s.breaker.State())
		}
		for range 2 { // whose callers leave at once
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, err := p.Do(ctx, get(false)); !errors.Is(err, ErrTimeout) {
				t.Errorf("%v, want ErrTimeout", err)
			}
			cancel()
		}
		if !s.breaker.IsHalfOpen() {
			t.Errorf("breaker %s while two probes are under way", s.breaker.State())
		}
		time.Sleep(time.Second)
		if !s.breaker.IsClosed() {
			t.Errorf("breaker %s after three probes that went well", s.breaker.State())
		}
		time.Sleep(10 * time.Second) // the first five end
		if resp.Body.Close(); s.inFlight.Load() != 0 || !s.breaker.IsClosed() {
			t.Errorf("%d in flight, breaker %s", s.inFlight.Load(), s.breaker.State())
		}
	})
}

// A stream that is silent, or breaks off, is a failure of the server; one whose
// reader leaves is not.
func TestStreamOutcomes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body io.Reader
		end  func(context.CancelCauseFunc)
		open bool
	}{
		"breaks off": {iotest.ErrReader(io.ErrUnexpectedEOF), func(context.CancelCauseFunc) {}, true},
		"is silent":  {iotest.ErrReader(context.Canceled), func(cancel context.CancelCauseFunc) { cancel(fmt.Errorf("%w: silent", ErrTimeout)) }, true},
		"is left":    {iotest.ErrReader(context.Canceled), func(cancel context.CancelCauseFunc) { cancel(nil) }, false},
		"is whole":   {strings.NewReader("x"), func(context.CancelCauseFunc) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPool(t, Options{Timeout: time.Second, Breaker: true}, func(r *http.Request) (*http.Response, error) {
				resp := respond(r, 200)
				resp.Body = io.NopCloser(tt.body)
				return resp, nil
			})
			for range breakerFailures {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				resp, err := p.Open(ctx, get(false))
				if err != nil {
					t.Fatal(err)
				}
				tt.end(cancel)
				_, _ = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if got := p.servers[0].breaker.IsOpen(); got != tt.open {
				t.Errorf("open: %v, want %v", got, tt.open)
			}
		})
	}
}

// Refusals are a sign of life: the breaker stays closed.
func TestShedIsNoFailure(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 404, 409, 429, 503, 507} {
		p := newPool(t, Options{Timeout: time.Second, Breaker: true}, func(r *http.Request) (*http.Response, error) { return respond(r, status), nil })
		for range 100 {
			if a, err := p.Do(t.Context(), get(false)); err != nil || a.StatusCode != status {
				t.Fatalf("%d: %v, %v", status, a, err)
			}
		}
	}
}

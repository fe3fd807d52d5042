package upstream

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type countClose struct {
	io.ReadCloser
	closed *atomic.Int64
}

func (c countClose) Close() error {
	c.closed.Add(1)
	return c.ReadCloser.Close()
}

// A streamed response is open; attempts before it are not, and the
// server is busy with it until it is closed.
func TestOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n, closed atomic.Int64
		p := newPool(t, Options{Timeout: time.Second, AttemptTimeout: 10 * time.Millisecond, Retries: 2, RetryWait: time.Second, Budget: 1, Breaker: true}, func(r *http.Request) (*http.Response, error) {
			status := 500
			if n.Add(1) == 3 {
				status = 200
				time.Sleep(time.Minute) // a streamed response has no timeout but the caller's
			}
			resp := respond(r, status)
			resp.Body = countClose{resp.Body, &closed}
			return resp, nil
		})
		resp, err := p.Open(t.Context(), get(true))
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		if closed.Load() != 2 || p.servers[0].inFlight.Load() != 1 {
			t.Errorf("%d closed, %d in flight, want 2 and 1", closed.Load(), p.servers[0].inFlight.Load())
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "body" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		resp.Body.Close()
		resp.Body.Close()
		if closed.Load() < 3 || p.servers[0].inFlight.Load() != 0 {
			t.Errorf("%d closed, %d in flight, want 3 and 0", closed.Load(), p.servers[0].inFlight.Load())
		}
		n.Store(10)
		resp, err = p.Open(t.Context(), get(false))
		if b, _ := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 500 || string(b) != "body" {
			t.Errorf("%v %q, %v", resp, b, err)
		}
	})
}

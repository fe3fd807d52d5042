package verify

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What hangs does not hold up each check for long.
func TestHangs(t *testing.T) {
	t.Parallel()
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	b := newBackend("Jaeger", hanging.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.ask(ctx, "/"); !errors.Is(err, context.DeadlineExceeded) || !b.late.Load() {
		t.Fatalf("%v, late %v, want a deadline that is over", err, b.late.Load())
	}
	var left time.Duration // of the next request
	b.client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		deadline, _ := r.Context().Deadline()
		left = time.Until(deadline)
		return http.DefaultTransport.RoundTrip(r)
	})}
	if err := b.ask(t.Context(), "/"); !errors.Is(err, context.DeadlineExceeded) || left > lateTimeout {
		t.Errorf("%v with %s left, want a deadline after %s", err, left, lateTimeout)
	}
}

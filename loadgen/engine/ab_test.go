package engine

import (
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/loadgen/compare"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/workload"
)

// armed is a target that counts requests: equal requests have one count.
type armed struct {
	*httptest.Server
	mu       sync.Mutex
	requests map[string]int // method, and body
}

// newArmed returns a target with other album ids than another one.
func newArmed(t *testing.T, ids int64) *armed {
	t.Helper()
	seed := album.Seed()
	if ids > 0 {
		last := seed[0]
		last.ID = ids
		seed = append(seed, last)
	}
	h := albumhttp.Handler(album.NewMemory(seed...), albumhttp.HandlerOptions{Service: "album-store"})
	a := &armed{requests: map[string]int{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		a.mu.Lock()
		a.requests[r.Method+" "+string(b)]++
		a.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// Both targets get the same requests, with ids and pages from their own responses. Others would
// be 404.
func TestAB(t *testing.T) {
	t.Parallel()
	const block = 200 * time.Millisecond
	a, b := newArmed(t, 0), newArmed(t, 1_000_000)
	c := testConfig("", tracetest.NewSpanRecorder())
	c.Mix = workload.Mix{"get": 4, "create": 3, "update": 1, "delete": 1, "page": 2}
	c.WarmUp = 400 * time.Millisecond
	c.Plan = steady(300, c.WarmUp+1600*time.Millisecond)
	r, err := AB(t.Context(), c, a.URL, b.URL, block)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 480 || r.WarmUp != 120 || r.Classes[measure.Good] != 480 || len(r.Intervals) != 8 {
		t.Errorf("%d requests after %d, %v, %d blocks, want 480 after 120, all good, 8", r.Sent, r.WarmUp, r.Classes, len(r.Intervals))
	}
	for i, v := range r.Intervals {
		if v.Classes[measure.Good] != 60 || v.Seconds != 0.2 {
			t.Errorf("block %d has %v requests in %g s, want 60 good ones in 0.2", i, v.Classes, v.Seconds)
		}
	}
	result, err := compare.Turns(r, c.Plan, block, a.URL, b.URL, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []compare.Side{result.A, result.B} {
		if s.Good != 240 || math.Abs(s.Seconds-0.8) > 1e-9 || len(s.Blocks) != 4 {
			t.Errorf("%s: %d good in %g s and %d blocks, want 240 in 0.8 and 4", s.Name, s.Good, s.Seconds, len(s.Blocks))
		}
	}
	if !maps.Equal(a.requests, b.requests) {
		t.Errorf("requests to A %v, to B %v", a.requests, b.requests)
	}
}

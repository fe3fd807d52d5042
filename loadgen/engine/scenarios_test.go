package engine

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// Each scenario gets its expected status, also mixed; page walks through the whole collection.
func TestScenarios(t *testing.T) {
	t.Parallel()
	memory := album.NewMemory(album.Seed()...)
	var mu sync.Mutex
	cursors := map[string]int{}
	h := albumhttp.Handler(memory, albumhttp.HandlerOptions{Service: "album-store"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("limit") {
			mu.Lock()
			cursors[r.URL.Query().Get("cursor")]++
			mu.Unlock()
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.Mix = workload.Mix{}
	for _, name := range workload.Names() {
		c.Mix[name] = 1
	}
	c.Plan, c.MaxWorkers = steady(500, 2*time.Second), 4 // a page is of an earlier response, whatever the speed
	r := attackOnce(t, t.Context(), c)
	if r.Sent != 1000 || r.Classes[measure.Good] != 1000 {
		t.Errorf("%d sent, %v, errors %v, %+v", r.Sent, r.Classes, r.Errors, r.Scenarios)
	}
	for _, row := range r.Scenarios {
		if row.Requests != 100 {
			t.Errorf("%s: %d requests, want 100", row.Name, row.Requests)
		}
	}
	if len(cursors) < 10 || cursors[""] == 100 {
		t.Errorf("requested pages: %v, want walks", cursors)
	}
	page, err := memory.List(t.Context(), album.Query{Limit: 1000, Filter: album.Filter{}})
	if err != nil {
		t.Fatal(err)
	}
	if deleted := 100 - r.Scenarios[slices.IndexFunc(r.Scenarios, func(row report.Row) bool { return row.Name == "delete" })].Statuses[404]; len(page.Albums) != min(1000, 3+100+100*10-deleted) {
		t.Errorf("%d albums at the end, %d were deleted", len(page.Albums), deleted)
	}
}

// With any target, each request is in one class or cancelled.
func TestAccounting(t *testing.T) {
	t.Parallel()
	h := albums()
	server := httptest.NewUnstartedServer(nil)
	var requests atomic.Int64
	var dead atomic.Bool
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := requests.Add(1); {
		case n == 150:
			dead.Store(true)
			go server.CloseClientConnections()
			fallthrough
		case dead.Load():
			panic(http.ErrAbortHandler)
		case n%10 == 0:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(503)
		case n%10 == 1:
			w.WriteHeader(429)
		case n%10 == 2:
			time.Sleep(60 * time.Millisecond)
			fallthrough
		default:
			h.ServeHTTP(w, r)
		}
	})
	server.Start()
	defer server.Close()
	for _, workers := range []int{0, 8} {
		requests.Store(0)
		dead.Store(false)
		c := testConfig(server.URL, tracetest.NewSpanRecorder())
		c.Workers, c.Plan, c.MaxWorkers = workers, steady(200, time.Minute), 8 // few are in flight at the end of the connections
		c.Plan.Max = 200
		objective, err := slo.Parse("p99<50ms")
		if err != nil {
			t.Fatal(err)
		}
		c.SLOs = []slo.Objective{objective}
		r := attackOnce(t, t.Context(), c)
		sum := r.Cancelled
		for _, class := range measure.Classes {
			sum += r.Classes[class]
		}
		rows := 0
		for _, row := range r.Scenarios {
			rows += row.Requests
		}
		if r.Sent != 200 || sum != 200 || rows != 200 || r.Response.Count+r.Shed.Count+r.Failed.Count != 200 {
			t.Errorf("%d workers: sent %d, in classes %v, cancelled %d, in scenarios %d", workers, r.Sent, r.Classes, r.Cancelled, rows)
		}
		if r.Classes[measure.Shed] < 20 || r.Classes[measure.Late] < 8 || r.Classes[measure.Failed] < 30 || r.RetryAfter.Given < 8 || r.RetryAfter.Given > r.Classes[measure.Shed] {
			t.Errorf("%d workers: %v, %+v", workers, r.Classes, r.RetryAfter)
		}
		if r.Violated() != 1 {
			t.Errorf("%d workers: %+v", workers, r.SLOs)
		}
	}
}

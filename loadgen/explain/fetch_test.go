package explain

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/criticalpath"
)

// broken is a Jaeger that fails for one trace, or for all.
type broken struct {
	*jaeger
	id string // empty: all
}

func (b broken) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.id != "" && !slices.Contains(r.URL.Query()["traceID"], b.id) {
		return b.jaeger.RoundTrip(r)
	}
	b.requests = append(b.requests, time.Now())
	return &http.Response{StatusCode: http.StatusInternalServerError, Status: "500 Internal Server Error", Header: http.Header{}, Body: http.NoBody}, nil
}

// A trace that Jaeger cannot return does not affect the other traces of its query. A failing Jaeger
// gets no single queries again.
func TestOneTraceFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		fails         broken
		found         int
		missing       string
		atMost, least int // requests
	}{
		{"one", broken{id: fmt.Sprintf("%032x", 3)}, 19, "responded 500", 50, 20},
		{"all", broken{}, 0, "responded 500", 40, 20},
	} {
		synctest.Test(t, func(t *testing.T) {
			tt.fails.jaeger = &jaeger{traces: map[string][]criticalpath.Span{}, looks: map[string]int{}, never: map[string]bool{}}
			g := Group{Scenario: "get"}
			for i := range 20 {
				id := fmt.Sprintf("%032x", i+1)
				tt.fails.traces[id] = []criticalpath.Span{at("1", "", "loadgen", "GET", 0, 10), at("2", "1", "proxy-service", "GET", 1, 9)}
				g.Slow = append(g.Slow, Request{TraceID: id, Response: 10 * time.Millisecond})
			}
			j := Jaeger{URL: "http://jaeger", Client: &http.Client{Transport: tt.fails}}
			a := Explain(t.Context(), j, []Group{g}, 20*time.Second)[0]
			if a.SlowFound != tt.found || !strings.Contains(a.Missing, tt.missing) {
				t.Errorf("%s: %d found, missing: %s, want %d, %s", tt.name, a.SlowFound, a.Missing, tt.found, tt.missing)
			}
			if n := len(tt.fails.requests); n < tt.least || n > tt.atMost {
				t.Errorf("%s: %d requests, want %d to %d", tt.name, n, tt.least, tt.atMost)
			}
		})
	}
}

package verify

import (
	"slices"
	"strings"
	"testing"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// Shed requests are listed by status, in order.
func TestLoadShed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := &w.load.Report
	r.Classes[measure.Shed], r.Classes[measure.Failed] = 148, 1
	r.Errors = map[string]int{"status 503 for get": 138, "status 429 for get": 10, "status 500 for put": 1}
	r.Scenarios = []report.Row{
		{Name: "get", Requests: 200, Classes: map[measure.Class]int{measure.Shed: 148}, Statuses: map[int]int{200: 52, 503: 138, 429: 10}},
		{Name: "put", Requests: 1, Classes: map[measure.Class]int{measure.Failed: 1}, Statuses: map[int]int{500: 1}},
	}
	got := strings.Join(w.load.check().Details, "\n")
	want := `get: 148 of 200 requests (200: 52, 429: 10, 503: 138)
put: 1 of 1 requests (500: 1)
148 requests were shed (429: 10, 503: 138)
1 requests failed (status 500 for put: 1)`
	if strings.TrimSpace(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Missing log lines of shed requests are skipped, and their number is shown. Two lines of one
// request still fail.
func TestLogLinesOfShedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld()
	first := w.load.Traces[0]
	for _, s := range w.traces[first].spans {
		if _, ok := s.tags["http.response.status_code"]; ok {
			s.tags["http.response.status_code"] = 503
		}
	}
	ofFirst := func(l LogLine) bool { return l.TraceID == first && l.Service == proxyService }
	line := w.lines[slices.IndexFunc(w.lines, ofFirst)]
	w.lines = slices.DeleteFunc(w.lines, ofFirst)
	c := w.checks(t)["logs: fake"]
	if want := "8 server spans have one log line each, and each line has its span; skipped: 2 spans with status 429 or 503 (a service logs at most 10 shed requests/s)"; c.Outcome != OK || c.Text != want {
		t.Errorf("%v, want ok and %q", c, want)
	}
	w.lines = append(w.lines, line, line)
	if c := w.checks(t)["logs: fake"]; c.Outcome != Failed || !strings.Contains(c.String(), "2 request lines of proxy-service") {
		t.Errorf("two lines of one request: %v, want FAILED", c)
	}
}

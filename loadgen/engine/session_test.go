package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

// shop is a service with a session for each customer.
type shop struct {
	sessions atomic.Int64
	mu       sync.Mutex
	orders   map[string]string // customer of a session
	mixed    int               // requests with the session of another customer
	failAt   string            // path that fails for customer 2
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	customer := r.Header.Get("X-Customer")
	if r.URL.Path == s.failAt && customer == "2" {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if r.URL.Path == "/login" {
		id := fmt.Sprint("s", s.sessions.Add(1))
		s.mu.Lock()
		s.orders[id] = customer
		s.mu.Unlock()
		http.SetCookie(w, &http.Cookie{Name: "session", Value: id, Path: "/"})
		w.WriteHeader(http.StatusNoContent)
		return
	}
	c, err := r.Cookie("session")
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.orders[c.Value] != customer {
		s.mixed++
		w.WriteHeader(http.StatusForbidden)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"id": customer, "next": "/items/" + customer})
}

const shopFlow = `
name: buy
steps:
  - {name: login, post: /login, headers: {X-Customer: '{{user}}'}}
  - name: look
    get: /cart
    headers: {X-Customer: '{{user}}'}
    extract: {next: $.next}
    check: ["json.id == string(user)"]
    think: 20ms
  - {name: pay, post: '{{next}}', json: {n: '{{user}}'}, headers: {X-Customer: '{{user}}'}}
`

// flowOf reads a flow.
func flowOf(t *testing.T, text string) *flow.Flow {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flow.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := flow.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// flowConfig is a run of a flow at a service.
func flowConfig(t *testing.T, h http.Handler, text string) (Config, *tracetest.SpanRecorder) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	spans := tracetest.NewSpanRecorder()
	c := testConfig(server.URL, spans)
	c.Workload = workload.Workload{Flow: flowOf(t, text)}
	return c, spans
}

func run(t *testing.T, c Config) *report.Report {
	t.Helper()
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each user has their own cookies, and values of their own responses. Later requests of a user wait for earlier ones
// and the think time.
func TestFlow(t *testing.T) {
	t.Parallel()
	s := &shop{orders: map[string]string{}}
	c, spans := flowConfig(t, s, strings.Replace(shopFlow, "post: '{{next}}'", "get: '{{next}}'", 1))
	c.Plan, c.SLOs = steady(50, time.Second), slos(t, "p99(buy)<10m", "good(buy)>99%", "max(buy)<1ms", "failed(login)<1%")
	r := run(t, c)
	f := r.Flow
	if s.mixed != 0 || s.sessions.Load() != 50 {
		t.Errorf("%d requests in the session of another user, %d sessions, want 0 and 50", s.mixed, s.sessions.Load())
	}
	if f.Begun != 50 || f.Completed != 50 || f.Failed+f.Unfinished != 0 || f.Planned != 50 || f.RateTarget != 50 || f.Duration.Count != 50 || r.Sent != 150 || r.Planned != 0 || r.RateTarget != 0 {
		t.Errorf("%+v; %d requests of %d", f, r.Sent, r.Planned)
	}
	// A user takes three response times, the think time, and twice a delay of up to 2 ms that is none of the generator's.
	if rest, digits := f.Duration.Mean-3*r.Response.Mean, f.Duration.Mean/500; rest < 0.02-digits || rest > 0.02+2*measure.MaxSendDelay.Seconds()+digits {
		t.Errorf("flow %g s, response %g s: the think time of 20 ms is in the first, not in the second", f.Duration.Mean, r.Response.Mean)
	}
	var names []string
	for _, row := range r.Scenarios {
		names = append(names, fmt.Sprint(row.Name, row.Requests))
	}
	if want := []string{"login50", "look50", "pay50"}; !slices.Equal(names, want) {
		t.Errorf("rows %v, want %v, as the steps", names, want)
	}
	if v := r.SLOs; !v[0].Met || v[1].Met || v[2].Met || !v[3].Met { // all users are slower than 1 ms: late
		t.Errorf("%+v", v)
	}
	// A user is a trace: a span of the flow, with a client span for each step.
	roots := map[trace.TraceID]trace.SpanID{}
	for _, sp := range spans.Ended() {
		if sp.Name() == "flow buy" {
			roots[sp.SpanContext().TraceID()] = sp.SpanContext().SpanID()
		}
	}
	steps := map[string]int{}
	for _, sp := range spans.Ended() {
		if sp.SpanKind() == trace.SpanKindClient {
			steps[sp.Name()]++
			if sp.Parent().SpanID() != roots[sp.SpanContext().TraceID()] || !sp.Parent().IsValid() {
				t.Fatalf("span %s is not in the flow of its trace", sp.Name())
			}
		}
	}
	if len(roots) != 50 || steps["POST /login"] != 50 || steps["GET /cart"] != 50 || steps["GET {next}"] != 50 {
		t.Errorf("%d flows, %v", len(roots), steps)
	}
	for _, g := range r.Groups {
		for _, q := range g.Slow {
			if q.SpanID == "" || q.TraceID == "" {
				t.Fatalf("%s: %+v has no span", g.Scenario, q)
			}
		}
	}
	if len(r.Groups) != 3 {
		t.Errorf("%d groups for tail-latency attribution, want 3", len(r.Groups))
	}
}

// A failed step ends the flow of its user, unless the step says continue.
func TestFlowFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		failAt, old, new string
		requests         int
		errors           string
	}{
		"status":   {"/cart", "", "", 3*10 - 1, "map[status 500 for look:1]"},
		"continue": {"/cart", "check:", "continue: true\n    check:", 3*10 - 0, "map[not sent for pay:1 status 500 for look:1]"},
		"check":    {"", "json.id ==", "json.id != '2' && json.id ==", 3*10 - 1, "map[check failed:1]"},
		"extract":  {"", "$.next", "'$[?@ == \"/items/2\"]'", 10 + 10 + 1, "map[check failed:9]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shop{orders: map[string]string{}, failAt: tt.failAt}
			text := strings.Replace(shopFlow, "post: '{{next}}'", "get: '{{next}}'", 1)
			c, spans := flowConfig(t, s, strings.Replace(text, tt.old, tt.new, 1))
			c.Plan = steady(50, 200*time.Millisecond)
			r := run(t, c)
			if r.Sent != tt.requests || fmt.Sprint(r.Errors) != tt.errors {
				t.Errorf("%d requests, %v, want %d, %s", r.Sent, r.Errors, tt.requests, tt.errors)
			}
			failed := 0
			for _, n := range r.Errors {
				failed += n
			}
			if failed = min(failed, 9); name == "continue" {
				failed = 1
			}
			if r.Flow.Failed != failed || r.Flow.Completed != 10-failed || r.Classes[measure.Failed] < failed {
				t.Errorf("%+v, want %d failed", r.Flow, failed)
			}
			if strings.Contains(tt.errors, "check failed") {
				if c := r.FailedChecks; len(c) != 1 || c[0].Scenario != "look" || c[0].TraceID == "" || !strings.Contains(c[0].Detail, "status 200") {
					t.Errorf("%+v", c)
				}
				found := false
				for _, sp := range spans.Ended() {
					for _, a := range sp.Attributes() {
						found = found || a.Key == errorTypeKey && a.Value.AsString() == checkFailed
					}
				}
				if !found {
					t.Error("no span has the failed check")
				}
			}
		})
	}
}

// A constant population: as soon as a user has left, the next one begins.
func TestPopulation(t *testing.T) {
	t.Parallel()
	var active, peak atomic.Int64
	c, _ := flowConfig(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		peak.Store(max(peak.Load(), active.Add(1)))
		defer active.Add(-1)
		time.Sleep(time.Millisecond)
	}), "name: f\nsteps:\n  - {name: a, get: /}\n  - {name: b, get: /, think: 5ms}\n")
	c.Plan, c.Workers = schedule.Plan{Stages: []schedule.Stage{{Duration: time.Minute}}, Max: 100}, 5
	r := run(t, c)
	if f := r.Flow; f.Begun != 100 || f.Completed != 100 || f.Peak != 5 || peak.Load() > 5 || r.Sent != 200 || r.Limit != report.LimitRequests || f.RateActual <= 0 || f.RateActual > 5/0.005 {
		t.Errorf("%+v; %d requests, peak %d, limit %s", f, r.Sent, peak.Load(), r.Limit)
	}
	// The think time of the command line replaces that of the file.
	c.Think = &flow.Think{From: 0, To: 0}
	c.Plan.Max = 10
	if f := run(t, c).Flow; f.Completed != 10 || f.Think != "0s" {
		t.Errorf("%+v", f)
	}
}

// The population grows to 20 users in half a second, each with a request in a tenth of a second, and shrinks to 0.
func TestRamp(t *testing.T) {
	t.Parallel()
	f := flowOf(t, "name: f\nsteps:\n  - {name: a, get: /, think: 97ms}\n")
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		counts := make([]int, 11) // users that begin, by tenth of a second
		c := fakeUsers(f, func(at time.Duration) served {
			mu.Lock()
			defer mu.Unlock()
			counts[at/(100*time.Millisecond)]++
			return served{after: 3 * time.Millisecond}
		})
		c.Users = []schedule.Stage{{Duration: 500 * time.Millisecond, From: 0, To: 20}, {Duration: 500 * time.Millisecond, From: 20, To: 0}}
		c.Plan, c.Workers = schedule.Plan{Stages: []schedule.Stage{{Duration: time.Second}}}, 20
		r := run(t, c)
		if want := []int{4, 8, 12, 16, 20, 18, 14, 10, 6, 2, 0}; !slices.Equal(counts, want) || r.Flow.Completed != 110 || r.Flow.Begun != 110 || r.Flow.Peak != 20 || r.Flow.Users == "" {
			t.Errorf("%+v, users by tenth of a second: %v, want %v", r.Flow, counts, want)
		}
	})
}

// Users of the warm-up are not measured.
func TestFlowWarmUp(t *testing.T) {
	t.Parallel()
	c, _ := flowConfig(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "name: f\nsteps:\n  - {name: a, get: /}\n")
	c.Plan, c.WarmUp = steady(100, 400*time.Millisecond), 200*time.Millisecond
	r := run(t, c)
	if f := r.Flow; f.WarmUp != 20 || f.Begun != 20 || f.Completed != 20 || r.WarmUp != 20 || f.RateTarget != 100 {
		t.Errorf("%+v, %d requests of the warm-up", f, r.WarmUp)
	}
}

// Without spans, the steps of a user have the same trace.
func TestFlowWithoutSpans(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ids := map[string]int{}
	c, _ := flowConfig(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ids[strings.Split(r.Header.Get("Traceparent"), "-")[1]]++
	}), "name: f\nsteps:\n  - {name: a, get: /, repeat: 3}\n")
	c.TracerProvider, c.TraceSample, c.Plan = nil, 1, steady(100, 100*time.Millisecond)
	r := run(t, c)
	if len(ids) != 10 || r.Sent != 30 {
		t.Errorf("%d traces, %d requests, want 10 and 30", len(ids), r.Sent)
	}
	for _, slow := range r.Flow.Slowest {
		if ids[slow.TraceID] != 3 {
			t.Errorf("trace %q of a slow user was not sent", slow.TraceID)
		}
	}
	for id, n := range ids {
		if n != 3 {
			t.Errorf("trace %s has %d requests, want 3", id, n)
		}
	}
}

// Users whose steps are all skipped do not begin as fast as the machine can.
func TestSkippedFlow(t *testing.T) {
	t.Parallel()
	c, _ := flowConfig(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "name: f\nsteps:\n  - {name: a, get: /, if: user < 0}\n")
	c.Plan, c.Workers = schedule.Plan{Stages: []schedule.Stage{{Duration: 400 * time.Millisecond}}}, 2
	if r := run(t, c); r.Sent != 0 || r.Flow.Begun > 2*5 {
		t.Errorf("%d requests, %+v, want none and at most 10 users", r.Sent, r.Flow)
	}
}

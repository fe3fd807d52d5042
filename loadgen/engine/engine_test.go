package engine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/telemetry/telemetrytest"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

func albums() http.Handler {
	return albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store"})
}

// steady is a plan with a constant rate.
func steady(rate float64, d time.Duration) schedule.Plan {
	return schedule.Plan{Stages: []schedule.Stage{{Duration: d, From: rate, To: rate}}, Arrivals: schedule.Constant}
}

func slos(t *testing.T, list ...string) []slo.Objective {
	t.Helper()
	objectives, err := slo.ParseList(strings.Join(list, ","))
	if err != nil {
		t.Fatal(err)
	}
	return objectives
}

func pacerOf(t *testing.T, c Config) *schedule.Pacer {
	return schedule.NewPacer(t.Context(), schedule.Pacing{Plan: c.Plan, Seed: c.Seed})
}

func testConfig(url string, spans sdktrace.SpanProcessor) Config {
	return Config{
		URL: url, Plan: steady(200, time.Second), Timeout: 30 * time.Second, MaxWorkers: 64, Seed: 1,
		Workload:       workload.Workload{Mix: workload.Mix{"get": 7, "list": 2, "create": 1}},
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
		MeterProvider:  metricnoop.NewMeterProvider(),
		Propagator:     propagation.TraceContext{},
	}
}

func attackOnce(t testing.TB, ctx context.Context, c Config) *report.Report {
	t.Helper()
	r, err := Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stall is a handler that stalls once.
type stall struct {
	next  http.Handler
	after int64
	d     time.Duration

	requests atomic.Int64
	mu       sync.Mutex
}

func (s *stall) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.requests.Add(1) == s.after {
		time.Sleep(s.d)
	}
	s.mu.Unlock()
	s.next.ServeHTTP(w, r)
}

// A stall of 300 ms delays each request scheduled in it, including those that could not be sent
// because all workers were busy.
func TestStallIsNotOmitted(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			server, o := p.start(t, &stall{next: albums(), after: 50, d: 300 * time.Millisecond})
			c := testConfig(server.URL, tracetest.NewSpanRecorder())
			c.MaxWorkers, c.Connect = 2, o
			stalled(t, c)
		})
	}
}

func stalled(t *testing.T, c Config) {
	t.Helper()
	r := attackOnce(t, t.Context(), c)
	if r.Sent != 200 || r.Classes[measure.Good] != 200 {
		t.Fatalf("%d requests, %v, want 200, all good", r.Sent, r.Classes)
	}
	// 60 requests were scheduled in the stall. The first 40 waited at least 100 ms: a fifth of
	// all. Without the scheduled time, only the two in flight would show.
	if r.Response.P90 < 0.1 {
		t.Errorf("p90 = %g s, want 0.1 at least", r.Response.P90)
	}
	if r.Response.Max < 0.3 || r.SendDelay.Max < 0.25 {
		t.Errorf("longest response time %g s, send delay %g s, want 0.3 and 0.25 at least", r.Response.Max, r.SendDelay.Max)
	}
	if len(r.Invalid) < 2 {
		t.Errorf("invalid: %q", r.Invalid)
	}
	if r.Slowest[0].Response != r.Response.Max || len(r.Slowest) != 5 {
		t.Errorf("slowest %v, want %d from %g s on", r.Slowest, 5, r.Response.Max)
	}
	if r.Peak != 2 {
		t.Errorf("%d requests in flight, want 2", r.Peak)
	}
}

// Server and spans have the same requests, without vegeta's headers.
func TestRequestsAndSpans(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	headers := map[string]http.Header{} // by trace id
	h := albums()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sc := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header)))
		mu.Lock()
		headers[sc.TraceID().String()+" "+sc.SpanID().String()] = r.Header
		mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	recorder := tracetest.NewSpanRecorder()
	c := testConfig(server.URL, recorder)
	c.Plan = steady(200, 500*time.Millisecond)
	r := attackOnce(t, t.Context(), c)
	if r.Sent != 100 || r.Classes[measure.Good] != 100 || len(headers) != 100 {
		t.Errorf("%d requests, %v, %d trace contexts, want 100, all good, 100", r.Sent, r.Classes, len(headers))
	}
	for _, header := range headers {
		for name := range header {
			if strings.HasPrefix(name, "X-") {
				t.Errorf("the server got a header %s", name)
			}
		}
	}
	names := map[string]int{}
	for _, s := range recorder.Ended() {
		sc := s.SpanContext()
		if s.SpanKind() != trace.SpanKindClient || s.Parent().IsValid() || headers[sc.TraceID().String()+" "+sc.SpanID().String()] == nil {
			t.Errorf("span %s %s, want a client span without a parent that the server saw", s.Name(), sc.TraceID())
		}
		names[s.Name()]++
	}
	if names["GET /albums"] != 20 || names["GET /albums/:id"] != 70 || names["POST /albums"] != 10 || len(names) != 3 {
		t.Errorf("spans %v, want 20, 70 and 10 of the three scenarios", names)
	}
	for _, s := range r.Slowest {
		found := false
		for _, span := range recorder.Ended() {
			found = found || span.SpanContext().TraceID().String() == s.TraceID && workload.Lookup(s.Scenario).Operation == span.Name()
		}
		if !found {
			t.Errorf("slow request %+v has no span of its scenario", s)
		}
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	recorder := tracetest.NewSpanRecorder()
	c := testConfig(server.URL, recorder)
	c.Plan, c.Timeout, c.Mix = steady(100, 100*time.Millisecond), 300*time.Millisecond, workload.Mix{"create": 1}
	r := attackOnce(t, t.Context(), c)
	if r.Sent != 10 || r.Classes[measure.Failed] != 10 || r.Errors["timeout"] != 10 || r.Scenarios[0].Name != "create" || r.Scenarios[0].Statuses[0] != 10 {
		t.Errorf("%d requests, %v, errors %v, %+v, want 10 timeouts", r.Sent, r.Classes, r.Errors, r.Scenarios)
	}
	// The trace id is known without a response.
	slow := r.Slowest[0]
	if slow.Scenario != "create" || slow.Status != 0 || slow.Response < c.Timeout.Seconds() {
		t.Errorf("slowest %+v, want a create without a response after %s", slow, c.Timeout)
	}
	found := false
	for _, s := range recorder.Ended() {
		found = found || s.SpanContext().TraceID().String() == slow.TraceID
	}
	if !found {
		t.Errorf("slowest %+v has no span", slow)
	}
}

// The end of ctx cancels requests in flight and the pacer's wait.
func TestRunEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancelCause := context.WithCancelCause(t.Context())
	cancel := func() { cancelCause(errors.New("interrupt signal received")) } // as signal.NotifyContext does
	defer cancel()
	var requests atomic.Int64
	h := albums()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch requests.Add(1) {
		case 20:
			cancel()
			fallthrough
		case 10:
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client has gone
			<-r.Context().Done()               // no response
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.Plan = steady(200, time.Hour)
	r := attackOnce(t, ctx, c)
	// Besides these two, others may have been in flight.
	if r.Cancelled < 2 || r.Classes[measure.Failed] != 0 || r.Sent < 20 || r.Sent != r.Cancelled+r.Classes[measure.Good] {
		t.Errorf("%d requests, %v, %d cut off, want 20 at least, none failed, 2", r.Sent, r.Classes, r.Cancelled)
	}
}

// Metrics and report have the same numbers. Exemplars link to traces.
func TestMetrics(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(albums())
	defer server.Close()
	rec := telemetrytest.New(t)
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.MeterProvider, c.RunID = rec.MeterProvider, "run-1"
	r := attackOnce(t, t.Context(), c)
	got := map[string]uint64{}
	for _, p := range rec.Metric("soundcheck.loadgen.response_time").Data.(metricdata.Histogram[float64]).DataPoints {
		got[telemetrytest.Attributes(p.Attributes.ToSlice())] = p.Count
		if len(p.Exemplars) == 0 || len(p.Exemplars[0].TraceID) == 0 {
			t.Errorf("%v has no exemplar with a trace", p.Attributes.ToSlice())
		}
	}
	for _, p := range rec.Metric("soundcheck.loadgen.service_time").Data.(metricdata.Histogram[float64]).DataPoints {
		if key := telemetrytest.Attributes(p.Attributes.ToSlice()); p.Count != got[key] || p.Sum <= 0 {
			t.Errorf("service time of %s: %d requests, %v s, want %d, and some time", key, p.Count, p.Sum, got[key])
		}
	}
	for _, row := range r.Scenarios {
		key := "soundcheck.loadgen.class=good soundcheck.loadgen.run=run-1 soundcheck.loadgen.scenario=" + row.Name
		if got[key] != uint64(row.Requests) {
			t.Errorf("%s is %d, want %d", key, got[key], row.Requests)
		}
	}
	if sendDelay := rec.Metric("soundcheck.loadgen.send_delay").Data.(metricdata.Histogram[float64]).DataPoints; len(sendDelay) != 1 || sendDelay[0].Count != 200 {
		t.Errorf("send delay %+v", sendDelay)
	}
}

func TestUnsampledTracesHaveNoID(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(albums())
	defer server.Close()
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	c.Plan = steady(200, 100*time.Millisecond)
	r := attackOnce(t, t.Context(), c)
	if r.Sent != 20 || r.Classes[measure.Good] != 20 || len(r.Slowest) != 5 {
		t.Fatalf("%d requests, %v, %d slow, want 20, all good, %d", r.Sent, r.Classes, len(r.Slowest), 5)
	}
	for _, s := range r.Slowest {
		if s.TraceID != "" {
			t.Errorf("slow request %+v has a trace that no backend has", s)
		}
	}
}

func BenchmarkAttack(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.TracerProvider = sdktrace.NewTracerProvider()
	c.Plan = steady(100_000, time.Duration(b.N)*10*time.Microsecond)
	b.ReportAllocs()
	r := attackOnce(b, b.Context(), c)
	b.ReportMetric(r.RateActual, "requests/s")
}

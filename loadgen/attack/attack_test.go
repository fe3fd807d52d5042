package attack

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
)

func albums() http.Handler {
	return albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store"})
}

func testConfig(url string, spans sdktrace.SpanProcessor) Config {
	return Config{
		URL: url, Rate: 200, Duration: time.Second, Timeout: 30 * time.Second, MaxWorkers: 64, Seed: 1,
		Mix:            Mix{"get": 7, "list": 2, "create": 1},
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
		MeterProvider:  metricnoop.NewMeterProvider(),
		Propagator:     propagation.TraceContext{},
	}
}

// stall is a handler that answers nobody for a while, once.
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

// A target that stalls for 300 ms makes every request slow that was due in that
// time, also those that could not even be sent because the workers were waiting.
func TestStallIsNotOmitted(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&stall{next: albums(), after: 50, d: 300 * time.Millisecond})
	defer server.Close()
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.MaxWorkers = 2
	r := Run(t.Context(), c)
	if r.Requests != 200 || r.Failed != 0 {
		t.Fatalf("%d requests, %d failed, want 200, none", r.Requests, r.Failed)
	}
	// 60 requests were due meanwhile. The first 40 of them waited 100 ms and more:
	// a fifth of all. Only two were in flight, and only two would show without them.
	if got := r.response.quantile(0.82); got < 100*time.Millisecond {
		t.Errorf("p82 = %s, want 100ms at least", got)
	}
	if r.response.longest < 300*time.Millisecond || r.lag.longest < 250*time.Millisecond {
		t.Errorf("longest response time %s, lag %s, want 300ms and 250ms at least", r.response.longest, r.lag.longest)
	}
	if r.Slowest[0].Response != r.response.longest || len(r.Slowest) != maxSlow {
		t.Errorf("slowest %v, want %d from %s on", r.Slowest, maxSlow, r.response.longest)
	}
	if r.Peak != 2 {
		t.Errorf("%d requests in flight, want 2", r.Peak)
	}
}

// What the server sees is what the spans say, and nothing of vegeta's.
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
	c.Duration = 500 * time.Millisecond
	r := Run(t.Context(), c)
	if r.Requests != 100 || r.Failed != 0 || len(headers) != 100 {
		t.Errorf("%d requests, %d failed, %d trace contexts, want 100, 0, 100", r.Requests, r.Failed, len(headers))
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
			found = found || span.SpanContext().TraceID().String() == s.TraceID && scenarios[s.Scenario].operation == span.Name()
		}
		if !found {
			t.Errorf("slow request %+v has no span of its scenario", s)
		}
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := albums()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			<-release
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	defer close(release)
	recorder := tracetest.NewSpanRecorder()
	c := testConfig(server.URL, recorder)
	c.Rate, c.Timeout, c.Mix = 100, 500*time.Millisecond, Mix{"get": 9, "create": 1}
	r := Run(t.Context(), c)
	if r.Requests != 100 || r.Failed != 10 || r.Errors["timeout"] != 10 || r.rows["create"].Statuses[0] != 10 {
		t.Errorf("%d requests, %d failed, errors %v, create %v, want 100, 10 and 10 timeouts", r.Requests, r.Failed, r.Errors, r.rows["create"].Statuses)
	}
	// The trace is known though no answer came.
	slow := r.Slowest[0]
	if slow.Scenario != "create" || slow.Status != 0 || slow.Response < c.Timeout {
		t.Errorf("slowest %+v, want a create without an answer after %s", slow, c.Timeout)
	}
	found := false
	for _, s := range recorder.Ended() {
		found = found || s.SpanContext().TraceID().String() == slow.TraceID
	}
	if !found {
		t.Errorf("slowest %+v has no span", slow)
	}
}

// The end of ctx cuts off what is in flight, and ends the pacer's wait.
func TestRunEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var requests atomic.Int64
	h := albums()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch requests.Add(1) {
		case 20:
			cancel()
			fallthrough
		case 10:
			<-r.Context().Done() // never answered
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.Duration = time.Hour
	r := Run(ctx, c)
	// Besides these two, others may have been on their way.
	if n := r.Requests + r.Interrupted; r.Interrupted < 2 || r.Failed != 0 || n < 20 || n > 200 {
		t.Errorf("%d requests, %d failed, %d cut off, want about 18, 0 and 2", r.Requests, r.Failed, r.Interrupted)
	}
}

func TestUnsampledTracesAreNotNamed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(albums())
	defer server.Close()
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	c.Duration = 100 * time.Millisecond
	r := Run(t.Context(), c)
	if r.Requests != 20 || r.Failed != 0 || len(r.Slowest) != maxSlow {
		t.Fatalf("%d requests, %d failed, %d slow, want 20, 0, %d", r.Requests, r.Failed, len(r.Slowest), maxSlow)
	}
	for _, s := range r.Slowest {
		if s.TraceID != "" {
			t.Errorf("slow request %+v names a trace that nobody keeps", s)
		}
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		want   string
	}{
		{http.StatusOK, ""},
		{http.StatusNotFound, "/healthz answered 404 Not Found: that is no album service"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" {
				t.Errorf("probe asks for %s, want /healthz", r.URL.Path)
			}
			w.WriteHeader(tt.status)
		}))
		err := Probe(t.Context(), server.URL)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != server.URL+tt.want) {
			t.Errorf("Probe with status %d = %v, want %q", tt.status, err, tt.want)
		}
		server.Close()
	}
}

func BenchmarkAttack(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.TracerProvider = sdktrace.NewTracerProvider()
	c.Rate, c.Duration = 100_000, time.Duration(b.N)*10*time.Microsecond
	b.ReportAllocs()
	r := Run(b.Context(), c)
	b.ReportMetric(r.reached(), "requests/s")
}

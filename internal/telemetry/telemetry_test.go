package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) {
	retryLimit = time.Hour
	os.Exit(m.Run())
}

// receiver is an OTLP/HTTP endpoint that keeps what it is sent.
type receiver struct {
	respond func(w http.ResponseWriter, req *http.Request) bool // true: it has

	mu      sync.Mutex
	traces  []*coltrace.ExportTraceServiceRequest
	metrics []*colmetrics.ExportMetricsServiceRequest
	logs    []*collogs.ExportLogsServiceRequest
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.respond != nil && r.respond(w, req) {
		return
	}
	var body io.Reader = req.Body
	if req.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch req.URL.Path {
	case "/v1/traces":
		m := new(coltrace.ExportTraceServiceRequest)
		err = proto.Unmarshal(b, m)
		r.traces = append(r.traces, m)
	case "/v1/metrics":
		m := new(colmetrics.ExportMetricsServiceRequest)
		err = proto.Unmarshal(b, m)
		r.metrics = append(r.metrics, m)
	case "/v1/logs":
		m := new(collogs.ExportLogsServiceRequest)
		err = proto.Unmarshal(b, m)
		r.logs = append(r.logs, m)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (r *receiver) spanNames() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, m := range r.traces {
		for _, rs := range m.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					names = append(names, s.Name)
				}
			}
		}
	}
	return names
}

// resource returns the attributes of the first resource that sent spans.
func (r *receiver) resource() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	attributes := map[string]string{}
	for _, kv := range r.traces[0].ResourceSpans[0].Resource.Attributes {
		attributes[kv.Key] = kv.Value.GetStringValue()
	}
	return attributes
}

// setup sets the environment and starts telemetry in it. The environment, like
// the error handler, is the whole process': these tests run one by one.
func setup(t *testing.T, env map[string]string, logs io.Writer) *Telemetry {
	t.Helper()
	clearVariables(t)
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BLRP_EXPORT_TIMEOUT", "OTEL_METRIC_EXPORT_TIMEOUT"} {
		t.Setenv(name, "600000") // on a busy machine
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	t.Setenv("OTEL_GO_X_OBSERVABILITY", "")
	t.Setenv("OTEL_GO_X_PER_SERIES_START_TIMESTAMPS", "")
	tel, err := Setup(t.Context(), Config{Name: "test-service", Logs: logs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		tel.Shutdown(ctx)
	})
	return tel
}

func TestSignals(t *testing.T) {
	rec := new(receiver)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	var lines bytes.Buffer
	tel := setup(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL,
		"OTEL_RESOURCE_ATTRIBUTES":    "deployment.environment.name=native",
	}, &lines)
	ctx, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "work")
	span.SetAttributes(attribute.String("client.address", "192.0.2.1"), attribute.String("url.path", "/x"), attribute.String("url.full", "http://h/x?q=secret"))
	tel.Logger.InfoContext(ctx, "hello", slog.Int("n", 1))
	h, err := tel.MeterProvider.Meter("t").Float64Histogram("work.duration")
	if err != nil {
		t.Fatal(err)
	}
	h.Record(ctx, 0.25)
	span.End()

	// The same instrument on the page of /metrics.
	page := httptest.NewRecorder()
	tel.Metrics.ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(page.Body.String(), "work_duration_count 1\n") || !strings.Contains(page.Body.String(), "work_duration_bucket{") {
		t.Errorf("/metrics lacks the histogram:\n%s", page.Body)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	var line struct {
		Msg     string `json:"msg"`
		Service string `json:"service.name"`
		TraceID string `json:"trace_id"`
		SpanID  string `json:"span_id"`
	}
	if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Msg != "hello" || line.Service != "test-service" ||
		line.TraceID != span.SpanContext().TraceID().String() || line.SpanID != span.SpanContext().SpanID().String() {
		t.Errorf("log line %s, %v", lines.String(), err)
	}
	if names := rec.spanNames(); len(names) != 1 || names[0] != "work" {
		t.Fatalf("spans %v, want work", names)
	}
	for _, kv := range rec.traces[0].ResourceSpans[0].ScopeSpans[0].Spans[0].Attributes {
		if kv.Key != "url.path" && !(kv.Key == "url.full" && kv.Value.GetStringValue() == "http://h/x?q=REDACTED") {
			t.Errorf("attribute %s left the process", kv.Key)
		}
	}
	res := rec.resource()
	for name, want := range map[string]string{"service.name": "test-service", "service.namespace": "soundcheck", "deployment.environment.name": "native"} {
		if res[name] != want {
			t.Errorf("%s = %q, want %q", name, res[name], want)
		}
	}
	for _, name := range []string{"service.instance.id", "service.version"} {
		if res[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	if res["process.owner"] != "" || res["process.command_args"] != "" || res["process.command_line"] != "" {
		t.Errorf("the resource names persons: %v", res)
	}
	if r := rec.logs[0].ResourceLogs[0].ScopeLogs[0].LogRecords[0]; r.Body.GetStringValue() != "hello" || string(r.TraceId) != string(idOf(span.SpanContext().TraceID())) {
		t.Errorf("log record %v", r)
	}
	found := false
	for _, m := range rec.metrics {
		for _, rm := range m.ResourceMetrics {
			for _, sm := range rm.ScopeMetrics {
				for _, metric := range sm.Metrics {
					if metric.Name != "work.duration" {
						continue
					}
					found = true
					if p := metric.GetExponentialHistogram().GetDataPoints(); len(p) != 1 || p[0].Count != 1 || *p[0].Sum != 0.25 || len(p[0].Exemplars) != 1 {
						t.Errorf("work.duration = %v, want one exponential histogram with an exemplar", metric)
					}
				}
			}
		}
	}
	if !found {
		t.Error("work.duration was not sent")
	}
}

func idOf[T ~[16]byte](id T) []byte { return id[:] }

func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !check(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

func TestEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name    string
		env     map[string]string
		spans   int
		service string
	}{
		{"default", nil, 1, "test-service"},
		{"another name", map[string]string{"OTEL_SERVICE_NAME": "mine"}, 1, "mine"},
		{"sampler", map[string]string{"OTEL_TRACES_SAMPLER": "always_off"}, 0, ""},
		{"disabled", map[string]string{"OTEL_SDK_DISABLED": "true"}, 0, ""},
		{"no traces", map[string]string{"OTEL_TRACES_EXPORTER": "none"}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := new(receiver)
			srv := httptest.NewServer(rec)
			defer srv.Close()
			env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL}
			for name, value := range tt.env {
				env[name] = value
			}
			tel := setup(t, env, io.Discard)
			ctx, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "work")
			tel.Logger.InfoContext(ctx, "hello")
			span.End()
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := rec.spanNames(); len(got) != tt.spans {
				t.Errorf("spans %v, want %d", got, tt.spans)
			}
			if tt.spans > 0 && rec.resource()["service.name"] != tt.service {
				t.Errorf("service.name = %q, want %q", rec.resource()["service.name"], tt.service)
			}
			if tt.env["OTEL_SDK_DISABLED"] != "" && (len(rec.logs) > 0 || len(rec.metrics) > 0) {
				t.Error("something was sent although the SDK is disabled")
			}
		})
	}
}

// The famous one: an OTLP/gRPC exporter that is pointed at an HTTP/1.1 server.
func TestHintForGRPCToHTTP1(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	ctx := t.Context()
	exp, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(srv.URL), otlptracegrpc.WithTimeout(5*time.Minute), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	defer exp.Shutdown(context.Background())
	err = exp.ExportSpans(ctx, tracetest.SpanStubs{{Name: "x"}}.Snapshots())
	if err == nil || !strings.Contains(Hint(err), "an HTTP/1.1 server responded to a gRPC exporter") {
		t.Errorf("Hint(%v) = %q", err, Hint(err))
	}
	if h := Hint(errors.New("something else")); h != "" {
		t.Errorf("Hint(something else) = %q, want none", h)
	}
}

// A Collector that is unavailable for long must not flood the log.
func TestErrorsAreRareInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := &ErrorCounter{log: NewLogger(&log, "x")}
		for range 100 { // one a second
			e.Handle(&UndeliveredError{errors.New("connection refused")})
			e.Handle(errors.New("a sampler"))
			time.Sleep(time.Second)
		}
		for _, message := range []string{"telemetry not delivered", "telemetry error"} {
			if n := strings.Count(log.String(), `"msg":"`+message); n != 4 {
				t.Errorf("%d lines %q in 100 s, want 4:\n%s", n, message, log.String())
			}
		}
		if !strings.Contains(log.String(), `"suppressed":29`) || !strings.Contains(log.String(), "no OpenTelemetry Collector listens there") {
			t.Errorf("log:\n%s, want the count and a hint", log.String())
		}
		if n, err := e.Last(); n != 100 || err == nil {
			t.Errorf("Last() = %d, %v, want 100 errors", n, err)
		}
	})
}

var _ trace.SpanExporter = spanExporter{}

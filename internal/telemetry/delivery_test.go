package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"soundcheck/internal/cli/clitest"
)

// grpcReceiver is the receiver over gRPC.
type grpcReceiver struct {
	coltrace.UnimplementedTraceServiceServer
	*receiver
}

func (r grpcReceiver) Export(_ context.Context, m *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.traces = append(r.traces, m)
	return new(coltrace.ExportTraceServiceResponse), nil
}

// Nothing waits for a Collector. When it listens it is sent also what was made
// shortly before.
func TestCollectorAppears(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			addr := clitest.FreeAddr(t)
			tel := setup(t, map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + addr,
				"OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
				"OTEL_BSP_SCHEDULE_DELAY":     "20",
			}, io.Discard)
			_, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "before")
			span.End()
			refuse(t, addr)
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			rec := new(receiver)
			if protocol == "grpc" {
				srv := grpc.NewServer()
				coltrace.RegisterTraceServiceServer(srv, grpcReceiver{receiver: rec})
				go srv.Serve(l)
				defer srv.Stop()
			} else {
				srv := &http.Server{Handler: rec}
				go srv.Serve(l)
				defer srv.Close()
			}
			until(t, "the span of before at the receiver", func() bool { return slices.Contains(rec.spanNames(), "before") })
		})
	}
}

// refuse closes the first connection to addr before the export.
func refuse(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// At shutdown there are no retries, and the error has the cause.
func TestNoCollector(t *testing.T) {
	tel := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + clitest.ClosedAddr(t)}, io.Discard)
	_, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "lost")
	span.End()
	err := tel.Shutdown(t.Context())
	if !errors.Is(err, syscall.ECONNREFUSED) || Hint(err) == "" {
		t.Errorf("Shutdown = %v, want a refused connection and a hint", err)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		err   error
		calls int
	}{
		{"nobody listens", syscall.ECONNREFUSED, 3},
		{"no such name", &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}}, 3},
		{"no such address", &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}}, 3},
		{"its address is gone", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.EHOSTUNREACH)}, 3},
		{"slow", &url.Error{Op: "Post", Err: context.DeadlineExceeded}, 1},
		{"somebody refuses", errors.New("400 Bad Request"), 1},
		{"delivered", nil, 1},
	} {
		p := newRetrier()
		calls := 0
		err := p.retry(t.Context(), func(context.Context) error {
			if calls++; calls == 3 {
				return nil
			}
			return tt.err
		})
		if calls != tt.calls || (err != nil) != (tt.calls == 1 && tt.err != nil) {
			t.Errorf("%s: %d calls, %v, want %d calls", tt.name, calls, err, tt.calls)
		}
	}
	over := newRetrier()
	over.end()
	over.end()
	calls := 0
	if err := over.retry(t.Context(), func(context.Context) error { calls++; return syscall.ECONNREFUSED }); err == nil || calls != 1 {
		t.Errorf("at the end: %d calls, %v, want one, refused", calls, err)
	}
}

// exported returns how many items the metrics that were sent last count, by error.type.
func (r *receiver) exported(item string) map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := map[string]int64{}
	if len(r.metrics) == 0 {
		return got
	}
	for _, sm := range r.metrics[len(r.metrics)-1].ResourceMetrics[0].ScopeMetrics {
		for _, m := range sm.Metrics {
			if m.Name == "otel.sdk.exporter.span.inflight" {
				got["in flight, always 0"]++
			}
			if m.Name != "otel.sdk.exporter."+item+".exported" {
				continue
			}
			for _, p := range m.GetSum().DataPoints {
				reason := ""
				for _, kv := range p.Attributes {
					if kv.Key == "error.type" {
						reason = kv.Value.GetStringValue()
					}
				}
				if p.GetAsInt() > 0 {
					got[reason] += p.GetAsInt()
				}
			}
		}
	}
	return got
}

// An item is counted once, when its fate is known: a retry that arrives is no loss, and
// items that cannot be encoded or are rejected are lost.
func TestExported(t *testing.T) {
	for _, tt := range []struct {
		name     string
		respond  func(attempt int64, w http.ResponseWriter) bool
		want     map[string]int64
		attempts int64
		lines    int // "telemetry not delivered"
		warnings int // "telemetry error"
	}{
		{"delivered", func(int64, http.ResponseWriter) bool { return false }, map[string]int64{"": 2}, 1, 0, 0},
		{"at the third attempt", func(n int64, w http.ResponseWriter) bool {
			if n <= 2 {
				cut(w)
			}
			return n <= 2
		}, map[string]int64{"": 2}, 3, 0, 0},
		{"partial success", func(_ int64, w http.ResponseWriter) bool {
			return partialSuccess(w, &coltrace.ExportTracePartialSuccess{RejectedSpans: 1, ErrorMessage: "too (old)"})
		}, map[string]int64{"": 1, "rejected": 1}, 1, 1, 0},
		{"partial success that rejects nothing", func(_ int64, w http.ResponseWriter) bool {
			return partialSuccess(w, &coltrace.ExportTracePartialSuccess{ErrorMessage: "attribute db.system is deprecated"})
		}, map[string]int64{"": 2}, 1, 0, 1},
		{"refused", func(_ int64, w http.ResponseWriter) bool {
			http.Error(w, "no", http.StatusBadRequest)
			return true
		}, map[string]int64{"_OTHER": 2}, 1, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var attempts atomic.Int64
			rec := &receiver{respond: func(w http.ResponseWriter, req *http.Request) bool {
				return req.URL.Path == "/v1/traces" && tt.respond(attempts.Add(1), w)
			}}
			srv := httptest.NewServer(rec)
			defer srv.Close()
			var lines bytes.Buffer
			tel := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL,
				"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2", "OTEL_BSP_SCHEDULE_DELAY": "3600000"}, &lines) // both in one export
			for range 2 {
				_, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "work")
				span.End()
			}
			until(t, "export", func() bool { return attempts.Load() == tt.attempts })
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if got := rec.exported("span"); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("counted %v, want %v", got, tt.want)
			}
			for message, want := range map[string]int{"telemetry not delivered": tt.lines, "telemetry error": tt.warnings} {
				if n := strings.Count(lines.String(), message); n != want {
					t.Errorf("%d lines %q, want %d:\n%s", n, message, want, lines.String())
				}
			}
			if rec.exported("metric_data_point")["_OTHER"] != 0 {
				t.Error("metrics count as lost")
			}
		})
	}
}

// What an exporter cannot encode is counted, although it is not by the exporter.
func TestNotEncoded(t *testing.T) {
	rec := new(receiver)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	tel := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL}, io.Discard)
	exporter, err := otlptracehttp.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := newDelivery(newRetrier(), spanItem, "otlp_http_span_exporter")
	if err := d.instrument(tel.MeterProvider); err != nil {
		t.Fatal(err)
	}
	err = d.deliver(t.Context(), 1, func(ctx context.Context) error {
		return exporter.ExportSpans(ctx, tracetest.SpanStubs{{Name: "\xff"}}.Snapshots())
	})
	if !errors.As(err, new(*UndeliveredError)) {
		t.Errorf("deliver = %v", err)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := rec.exported("span"); !reflect.DeepEqual(got, map[string]int64{"invalid": 1}) {
		t.Errorf("counted %v, want one that is invalid", got)
	}
}

// partialSuccess responds with p.
func partialSuccess(w http.ResponseWriter, p *coltrace.ExportTracePartialSuccess) bool {
	b, err := proto.Marshal(&coltrace.ExportTraceServiceResponse{PartialSuccess: p})
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Write(b)
	return true
}

// cut ends a request's connection without a response.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Close()
}

// An export of metrics that is in flight when the program ends is delivered, not canceled.
func TestShutdownWaitsForExport(t *testing.T) {
	begun := make(chan struct{})
	var first sync.Once
	rec := &receiver{respond: func(_ http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path == "/v1/metrics" {
			first.Do(func() {
				close(begun)
				time.Sleep(100 * time.Millisecond) // in which Shutdown is called
			})
		}
		return false
	}}
	srv := httptest.NewServer(rec)
	defer srv.Close()
	tel := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL, "OTEL_METRIC_EXPORT_INTERVAL": "10"}, io.Discard)
	counter, err := tel.MeterProvider.Meter("t").Int64Counter("work")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 1)
	<-begun
	var said bytes.Buffer
	tel.Finish(t.Context(), &said)
	if n, last := tel.Errors.Last(); n > 0 || said.Len() > 0 {
		t.Errorf("%d errors, the last is %v; %q", n, last, &said)
	}
}

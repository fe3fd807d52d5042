package telemetry

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger that writes JSON lines to w, each with the name of
// the service and, inside a span, trace_id and span_id.
func NewLogger(w io.Writer, name string) *slog.Logger {
	return slog.New(traceHandler{slog.NewJSONHandler(w, nil)}).With("service.name", name)
}

// traceHandler adds trace_id and span_id to the lines that belong to a span.
type traceHandler struct{ slog.Handler }

func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}

func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name)}
}

// errorInterval is how often a lasting delivery problem is logged.
const errorInterval = 30 * time.Second

// ErrorCounter counts the errors of telemetry's own delivery, and logs one every
// 30 s at most: a Collector that is away must not flood the log.
type ErrorCounter struct {
	log   *slog.Logger
	quiet bool

	mu     sync.Mutex
	count  int
	last   error
	logged time.Time
	held   int // errors since the last line
}

// Handle implements otel.ErrorHandler.
func (e *ErrorCounter) Handle(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count++
	e.last = err
	if e.quiet {
		return
	}
	if time.Since(e.logged) < errorInterval {
		e.held++
		return
	}
	attrs := []any{slog.String("error", err.Error()), slog.Int("more_since_last_line", e.held)}
	if hint := Hint(err); hint != "" {
		attrs = append(attrs, slog.String("hint", hint))
	}
	// This log has no OTLP side: a line about delivery must not need delivery.
	e.log.Warn("telemetry not delivered", attrs...)
	e.logged, e.held = time.Now(), 0
}

// Last returns how many errors there were, and the last one.
func (e *ErrorCounter) Last() (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count, e.last
}

// Hint says what to do about a delivery error, or "" if it speaks for itself.
func Hint(err error) string {
	switch s := err.Error(); {
	case strings.Contains(s, "frame too large"), strings.Contains(s, "HTTP/1.1 header"):
		return "an HTTP/1.1 server answered a gRPC exporter: point OTEL_EXPORTER_OTLP_ENDPOINT at the gRPC port (4317), or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf for port 4318"
	case strings.Contains(s, "connection refused"):
		return "no OpenTelemetry Collector listens there: start the lab (make lab-up), set OTEL_EXPORTER_OTLP_ENDPOINT, or turn telemetry off with OTEL_SDK_DISABLED=true"
	}
	return ""
}

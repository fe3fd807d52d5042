package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger that writes JSON lines to w, each with the name of
// the service and, inside a span, trace_id and span_id.
func NewLogger(w io.Writer, name string) *slog.Logger {
	return slog.New(traceHandler{slog.NewJSONHandler(w, nil)}).With("service.name", name)
}

// newLogHandler returns a handler that writes JSON lines to w, and the same records to lp, or to plain
// if they have no duplicate keys for certain.
func newLogHandler(w io.Writer, name string, lp, plain *sdklog.LoggerProvider) slog.Handler {
	both := slog.NewMultiHandler(NewLogger(w, name).Handler(), errorText{otelslog.NewHandler("soundcheck", otelslog.WithLoggerProvider(lp))})
	return &fastHandler{Handler: both, w: w, service: name, logger: plain.Logger("soundcheck")}
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

// errorText turns errors into strings for the bridge, which takes an error for the record's exception
// and drops its key. So the JSON line and the record are equal.
type errorText struct{ slog.Handler }

func textOf(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(err.Error())
	}
	return a
}

func (h errorText) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(textOf(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

func (h errorText) WithAttrs(attrs []slog.Attr) slog.Handler {
	attrs = slices.Clone(attrs)
	for i, a := range attrs {
		attrs[i] = textOf(a)
	}
	return errorText{h.Handler.WithAttrs(attrs)}
}

func (h errorText) WithGroup(name string) slog.Handler {
	return errorText{h.Handler.WithGroup(name)}
}

// sdkLogger is the SDK's internal logger, at OTEL_LOG_LEVEL.
func sdkLogger(w io.Writer, name string) logr.Logger {
	level, ok := map[string]slog.Level{ // the SDK's verbosities are 1, 4 and 8
		"none": slog.LevelError + 1, "error": slog.LevelError, "info": -4, "debug": -8,
	}[os.Getenv("OTEL_LOG_LEVEL")]
	if !ok {
		level = -1
	}
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if l, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && l < slog.LevelError {
			a.Value = slog.StringValue(map[slog.Level]string{-1: "WARN", -4: "INFO", -8: "DEBUG"}[l])
		}
		return a
	}})
	return logr.FromSlogHandler(h.WithAttrs([]slog.Attr{slog.String("service.name", name)}))
}

// errorInterval is the interval of log lines about a lasting delivery error.
const errorInterval = 30 * time.Second

// ErrorCounter counts delivery errors of telemetry, and logs at most one per 30 s: an unavailable
// Collector must not flood the log.
type ErrorCounter struct {
	log   *slog.Logger
	quiet bool

	mu          sync.Mutex
	count       int
	last        error
	undelivered rare
	other       rare
}

// rare is the time of the last log line, and the number of errors since.
type rare struct {
	logged     time.Time
	suppressed int
}

// Handle implements otel.ErrorHandler. Not all of the SDK's errors are about delivery.
func (e *ErrorCounter) Handle(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	message, r := "telemetry not delivered", &e.undelivered
	if errors.As(err, new(*UndeliveredError)) {
		e.count++
		e.last = err
		if e.quiet {
			return
		}
	} else {
		message, r = "telemetry error", &e.other
	}
	if time.Since(r.logged) < errorInterval {
		r.suppressed++
		return
	}
	attrs := []any{slog.String("error", err.Error()), slog.Int("suppressed", r.suppressed)}
	if hint := Hint(err); hint != "" {
		attrs = append(attrs, slog.String("hint", hint))
	}
	// This logger does not export over OTLP: a delivery error must not need delivery.
	e.log.Warn(message, attrs...)
	*r = rare{logged: time.Now()}
}

// Last returns the number of errors and the last one.
func (e *ErrorCounter) Last() (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count, e.last
}

// Hint returns a remedy for a delivery error, or "".
func Hint(err error) string {
	switch s := err.Error(); {
	case strings.Contains(s, "frame too large"), strings.Contains(s, "HTTP/1.1 header"):
		return "an HTTP/1.1 server responded to a gRPC exporter: point OTEL_EXPORTER_OTLP_ENDPOINT at the gRPC port (4317), or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf for port 4318"
	case strings.Contains(s, "connection refused"):
		return "no OpenTelemetry Collector listens there: start the lab (make lab-up), set OTEL_EXPORTER_OTLP_ENDPOINT, or turn telemetry off with OTEL_SDK_DISABLED=true"
	}
	return ""
}

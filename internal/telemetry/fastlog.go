package telemetry

import (
	"context"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"
)

// fastHandler writes the JSON line and the OTLP record of a log call in one step, if its message and
// attributes are plain: numbers, booleans, and strings without escapes. That is the line of each
// request. Other calls go to next, which writes the same from any attributes at several times the
// cost.
type fastHandler struct {
	slog.Handler // next
	w            io.Writer
	service      string
	logger       log.Logger // nil: only lines
}

// maxPlain is the maximum number of attributes of a plain call.
const maxPlain = 12

var logLines = sync.Pool{New: func() any { return new([]byte) }}

// Handle implements slog.Handler.
func (h *fastHandler) Handle(ctx context.Context, r slog.Record) error {
	line := logLines.Get().(*[]byte)
	defer logLines.Put(line)
	var attributes [maxPlain]attribute.KeyValue
	b, n, ok := h.appendLine((*line)[:0], ctx, r, &attributes)
	if *line = b; !ok {
		return h.Handler.Handle(ctx, r)
	}
	_, err := h.w.Write(b)
	if h.logger == nil {
		return err
	}
	severity := log.Severity(r.Level) + log.SeverityInfo // slog.LevelInfo is 0
	if h.logger.Enabled(ctx, log.EnabledParameters{Severity: severity}) {
		var record log.Record
		record.SetTimestamp(r.Time)
		record.SetBody(attribute.StringValue(r.Message))
		record.SetSeverity(severity)
		record.SetSeverityText(r.Level.String())
		record.AddAttributes(attributes[:n]...)
		h.logger.Emit(ctx, record)
	}
	return err
}

// appendLine appends the line that slog.JSONHandler and traceHandler would write, and sets n
// attributes. It reports false if the call is not plain.
func (h *fastHandler) appendLine(b []byte, ctx context.Context, r slog.Record, attributes *[maxPlain]attribute.KeyValue) (_ []byte, n int, ok bool) {
	if year := r.Time.Year(); r.Level < slog.LevelInfo || r.NumAttrs() > maxPlain || r.Time.IsZero() || year < 0 || year > 9999 || !plain(r.Message) || !plain(h.service) {
		return b, 0, false
	}
	b = append(b, `{"time":"`...)
	b = r.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(append(b, `","level":"`...), r.Level.String()...)
	b = append(append(b, `","msg":"`...), r.Message...)
	b = append(append(b, `","service.name":"`...), h.service...)
	b = append(b, '"')
	ok = true
	r.Attrs(func(a slog.Attr) bool {
		ok = a.Key != "" && plain(a.Key)
		for _, kv := range attributes[:n] {
			ok = ok && string(kv.Key) != a.Key
		}
		if !ok {
			return false
		}
		b = append(append(append(b, `,"`...), a.Key...), `":`...)
		kv := attribute.KeyValue{Key: attribute.Key(a.Key)}
		switch v := a.Value; v.Kind() {
		case slog.KindString:
			s := v.String()
			ok = plain(s)
			b = append(append(append(b, '"'), s...), '"')
			kv.Value = attribute.StringValue(s)
		case slog.KindInt64:
			b = strconv.AppendInt(b, v.Int64(), 10)
			kv.Value = attribute.Int64Value(v.Int64())
		case slog.KindBool:
			b = strconv.AppendBool(b, v.Bool())
			kv.Value = attribute.BoolValue(v.Bool())
		case slog.KindFloat64:
			f := v.Float64()
			abs := math.Abs(f)
			ok = f == 0 || abs >= 1e-6 && abs < 1e21 // encoding/json writes others with an exponent
			b = strconv.AppendFloat(b, f, 'f', -1, 64)
			kv.Value = attribute.Float64Value(f)
		default:
			ok = false
		}
		attributes[n] = kv
		n++
		return ok
	})
	if sc := trace.SpanContextFromContext(ctx); ok && sc.IsValid() {
		id, span := sc.TraceID(), sc.SpanID()
		b = appendHex(append(b, `,"trace_id":"`...), id[:])
		b = appendHex(append(b, `","span_id":"`...), span[:])
		b = append(b, '"')
	}
	return append(b, "}\n"...), n, ok
}

// plain reports whether s needs no escapes in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func appendHex(b, id []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range id {
		b = append(b, digits[c>>4], digits[c&0xf])
	}
	return b
}

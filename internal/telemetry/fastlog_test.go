package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/trace"
)

// kept is an exporter that keeps records as text, without the time of observation.
type kept struct{ records []string }

func (k *kept) Export(_ context.Context, records []sdklog.Record) error {
	for _, r := range records {
		text := fmt.Sprint(r.Timestamp(), r.Body(), r.Severity(), r.SeverityText(), r.TraceID(), r.SpanID(), r.TraceFlags(), r.EventName(), r.InstrumentationScope())
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			text += fmt.Sprint(" ", kv.Key, "=", kv.Value.Type(), " ", kv.Value.String())
			return true
		})
		k.records = append(k.records, text)
	}
	return nil
}
func (k *kept) Shutdown(context.Context) error   { return nil }
func (k *kept) ForceFlush(context.Context) error { return nil }

// The fast handler writes the lines and the records of the handlers behind it.
func TestFastHandler(t *testing.T) {
	t.Parallel()
	span := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 0xab}, SpanID: trace.SpanID{2, 0xcd}, TraceFlags: 1}))
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	request := []slog.Attr{slog.String("http.request.method", "GET"), slog.String("url.path", "/albums/1"), slog.Int("http.response.status_code", 200),
		slog.Int64("size", -5), slog.Float64("duration_ms", 0.123), slog.Bool("b", true), slog.Float64("zero", 0), slog.Float64("big", 1e20), slog.String("empty", "")}
	for _, tt := range []struct {
		name  string
		ctx   context.Context
		level slog.Level
		at    time.Time
		msg   string
		attrs []slog.Attr
		plain bool
	}{
		{"request", span, slog.LevelInfo, at, "request", request, true},
		{"no span", t.Context(), slog.LevelError, time.Now(), "request", request, true},
		{"no attributes", span, slog.LevelWarn, at.In(time.FixedZone("", 3600)), "", nil, true},
		{"another level", span, slog.LevelInfo + 1, at, "x", nil, true},
		{"debug", span, slog.LevelDebug, at, "x", nil, false},
		{"no time", span, slog.LevelInfo, time.Time{}, "x", nil, false},
		{"far", span, slog.LevelInfo, at.AddDate(9000, 0, 0), "x", nil, false},
		{"message", span, slog.LevelInfo, at, "a\"b", nil, false},
		{"quote", span, slog.LevelInfo, at, "x", []slog.Attr{slog.String("a", `"`)}, false},
		{"backslash", span, slog.LevelInfo, at, "x", []slog.Attr{slog.String("a", `\`)}, false},
		{"html", span, slog.LevelInfo, at, "x<>&", []slog.Attr{slog.String("a", "<>&'")}, true},
		{"control", span, slog.LevelInfo, at, "x", []slog.Attr{slog.String("a", "\n\x7f")}, false},
		{"not ASCII", span, slog.LevelInfo, at, "x", []slog.Attr{slog.String("a", "é\xff")}, false},
		{"key", span, slog.LevelInfo, at, "x", []slog.Attr{slog.String("é", "x")}, false},
		{"no key", span, slog.LevelInfo, at, "x", []slog.Attr{slog.String("", "x")}, false},
		{"twice", span, slog.LevelInfo, at, "x", []slog.Attr{slog.Int("a", 1), slog.Int("a", 2)}, false},
		{"small", span, slog.LevelInfo, at, "x", []slog.Attr{slog.Float64("a", 1e-7)}, false},
		{"large", span, slog.LevelInfo, at, "x", []slog.Attr{slog.Float64("a", -1e21)}, false},
		{"infinite", span, slog.LevelInfo, at, "x", []slog.Attr{slog.Float64("a", math.Inf(1))}, false},
		{"error", span, slog.LevelInfo, at, "x", []slog.Attr{slog.Any("a", errors.New("failed"))}, false},
		{"duration", span, slog.LevelInfo, at, "x", []slog.Attr{slog.Duration("a", time.Second)}, false},
		{"group", span, slog.LevelInfo, at, "x", []slog.Attr{slog.Group("a", slog.Int("b", 1))}, false},
		{"many", span, slog.LevelInfo, at, "x", append(request[:len(request):len(request)], slog.Int("m", 1), slog.Int("n", 1), slog.Int("o", 1), slog.Int("p", 1)), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := slog.NewRecord(tt.at, tt.level, tt.msg, 0)
			r.AddAttrs(tt.attrs...)
			var lines [2]bytes.Buffer
			var records [2]kept
			for i := range lines {
				lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(&records[i])))
				plain := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(&records[i])), sdklog.WithAllowKeyDuplication())
				h := newLogHandler(&lines[i], "store", lp, plain)
				if i == 0 {
					h = h.(*fastHandler).Handler
				} else if _, _, ok := h.(*fastHandler).appendLine(nil, tt.ctx, r, new([maxPlain]attribute.KeyValue)); ok != tt.plain {
					t.Errorf("plain: %v, want %v", ok, tt.plain)
				}
				if err := h.Handle(tt.ctx, r); err != nil {
					t.Fatal(err)
				}
			}
			if lines[0].String() != lines[1].String() {
				t.Errorf("%s, want %s", &lines[1], &lines[0])
			}
			if a, b := fmt.Sprint(records[0].records), fmt.Sprint(records[1].records); a != b || len(a) < 10 {
				t.Errorf("%s, want %s", b, a)
			}
		})
	}
	// With attributes or in a group, the other handlers log.
	var line bytes.Buffer
	slog.New(newLogHandler(&line, "store", sdklog.NewLoggerProvider(), sdklog.NewLoggerProvider())).With("a", 1).WithGroup("g").Info("x", "b", 2)
	if !bytes.Contains(line.Bytes(), []byte(`"service.name":"store","a":1,"g":{"b":2}`)) {
		t.Error(line.String())
	}
}

// fuzzed are the attributes of FuzzFastHandler's calls. Keys may be equal.
func fuzzed(key, value string, n int64, f float64, b bool) []slog.Attr {
	return []slog.Attr{slog.String("text", value), slog.String(key, "x"), slog.Int64("n", n), slog.Float64("f", f), slog.Bool("b", b), slog.Any("any", value),
		slog.Uint64("u", uint64(n)), slog.Duration("d", time.Duration(n)), slog.Time("t", time.Unix(n%1e10, 0))}
}

// The fast handler writes the line of the handlers behind it for any call.
func FuzzFastHandler(f *testing.F) {
	f.Add("request", "url.path", "/albums/1", int64(200), 0.123, true, 0, int64(1_700_000_000), uint16(31))
	f.Add("a\"b", "text", "<é\xff\x7f>", int64(-1), 1e-6, false, 8, int64(-1), uint16(511))
	f.Add("", "", "", int64(math.MinInt64), 1e21, false, 1, int64(0), uint16(2))
	f.Fuzz(func(t *testing.T, message, key, value string, n int64, number float64, b bool, level int, at int64, which uint16) {
		r := slog.NewRecord(time.Unix(at, n&0xffff).UTC(), slog.Level(level), message, 0)
		for i, a := range fuzzed(key, value, n, number, b) {
			if which>>i&1 == 1 {
				r.AddAttrs(a)
			}
		}
		var got, want bytes.Buffer
		behind := NewLogger(&want, "store").Handler()
		if !behind.Enabled(t.Context(), r.Level) {
			return
		}
		errWant := behind.Handle(t.Context(), r)
		errGot := (&fastHandler{Handler: NewLogger(&got, "store").Handler(), w: &got, service: "store"}).Handle(t.Context(), r)
		if got.String() != want.String() || (errGot == nil) != (errWant == nil) {
			t.Errorf("%q, %v, want %q, %v", got.String(), errGot, want.String(), errWant)
		}
	})
}

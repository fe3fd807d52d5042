package telemetry

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

func TestText(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limit       int
		given, want string
	}{
		"fits":                {3, "abc", "abc"},
		"characters":          {3, "äöü", "äöü"},
		"cut":                 {3, "äöüß", "äöü"},
		"none":                {0, "a", ""},
		"not UTF-8":           {9, "/albums/\xff", "/albums/\uFFFD"},
		"cut and not":         {2, "\xff\xfe\xfdab", "\uFFFDa"},
		"no limit":            {-1, strings.Repeat("x", 99) + "\xff", strings.Repeat("x", 99) + "\uFFFD"},
		"cut in a character":  {1, "😀😀", "😀"},
		"long and wrong":      {2, strings.Repeat("a\xff", 50), "a\uFFFD"},
		"begins in the midst": {4, "\x98\x80a", "\uFFFDa"},
	} {
		if got := (text{tt.limit}).string(tt.given); got != tt.want {
			t.Errorf("%s: string(%q) = %q, want %q", name, tt.given, got, tt.want)
		}
	}
	list := []attribute.KeyValue{
		attribute.String("a", "ok"), attribute.String("b\xff", "long"), attribute.StringSlice("c", []string{"x", "\xff"}),
		attribute.Map("d", attribute.String("e", "\xff")), attribute.Slice("f", attribute.StringValue("\xff"), attribute.IntValue(1)), attribute.Int("g", 12345),
	}
	given := append([]attribute.KeyValue(nil), list...)
	want := []attribute.KeyValue{
		attribute.String("a", "ok"), attribute.String("b\uFFFD", "lon"), attribute.StringSlice("c", []string{"x", "\uFFFD"}),
		attribute.Map("d", attribute.String("e", "\uFFFD")), attribute.Slice("f", attribute.StringValue("\uFFFD"), attribute.IntValue(1)), attribute.Int("g", 12345),
	}
	if got := (text{3}).attributes(list); !reflect.DeepEqual(got, want) {
		t.Errorf("attributes = %v, want %v", got, want)
	}
	if !reflect.DeepEqual(list, given) {
		t.Errorf("the span's own attributes were changed: %v", list)
	}
}

// Whatever a signal contains, its neighbours arrive, and so does it.
func TestNeighboursArrive(t *testing.T) {
	rec := new(receiver)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	bad, long := "\xff", strings.Repeat("\U0001F600", 65500)
	tel := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL, "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=%FF"}, io.Discard)
	tracer := tel.TracerProvider.Tracer("t")
	_, good := tracer.Start(t.Context(), "good")
	for _, text := range []string{bad, long} {
		ctx, span := tracer.Start(t.Context(), text, trace.WithLinks(trace.Link{SpanContext: good.SpanContext(), Attributes: []attribute.KeyValue{attribute.String("link", text)}}))
		span.SetAttributes(attribute.String("user_agent.original", text), attribute.StringSlice("list", []string{text}))
		span.AddEvent(text, trace.WithAttributes(attribute.String("event", text)))
		span.SetStatus(codes.Error, text)
		tel.Logger.InfoContext(ctx, text, slog.String("url.path", text), slog.Group("group", slog.String("in", text)))
		counter, err := tel.MeterProvider.Meter("t").Int64Counter("n")
		if err != nil {
			t.Fatal(err)
		}
		counter.Add(ctx, 1, metric.WithAttributes(attribute.String("text", text)))
		span.End()
	}
	good.End()
	tel.Logger.Info("good")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := rec.spanNames(); len(got) != 3 || got[0] != "\uFFFD" || len([]rune(got[1])) != 4096 || got[2] != "good" {
		t.Errorf("%d spans, want three with names that fit", len(got))
	}
	logs, points := 0, 0
	for _, m := range rec.logs {
		logs += len(m.ResourceLogs[0].ScopeLogs[0].LogRecords)
	}
	for _, m := range rec.metrics[len(rec.metrics)-1:] { // each export has all points
		for _, sm := range m.ResourceMetrics[0].ScopeMetrics {
			for _, metric := range sm.Metrics {
				if metric.Name == "n" {
					points += len(metric.GetSum().DataPoints)
				}
			}
		}
	}
	if logs != 3 || points != 2 {
		t.Errorf("%d log records and %d points, want 3 and 2", logs, points)
	}
	for _, m := range []proto.Message{rec.traces[0], rec.logs[0], rec.metrics[len(rec.metrics)-1]} {
		if n := longest(m); n > 4096*4 {
			t.Errorf("%T holds a text of %d bytes", m, n)
		}
	}
	// What was sent was counted, and nothing as lost.
	if got := rec.exported("span"); !reflect.DeepEqual(got, map[string]int64{"": 3}) {
		t.Errorf("spans counted: %v, want 3 exported", got)
	}
	if got := rec.exported("log"); !reflect.DeepEqual(got, map[string]int64{"": 3}) {
		t.Errorf("log records counted: %v, want 3 exported", got)
	}
}

// longest returns the length of the longest text in m.
func longest(m proto.Message) int {
	n := 0
	for line := range strings.SplitSeq(strings.ReplaceAll(m.(interface{ String() string }).String(), `\"`, ""), `"`) {
		n = max(n, len(line))
	}
	return n
}

// Many long texts come in parts that a receiver takes, and all of them come.
func TestParts(t *testing.T) {
	rec := new(receiver)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	tel := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL}, io.Discard)
	long := strings.Repeat("\U0001F600", 4096)
	const n = 500
	for range n {
		ctx, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "work")
		span.SetAttributes(attribute.String("a", long), attribute.StringSlice("b", []string{long}))
		tel.Logger.InfoContext(ctx, "work", slog.String("a", long), slog.String("b", long))
		span.End()
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(rec.spanNames()); got != n {
		t.Errorf("%d spans, want %d", got, n)
	}
	logs := 0
	for _, m := range rec.logs {
		logs += len(m.ResourceLogs[0].ScopeLogs[0].LogRecords)
		if size := proto.Size(m); size > 4<<20 {
			t.Errorf("%d bytes of log records at once", size)
		}
	}
	for _, m := range rec.traces {
		if size := proto.Size(m); size > 4<<20 {
			t.Errorf("%d bytes of spans at once", size)
		}
	}
	if got := rec.exported("span"); logs != n || got[""] != n {
		t.Errorf("%d log records, spans counted %v, want %d", logs, got, n)
	}
}

// A record over OTLP has the attributes of the JSON line, also those that are errors.
func TestErrorKeepsItsKey(t *testing.T) {
	rec := new(receiver)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	tel := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL}, io.Discard)
	tel.Logger.With("first", io.EOF).WithGroup("g").Error("panic", "value", io.ErrUnexpectedEOF, slog.Group("h", "in", io.ErrClosedPipe))
	tel.Logger.Error("panic", "value", io.ErrUnexpectedEOF, "error", io.EOF)
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range rec.logs {
		for _, r := range m.ResourceLogs[0].ScopeLogs[0].LogRecords {
			got = append(got, flat("", r.Attributes)...)
		}
	}
	slices.Sort(got)
	want := []string{"error=EOF", "first=EOF", "g.h.in=io: read/write on closed pipe", "g.value=unexpected EOF", "value=unexpected EOF"}
	if !slices.Equal(got, want) {
		t.Errorf("attributes %q, want %q", got, want)
	}
}

func flat(prefix string, list []*common.KeyValue) (texts []string) {
	for _, kv := range list {
		if l := kv.Value.GetKvlistValue(); l != nil {
			texts = append(texts, flat(prefix+kv.Key+".", l.Values)...)
			continue
		}
		texts = append(texts, prefix+kv.Key+"="+kv.Value.GetStringValue())
	}
	return texts
}

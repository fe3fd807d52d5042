package db

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
	"soundcheck/internal/telemetry/telemetrytest"
)

// A call's statements are client spans below its domain span, without values. What
// belongs to no call, such as the queue's polling, has none.
func TestSpans(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		rec := telemetrytest.New(t)
		s := open(t, Config{URL: url, TracerProvider: rec.TracerProvider, MeterProvider: rec.MeterProvider})
		svc := album.Traced(s, rec.TracerProvider)
		secret := albumtest.New(4242)
		secret.Title, secret.Artist = "Secret Title", "Secret Artist"
		albumtest.Create(t, svc, secret)
		if _, err := svc.List(t.Context(), album.Query{Limit: 5, Filter: album.Filter{Artist: "Secret Artist"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := svc.Get(t.Context(), 99); err == nil {
			t.Error("Get(99) found something")
		}
		op, _, err := svc.Submit(t.Context(), album.One(albumtest.New(0)))
		if err != nil {
			t.Fatal(err)
		}
		albumtest.Await(t, s, op.ID)

		var spans tracetest.SpanStubs
		for deadline := time.Now().Add(5 * time.Minute); find(spans, "album.work") == nil; time.Sleep(5 * time.Millisecond) {
			if spans = rec.Spans(); time.Now().After(deadline) {
				t.Fatal("no span album.work")
			}
		}
		for _, s := range spans {
			if text := telemetrytest.Attributes(s.Attributes); strings.Contains(text, "Secret") || strings.Contains(s.Name, "Secret") {
				t.Errorf("span %s {%s} holds values", s.Name, text)
			}
			if !s.Parent.IsValid() && s.Name != "album.work" && !strings.HasPrefix(s.Name, "album.") {
				t.Errorf("span %s belongs to no call", s.Name)
			}
		}
		list := find(spans, "album.list")
		statement := below(spans, list)
		if len(statement) != 1 || statement[0].Name != "SELECT albums" || statement[0].SpanKind != trace.SpanKindClient {
			t.Fatalf("below album.list: %v, want one client span SELECT albums", statement)
		}
		attributes := telemetrytest.Attributes(statement[0].Attributes)
		if !strings.Contains(attributes, "db.system.name="+s.dialect.system()) || !strings.Contains(attributes, "artist = $2") {
			t.Errorf("SELECT albums {%s} lacks the system or the statement", attributes)
		}
		if got := below(spans, find(spans, "album.get")); len(got) != 1 {
			t.Errorf("below album.get: %v", got)
		}
		// The worker's span is a trace of its own that links to the request's.
		work, submit := find(spans, "album.work"), find(spans, "album.submit")
		if work.SpanContext.TraceID() == submit.SpanContext.TraceID() || len(work.Links) != 1 ||
			work.Links[0].SpanContext.SpanID() != submit.SpanContext.SpanID() || work.SpanKind != trace.SpanKindConsumer {
			t.Errorf("album.work %v with links %v, want one to %v", work.SpanContext, work.Links, submit.SpanContext)
		}
		if op.TraceID != submit.SpanContext.TraceID().String() {
			t.Errorf("the operation's trace is %s, want %s", op.TraceID, submit.SpanContext.TraceID())
		}
		for _, metric := range []string{"db.client.operation.duration", "db.sql.connection.open", "db.sql.connection.max_open"} {
			rec.Metric(metric) // fails the test if there is none
		}
	})
}

func find(spans tracetest.SpanStubs, name string) *tracetest.SpanStub {
	for i := range spans {
		if spans[i].Name == name {
			return &spans[i]
		}
	}
	return nil
}

func below(spans tracetest.SpanStubs, parent *tracetest.SpanStub) (children tracetest.SpanStubs) {
	for _, s := range spans {
		if s.Parent.SpanID() == parent.SpanContext.SpanID() {
			children = append(children, s)
		}
	}
	return children
}

// A slow statement is logged with the trace of its call, and without its values.
func TestSlowQuery(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		rec := telemetrytest.New(t)
		s := open(t, Config{URL: url, SlowQuery: time.Nanosecond, TracerProvider: rec.TracerProvider, Logger: rec.Logger})
		ctx, span := rec.TracerProvider.Tracer("t").Start(t.Context(), "call")
		if _, err := s.List(ctx, album.Query{Limit: 1, Filter: album.Filter{Genre: "Secret"}}); err != nil {
			t.Fatal(err)
		}
		span.End()
		for line := range strings.Lines(rec.Logs()) {
			if strings.Contains(line, `"slow query"`) && strings.Contains(line, span.SpanContext().TraceID().String()) &&
				strings.Contains(line, "genre = $2") && !strings.Contains(line, "Secret") {
				return
			}
		}
		t.Errorf("no slow query of trace %s in\n%s", span.SpanContext().TraceID(), rec.Logs())
	})
}

// The text of a statement for many albums is short.
func TestQueryText(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		rec := telemetrytest.New(t)
		s := open(t, Config{URL: url, SlowQuery: time.Nanosecond, TracerProvider: rec.TracerProvider, Logger: rec.Logger})
		w := album.Write{Batch: true, Albums: make([]album.Album, rowsPerInsert+2)}
		for i := range w.Albums {
			w.Albums[i] = albumtest.New(0)
		}
		if _, err := album.Traced(s, rec.TracerProvider).Create(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, span := range rec.Spans() {
			text := telemetrytest.Attributes(span.Attributes)
			if span.Name == "INSERT albums" && strings.Contains(text, "db.query.text=INSERT INTO albums (id, title") {
				n++
			}
			if len(text) > 1000 {
				t.Errorf("span %s: %s", span.Name, text)
			}
		}
		if want := map[dialect]int{sqlite: 2, postgres: 1}[s.dialect]; n != want {
			t.Errorf("%d spans INSERT albums, want %d", n, want)
		}
		for line := range strings.Lines(rec.Logs()) {
			if len(line) > 1000 {
				t.Error(line)
			}
		}
	})
}

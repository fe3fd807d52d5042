package albumhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/fault"
	"soundcheck/internal/telemetry/telemetrytest"
)

// spans waits for n ended spans: a server span ends after its response was read.
func spans(t *testing.T, rec *telemetrytest.Recorder, n int) tracetest.SpanStubs {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Millisecond) {
		if s := rec.Spans(); len(s) >= n {
			return s
		} else if time.Now().After(deadline) {
			t.Fatalf("%d spans, want %d", len(s), n)
		}
	}
}

// One proxied read is one trace of four spans, each the parent of the next.
func TestTrace(t *testing.T) {
	t.Parallel()
	rec := telemetrytest.New(t)
	store := serve(t, albumhttp.Handler(album.Traced(album.NewMemory(album.Seed()...), rec.TracerProvider),
		albumhttp.HandlerOptions{Service: "album-store", Telemetry: signals(rec)}))
	proxy := serve(t, albumhttp.Handler(newClient(t, store, albumapi.ClientOptions{Telemetry: signals(rec)}),
		albumhttp.HandlerOptions{Service: "proxy-service", Telemetry: signals(rec)}))
	do(t, "GET", proxy+"/albums/2", "")
	got := spans(t, rec, 4)
	if len(got) != 4 {
		t.Fatalf("%d spans, want 4", len(got))
	}
	byParent := map[trace.SpanID]tracetest.SpanStub{}
	for _, s := range got {
		byParent[s.Parent.SpanID()] = s
	}
	parent := trace.SpanID{}
	for _, want := range []struct {
		name       string
		kind       trace.SpanKind
		attributes []string
	}{
		{"GET /albums/:id", trace.SpanKindServer, []string{"http.request.method=GET", "http.route=/albums/:id", "http.response.status_code=200", "server.address=proxy-service", "url.path=/albums/2", "url.scheme=http"}},
		{"GET /albums/:id", trace.SpanKindClient, []string{"http.request.method=GET", "http.response.status_code=200", "server.address=127.0.0.1", "url.full=" + store + "/albums/2"}},
		{"GET /albums/:id", trace.SpanKindServer, []string{"http.request.method=GET", "http.route=/albums/:id", "http.response.status_code=200", "server.address=album-store"}},
		{"album.get", trace.SpanKindInternal, []string{"album.id=2"}},
	} {
		s, ok := byParent[parent]
		if !ok {
			t.Fatalf("no span has the parent %s", parent)
		}
		if s.Name != want.name || s.SpanKind != want.kind || s.Status.Code != codes.Unset {
			t.Errorf("span %q %s %v, want %q %s unset", s.Name, s.SpanKind, s.Status, want.name, want.kind)
		}
		if s.SpanContext.TraceID() != got[0].SpanContext.TraceID() {
			t.Errorf("%q is in another trace", s.Name)
		}
		attributes := " " + telemetrytest.Attributes(s.Attributes) + " "
		for _, a := range want.attributes {
			if !strings.Contains(attributes, " "+a+" ") {
				t.Errorf("%s span %q has %s, not %s", s.SpanKind, s.Name, attributes, a)
			}
		}
		if strings.Contains(attributes, "Jeru") {
			t.Errorf("%q holds a part of the answer: %s", s.Name, attributes)
		}
		parent = s.SpanContext.SpanID()
	}

	// Both log lines carry the trace, and each the span of its own service.
	ids := map[string]bool{}
	for line := range strings.Lines(rec.Logs()) {
		var l struct {
			TraceID string `json:"trace_id"`
			SpanID  string `json:"span_id"`
			Route   string `json:"http.route"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.TraceID != got[0].SpanContext.TraceID().String() || l.Route != "/albums/:id" {
			t.Errorf("log line %s: %v", line, err)
		}
		ids[l.SpanID] = true
	}
	for _, s := range got {
		if s.SpanKind == trace.SpanKindServer && !ids[s.SpanContext.SpanID().String()] {
			t.Errorf("no log line has the server span %s", s.SpanContext.SpanID())
		}
	}
}

// failing is a Service that fails in the way that its id asks for.
type failing struct{ album.Service }

var errDisk = errors.New("disk on fire")

func (f failing) Get(ctx context.Context, id int64) (album.Album, error) {
	switch id {
	case 500:
		return album.Album{}, errDisk
	case 666:
		panic("horrible")
	}
	return f.Service.Get(ctx, id)
}

// A 4xx is the caller's fault and leaves the server span's status unset; a 5xx,
// also one that a panic makes, marks it. Either is measured.
func TestServerSpan(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path   string
		status int
		code   codes.Code
		log    string
	}{
		{"/albums/1", 200, codes.Unset, ""},
		{"/albums/404", 404, codes.Unset, ""},
		{"/albums/X", 400, codes.Unset, ""},
		{"/nope", 404, codes.Unset, ""},
		{"/albums/500", 500, codes.Error, "disk on fire"},
		{"/albums/666", 500, codes.Error, "horrible"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			rec := telemetrytest.New(t)
			url := serve(t, albumhttp.Handler(failing{album.NewMemory(album.Seed()...)}, albumhttp.HandlerOptions{Service: "album-store", Telemetry: signals(rec)}))
			begun := time.Now()
			resp, body := do(t, "GET", url+tt.path, "")
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			s := spans(t, rec, 1)[0]
			took := time.Since(begun)
			if s.Status.Code != tt.code {
				t.Errorf("span status %v, want %v", s.Status, tt.code)
			}
			traceID := s.SpanContext.TraceID()
			if tt.status >= 400 && !strings.Contains(body, `"trace_id":"`+traceID.String()+`"`) {
				t.Errorf("the answer %s does not name trace %s", body, traceID)
			}
			if tt.log != "" && (strings.Contains(body, tt.log) || !strings.Contains(rec.Logs(), tt.log)) {
				t.Errorf("%q belongs in the log, not in the answer:\n%s\n%s", tt.log, rec.Logs(), body)
			}
			h, ok := rec.Metric("http.server.request.duration").Data.(metricdata.Histogram[float64])
			if !ok || len(h.DataPoints) != 1 || h.DataPoints[0].Count != 1 {
				t.Fatalf("http.server.request.duration = %+v, want one request", h)
			}
			p := h.DataPoints[0]
			if p.Sum <= 0 || p.Sum > took.Seconds() {
				t.Errorf("the duration is %v s, it took less than %v", p.Sum, took)
			}
			if code, _ := p.Attributes.Value("http.response.status_code"); code.AsInt64() != int64(tt.status) {
				t.Errorf("measured with status %d, want %d", code.AsInt64(), tt.status)
			}
			if len(p.Exemplars) != 1 || string(p.Exemplars[0].TraceID) != string(traceID[:]) {
				t.Errorf("exemplars %v, want one of trace %s", p.Exemplars, traceID)
			}
		})
	}
}

// The log, the span and the metrics tell the same size of a body: what is sent.
func TestSizes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, path string
		accept       string
		drop         bool
		sent         bool // a body
	}{
		{"GET", "/albums/1", "", false, true},
		{"HEAD", "/albums/1", "", false, false},
		{"HEAD", "/albums", "application/x-ndjson", false, false},
		{"GET", "/albums", "application/x-ndjson", false, true},
		{"DELETE", "/albums/1", "", false, false},
		{"OPTIONS", "/albums/1", "", false, false},
		{"GET", "/nope", "", false, true},
		{"GET", "/albums/1", "", true, false},
	} {
		rec := telemetrytest.New(t)
		faults := fault.New(1, fault.Drop)
		if tt.drop {
			if err := faults.Replace(t.Context(), "drop=100%"); err != nil {
				t.Fatal(err)
			}
		}
		url := serve(t, albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store", Faults: faults, Telemetry: signals(rec)}))
		req, err := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", tt.accept)
		got := int64(0)
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			got, err = io.Copy(io.Discard, resp.Body)
			if err != nil {
				t.Error(err)
			}
			resp.Body.Close()
		} else if !tt.drop {
			t.Fatal(err)
		}
		name := tt.method + " " + tt.path
		attributes := spans(t, rec, 1)[0].Attributes
		size := int64(0) // an attribute that is 0 is left out
		for _, kv := range attributes {
			if kv.Key == "http.response.body.size" {
				size = kv.Value.AsInt64()
			}
		}
		h := rec.Metric("http.server.response.body.size").Data.(metricdata.Histogram[int64]).DataPoints
		var line struct {
			Size int64 `json:"http.response.body.size"`
		}
		if err := json.Unmarshal([]byte(rec.Logs()), &line); err != nil && !tt.drop { // a drop logs its fault too
			t.Errorf("%s: log %q: %v", name, rec.Logs(), err)
		}
		if got > 0 != tt.sent || size != got || len(h) != 1 || h[0].Count != 1 || h[0].Sum != got || line.Size != got {
			t.Errorf("%s: sent %d bytes; span %d, metrics %+v, log %d", name, got, size, h, line.Size)
		}
	}
}

// A trace goes on with the caller's decision: what is not sampled there, is not here.
func TestParent(t *testing.T) {
	t.Parallel()
	rec := telemetrytest.New(t)
	h := albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store", Telemetry: signals(rec)})
	url := serve(t, h)
	client := newClient(t, url, albumapi.ClientOptions{Telemetry: signals(rec)})
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	if _, err := client.Get(trace.ContextWithRemoteSpanContext(t.Context(), parent), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(trace.ContextWithRemoteSpanContext(t.Context(), parent.WithTraceFlags(trace.FlagsSampled)), 1); err != nil {
		t.Fatal(err)
	}
	for _, s := range spans(t, rec, 2) {
		if s.SpanContext.TraceID() != parent.TraceID() {
			t.Errorf("span %q is in trace %s, want the caller's", s.Name, s.SpanContext.TraceID())
		}
	}
	if n := len(rec.Spans()); n != 2 {
		t.Errorf("%d spans, want those of the sampled call only", n)
	}
}

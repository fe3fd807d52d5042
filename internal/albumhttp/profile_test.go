package albumhttp

import (
	"context"
	"net/http/httptest"
	"runtime/pprof"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/profiling"
	"soundcheck/internal/telemetry/telemetrytest"
)

// labelled notes the labels of the context of Get.
type labelled struct {
	album.Service
	labels map[string]string
}

func (l *labelled) Get(ctx context.Context, id int64) (album.Album, error) {
	l.labels = map[string]string{}
	pprof.ForLabels(ctx, func(name, value string) bool {
		l.labels[name] = value
		return true
	})
	return l.Service.Get(ctx, id)
}

// Requests have labels only while a CPU profile is taken.
func TestLabels(t *testing.T) {
	for _, otelgin := range []bool{false, true} {
		rec := telemetrytest.New(t)
		svc := &labelled{Service: album.NewMemory(album.Seed()...)}
		h := Handler(svc, HandlerOptions{Service: "album-store", Otelgin: otelgin, Telemetry: albumapi.Telemetry{TracerProvider: rec.TracerProvider, MeterProvider: rec.MeterProvider, Logger: rec.Logger}})
		get := func() {
			t.Helper()
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, httptest.NewRequest("GET", "/albums/1", nil)); w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		if get(); len(svc.labels) > 0 {
			t.Errorf("without a profile: %v", svc.labels)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := httptest.NewRequestWithContext(ctx, "GET", "/debug/pprof/profile?seconds=600", nil)
			r.Host = "localhost"
			profiling.Handler().ServeHTTP(httptest.NewRecorder(), r)
		}()
		for !profiling.Active() {
			select {
			case <-done:
				t.Fatal("the profile has ended")
			case <-time.After(time.Millisecond):
			}
		}
		get()
		stop()
		<-done
		spans := rec.Spans()
		server := spans[len(spans)-1].SpanContext
		want := map[string]string{"route": "GET /albums/:id", "trace_id": server.TraceID().String(), "span_id": server.SpanID().String()}
		if len(svc.labels) != len(want) {
			t.Errorf("otelgin %v: labels %v, want %v", otelgin, svc.labels, want)
		}
		for name, value := range want {
			if svc.labels[name] != value {
				t.Errorf("otelgin %v: %s is %q, want %q", otelgin, name, svc.labels[name], value)
			}
		}
	}
}

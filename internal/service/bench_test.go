package service

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/cli"
	"soundcheck/internal/fault"
	"soundcheck/internal/telemetry"
)

type sinkWriter struct {
	h      http.Header
	status int
}

func (w *sinkWriter) Header() http.Header         { return w.h }
func (w *sinkWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *sinkWriter) WriteHeader(s int)           { w.status = s }

// BenchmarkGet is GET /albums/{id} of a store in memory, without network: what a request costs the
// handler, with all telemetry exported to an endpoint that discards it.
func BenchmarkGet(b *testing.B) {
	for _, disabled := range []string{"", "true"} {
		b.Run("disabled="+disabled, func(b *testing.B) {
			discard := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
			defer discard.Close()
			b.Setenv("OTEL_SDK_DISABLED", disabled)
			b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", discard.URL)
			b.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
			t, err := telemetry.Setup(b.Context(), telemetry.Config{Name: "album-store", Logs: io.Discard})
			if err != nil {
				b.Fatal(err)
			}
			defer t.Shutdown(context.Background())
			f := cli.NewFlags("store", "TEST", "")
			c := CommonFlags(f, "127.0.0.1:0", fault.DBDelay, fault.Latency, fault.Error)
			if err := errors.Join(f.Parse(nil, func(string) string { return "" }, io.Discard), c.Check(f)); err != nil {
				b.Fatal(err)
			}
			signals := signalsOf(t)
			svc := album.Traced(c.Faults.Service(album.NewMemory(album.Seed()...)), signals.TracerProvider)
			h, err := newHandler("album-store", c, Backend{Service: svc}, signals)
			if err != nil {
				b.Fatal(err)
			}
			w := &sinkWriter{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				r, _ := http.NewRequest("GET", "http://localhost/albums/1", nil)
				r.RemoteAddr = "127.0.0.1:4711"
				clear(w.h)
				h.ServeHTTP(w, r)
			}
		})
	}
}

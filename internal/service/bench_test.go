package service

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/cli"
	"soundcheck/internal/fault"
	"soundcheck/internal/telemetry"
	"soundcheck/internal/upstream"
)

// blackhole is a http.ResponseWriter.
type blackhole struct{ h http.Header }

func (w *blackhole) Header() http.Header         { return w.h }
func (w *blackhole) Write(p []byte) (int, error) { return len(p), nil }
func (w *blackhole) WriteHeader(int)             {}

// handlers returns the handlers of a store in memory and of its proxy, configured as the
// programs are, with all telemetry, which goes to an endpoint that discards it, or with the SDK
// disabled.
func handlers(t testing.TB, disabled bool, args ...string) (store, proxy http.Handler) {
	discard := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(discard.Close)
	t.Setenv("OTEL_SDK_DISABLED", strconv.FormatBool(disabled))
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", discard.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	// What is dropped costs no export: up to 30,000 requests, nothing is.
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "65536")
	t.Setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "65536")
	handler := func(name string, open func(albumapi.Telemetry, *Common) Backend) http.Handler {
		tel, err := telemetry.Setup(t.Context(), telemetry.Config{Name: name, Logs: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
		f := cli.NewFlags(name, "TEST", "")
		c := CommonFlags(f, "127.0.0.1:0", fault.DBDelay, fault.Latency, fault.Error)
		if err := errors.Join(f.Parse(args, func(string) string { return "" }, io.Discard), c.Check(f)); err != nil {
			t.Fatal(err)
		}
		signals := signalsOf(tel)
		h, err := newHandler(name, c, open(signals, c), signals)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	store = handler("album-store", func(s albumapi.Telemetry, c *Common) Backend {
		return Backend{Service: album.Traced(c.Faults.Service(album.NewMemory(album.Seed()...)), s.TracerProvider)}
	})
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	proxy = handler("proxy-service", func(s albumapi.Telemetry, _ *Common) Backend {
		f := cli.NewFlags("proxy", "TEST", "")
		o := upstream.Flags(f, "store", server.URL)
		if err := errors.Join(f.Parse(nil, func(string) string { return "" }, io.Discard), o.Check(f, "store")); err != nil {
			t.Fatal(err)
		}
		client, err := albumapi.NewUpstreamClient(*o, s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return Backend{Service: client, Proxy: true}
	})
	return store, proxy
}

// serveGet serves GET /albums/1 n times.
func serveGet(h http.Handler, n int) {
	w := &blackhole{http.Header{}}
	r := httptest.NewRequest("GET", "/albums/1", nil)
	for range n {
		clear(w.h)
		h.ServeHTTP(w, r)
	}
}

// BenchmarkGet is GET /albums/{id}: what a request costs the handler of a store in memory, and a
// proxy and its store, with the connection between the two.
func BenchmarkGet(b *testing.B) {
	for _, tt := range []struct {
		name     string
		disabled bool
		args     []string
	}{{"all", false, nil}, {"otelgin", false, []string{"-instrumentation", "otelgin"}}, {"disabled", true, nil}} {
		store, proxy := handlers(b, tt.disabled, tt.args...)
		for name, h := range map[string]http.Handler{"store": store, "pair": proxy} {
			b.Run(name+"/"+tt.name, func(b *testing.B) {
				b.ReportAllocs()
				serveGet(h, b.N)
			})
		}
	}
}

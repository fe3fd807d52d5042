package telemetry_test

import (
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/telemetry"
)

// What a client can choose makes no series: neither the Host header nor the path or the
// method.
func TestClientsMakeNoSeries(t *testing.T) {
	for _, signal := range []string{"TRACES", "METRICS", "LOGS"} {
		t.Setenv("OTEL_"+signal+"_EXPORTER", "none")
	}
	tel, err := telemetry.Setup(t.Context(), telemetry.Config{Name: "album-store", Logs: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer tel.Shutdown(t.Context())
	h := albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store",
		Telemetry: albumapi.Telemetry{TracerProvider: tel.TracerProvider, MeterProvider: tel.MeterProvider, Propagator: tel.Propagator, Logger: tel.Logger}})
	page := func() string {
		w := httptest.NewRecorder()
		tel.Metrics.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	var series [2]int
	for round := range series {
		for i := range 10 + 2500*round {
			r := httptest.NewRequest("GET", "/albums/1", nil)
			r.Host = fmt.Sprintf("host%d:%d", i, i+1024)
			h.ServeHTTP(httptest.NewRecorder(), r)
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(fmt.Sprintf("M%d", i), fmt.Sprintf("/nope/%d", i), nil))
		}
		page() // the first one makes series about itself
		series[round] = strings.Count(page(), "\n")
	}
	if series[0] != series[1] {
		t.Errorf("%d lines in /metrics, and %d after the requests of 2,500 hosts", series[0], series[1])
	}
	text := page()
	if !strings.Contains(text, "http_server_request_duration_seconds_count{") || strings.Contains(text, "otel_metric_overflow") {
		t.Errorf("/metrics:\n%.4000s", text)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "http_server_") && (strings.Contains(line, "server_port") || strings.Contains(line, "server_address")) {
			t.Fatalf("/metrics has %s", line)
		}
	}
	if os.Getenv("OTEL_METRICS_EXPORTER") != "none" {
		t.Error("the variable is changed")
	}
}

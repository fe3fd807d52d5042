package albumhttp

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/fault"
	"soundcheck/internal/overload"
	"soundcheck/internal/telemetry/telemetrytest"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.ReleaseMode)
	for _, tt := range []struct {
		method, path, accept string
		want                 overload.Class
	}{
		{"GET", "/albums", "", overload.Read},
		{"GET", "/albums", "application/x-ndjson", overload.Stream},
		{"GET", "/albums", "application/json, application/x-ndjson;q=0.1", overload.Read},
		{"GET", "/albums", "application/json;q=0.1, application/*", overload.Stream},
		{"GET", "/albums", "text/html", overload.Read},
		{"HEAD", "/albums", "application/x-ndjson", overload.Read},
		{"GET", "/albums/1", "application/x-ndjson", overload.Read},
		{"PUT", "/albums/1", "", overload.Write},
		{"DELETE", "/albums/1", "", overload.Write},
		{"POST", "/albums", "application/x-ndjson", overload.Write},
		{"POST", "/albums/batch", "", overload.Batch},
		{"GET", "/nowhere", "", overload.Read},
	} {
		var got overload.Class = -1
		r := gin.New()
		note := func(c *gin.Context) { got = classify(c) }
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
			r.Handle(method, "/albums", note)
			r.Handle(method, "/albums/:id", note)
		}
		r.POST(batchPath, note)
		r.NoRoute(note)
		req := httptest.NewRequest(tt.method, tt.path, nil)
		if tt.accept != "" {
			req.Header.Set("Accept", tt.accept)
		}
		if r.ServeHTTP(httptest.NewRecorder(), req); got != tt.want {
			t.Errorf("%s %s, Accept %q is a %s, want %s", tt.method, tt.path, tt.accept, got, tt.want)
		}
	}
}

// Some shed requests are logged, as warnings; all failures, as errors.
func TestShedInLog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		options  overload.Options
		faults   string
		requests int
		level    string
		least    int
		most     int
	}{
		{overload.Options{Rate: 0.001, Burst: 1}, "latency=1us", 200, "WARN", maxShedLog, maxShedLog + 20},
		{overload.Options{}, "error=500", 50, "ERROR", 50, 50},
		{overload.Options{}, "error=404", 50, "INFO", 50, 50},
	} {
		rec := telemetrytest.New(t)
		control, err := overload.New(tt.options, nil)
		if err != nil {
			t.Fatal(err)
		}
		faults := fault.New(1, fault.Error, fault.Latency)
		if err := faults.Replace(t.Context(), tt.faults); err != nil {
			t.Fatal(err)
		}
		h := Handler(album.NewMemory(album.Seed()...), HandlerOptions{Service: "album-store", Overload: control, Faults: faults, Telemetry: albumapi.Telemetry{Logger: rec.Logger}})
		for range tt.requests {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/albums/1", nil))
		}
		if n := strings.Count(rec.Logs(), fmt.Sprintf("%q:%q", "level", tt.level)); n < tt.least || n > tt.most {
			t.Errorf("%s: %d lines of %s, want %d to %d\n%.2000s", tt.faults, n, tt.level, tt.least, tt.most, rec.Logs())
		}
	}
}

// A fault can ask for any status. Those that mean something here have its problem.
func TestFaultStatuses(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		404: "album-not-found", 429: "rate-limited", 500: "internal", 503: "store-not-ready", 418: "fault", 599: "fault",
	} {
		faults := fault.New(1, fault.Error)
		if err := faults.Replace(t.Context(), fmt.Sprintf("error=%d", status)); err != nil {
			t.Fatal(err)
		}
		h := Handler(album.NewMemory(album.Seed()...), HandlerOptions{Service: "album-store", Faults: faults})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/albums/1", nil))
		if w.Code != status || !strings.Contains(w.Body.String(), fmt.Sprintf("%q", albumapi.TypePrefix+want)) {
			t.Errorf("%d: %d %s, want %s", status, w.Code, w.Body, want)
		}
	}
}

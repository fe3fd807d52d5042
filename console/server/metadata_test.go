package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"soundcheck/console/metadata"
)

// Metadata is that of Prometheus and of the services' own metrics. A source that is down is left out.
func TestMetadata(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/metadata":
			fmt.Fprint(w, `{"status":"success","data":{"up":[{"type":"gauge","unit":"","help":"1 if it is up"}],"none":[],"a_total":[{"type":"counter","unit":"","help":"Prometheus' own"}]}}`)
		case "/metrics":
			fmt.Fprint(w, "# HELP a_total Of the service.\n# TYPE a_total counter\na_total 1\n# HELP b_seconds Duration\\\\of b.\n# TYPE b_seconds histogram\nb_seconds_bucket{le=\"+Inf\"} 1\nb_seconds_sum 1\nb_seconds_count 1\n# TYPE c gauge\nc 1\n")
		default:
			http.NotFound(w, r)
		}
	}))
	defer backend.Close()
	at, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	a, b := metadata.Metric{Type: "counter", Unit: "", Help: "Prometheus' own"}, metadata.Metric{Type: "histogram", Unit: "", Help: `Duration\of b.`}
	up, c := metadata.Metric{Type: "gauge", Unit: "", Help: "1 if it is up"}, metadata.Metric{Type: "gauge", Unit: "", Help: ""}
	for name, tt := range map[string]struct {
		config Config
		want   map[string]metadata.Metric
	}{
		"all":             {Config{Prometheus: at, Containers: []Container{{"album-store-1", backend.URL + "/readyz"}, {"jaeger", "http://127.0.0.1:1/"}}}, map[string]metadata.Metric{"up": up, "a_total": a, "b_seconds": b, "c": c}},
		"Prometheus down": {Config{Prometheus: closed(t), Containers: []Container{{"proxy-service", backend.URL + "/readyz"}}}, map[string]metadata.Metric{"a_total": {Type: "counter", Help: "Of the service."}, "b_seconds": b, "c": c}},
		"store down":      {Config{Prometheus: at, Containers: []Container{{"album-store", closed(t).String()}}}, map[string]metadata.Metric{"up": up, "a_total": a}},
		"no lab":          {Config{Prometheus: at}, map[string]metadata.Metric{"up": up, "a_total": a}},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := do(t, console(t, tt.config), http.MethodGet, "/-/metadata", "")
			var got map[string]metadata.Metric
			if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 200 || !maps.Equal(got, tt.want) {
				t.Errorf("%d %s %v, want %+v", resp.StatusCode, body, err, tt.want)
			}
		})
	}
}

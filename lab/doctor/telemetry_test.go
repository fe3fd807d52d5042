package doctor

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soundcheck/lab/doctor/metrics"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// backends is a lab whose components are all ready and have run for an hour, and whose Prometheus gives the data of a test, by
// the beginning of the path and query.
func backends(t *testing.T, data map[string]string) *doctor {
	t.Helper()
	d := fakeLab(t)
	d.status = &supervisor.Status{Phase: supervisor.Up}
	for _, p := range d.components {
		d.status.Components = append(d.status.Components, supervisor.ComponentStatus{Name: p.Name, State: supervisor.Ready, Since: time.Now().Add(-time.Hour)})
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", plan.PrometheusPort+d.Lab.Offset))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := strings.TrimPrefix(r.URL.Path, "/api/v1/") + " " + r.FormValue("query")
		for prefix, text := range data {
			if strings.HasPrefix(asked, prefix) {
				fmt.Fprintf(w, `{"status":"success","data":%s}`, text)
				return
			}
		}
		http.Error(w, `{"status":"error","error":"no data for `+asked[:5]+`"}`, http.StatusBadRequest)
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return d
}

// vector is the result of a query.
func vector(points ...metrics.Point) string {
	type result struct {
		Metric map[string]string `json:"metric"`
		Value  [2]any            `json:"value"`
	}
	list := []result{}
	for _, p := range points {
		list = append(list, result{p.Labels, [2]any{1.5, fmt.Sprint(p.Value)}})
	}
	b, err := json.Marshal(map[string]any{"resultType": "vector", "result": list})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func series(value float64, labels map[string]string) metrics.Point {
	return metrics.Point{Labels: labels, Value: value}
}

func labels(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// healthy is what Prometheus responds when nothing is wrong.
func healthy() map[string]string {
	return map[string]string{
		"query sort_desc(soundcheck:telemetry_lost": vector(),
		"query max by (exporter)":                   vector(),
		"query group by (service_name)":             vector(series(1, labels("service_name", "album-store")), series(1, labels("service_name", "proxy-service")), series(1, labels("service_name", "otel-collector"))),
		"targets":                                   `{"activeTargets":[{"scrapePool":"prometheus","scrapeUrl":"http://p/metrics","health":"up"}]}`,
		"status/tsdb":                               fmt.Sprintf(`{"headStats":{"maxTime":%d}}`, time.Now().UnixMilli()),
	}
}

// Which hop loses telemetry: a real Prometheus has no failures at hand.
func TestTelemetry(t *testing.T) {
	lost := func(stage, service, signal string) map[string]string {
		all := healthy()
		all["query sort_desc(soundcheck:telemetry_lost"] = vector(series(41.2, labels("stage", stage, "service_name", service, "signal", signal)))
		return all
	}
	with := func(key, value string) map[string]string {
		all := healthy()
		if value == "" {
			delete(all, key)
		} else {
			all[key] = value
		}
		return all
	}
	for name, tt := range map[string]struct {
		data              map[string]string
		outcome           Outcome
		text, cause, next string
	}{
		"healthy":      {healthy(), OK, "nothing was lost in the last 5 minutes", "", ""},
		"dropped":      {lost("dropped", "album-store", "traces"), Problem, "42 spans lost in the last 5 minutes inside album-store", "its queue was full", "lab logs album-store"},
		"undelivered":  {lost("undelivered", "proxy-service", "logs"), Problem, "42 log records lost in the last 5 minutes between proxy-service and the Collector", "the Collector was down", "lab logs proxy-service"},
		"not a part":   {lost("undelivered", "loadgen", "traces"), Problem, "between loadgen and the Collector", "", "lab logs otel-collector"},
		"refused":      {lost("refused", "otel-collector", "metrics"), Warning, "42 metric points refused in the last 5 minutes at the receiver of otel-collector", "memory limit", "lab logs otel-collector"},
		"by Jaeger":    {lost("refused", "jaeger", "traces"), Warning, "at the receiver of jaeger", "memory limit", "lab logs jaeger"},
		"failed":       {lost("failed", "otel-collector", "traces"), Problem, "between otel-collector and its backend", "rejects it for good", "lab logs otel-collector"},
		"rejected":     {lost("rejected", "album-store", "metrics"), Problem, "in the Collector, of album-store", "in the future", "lab logs otel-collector"},
		"queue":        {with("query max by (exporter)", vector(series(0.75, labels("exporter", "otlp_http/jaeger")))), Warning, "the Collector's queue of otlp_http/jaeger is 75% full", "the backend is down", "lab logs jaeger"},
		"target":       {with("targets", `{"activeTargets":[{"scrapePool":"mine","scrapeUrl":"http://t/metrics","health":"down","lastError":"connection refused"}]}`), Problem, "Prometheus cannot scrape http://t/metrics (job mine)", "connection refused", "curl -i http://t/metrics"},
		"silent":       {with("query group by (service_name)", vector(series(1, labels("service_name", "album-store")), series(1, labels("service_name", "otel-collector")))), Problem, "no metrics of proxy-service have arrived", "its exporter, the Collector", "lab logs otel-collector"},
		"all silent":   {with("query group by (service_name)", vector()), Problem, "no metrics of otel-collector have arrived", "directly to Prometheus", ""},
		"query fails":  {with("query max by (exporter)", ""), Warning, "Prometheus does not respond to a query", "no data for", "lab logs prometheus"},
		"targets fail": {with("targets", ""), Warning, "the targets of Prometheus are not known", "no data for", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := backends(t, tt.data).checkTelemetry(t.Context())
			if tt.outcome == OK {
				wantOK(t, *c)
			} else {
				want(t, *c, tt.outcome, tt.text, tt.cause, tt.next)
			}
		})
	}
	both := healthy()
	both["query sort_desc(soundcheck:telemetry_lost"] = vector(series(9, labels("stage", "failed", "service_name", "jaeger", "signal", "traces")), series(1, labels("stage", "failed", "service_name", "jaeger", "signal", "logs")))
	want(t, *backends(t, both).checkTelemetry(t.Context()), Problem, "9 spans, 1 log records lost in the last 5 minutes between jaeger and its backend", "", "lab logs jaeger")
	d := backends(t, healthy())
	for i := range d.status.Components {
		if d.status.Components[i].Name == "prometheus" {
			d.status.Components[i].State = supervisor.Restarting
		}
	}
	if c := d.checkTelemetry(t.Context()); !strings.Contains(c.Text, "is not known: Prometheus") {
		t.Errorf("without Prometheus: %+v", c)
	}
	d = backends(t, healthy())
	d.componentOf("otel-collector").State = supervisor.Unready
	want(t, *d.checkTelemetry(t.Context()), Problem, "the Collector is not ready", "it is lost", "lab logs otel-collector")
	if c := fakeLab(t).checkTelemetry(t.Context()); c.Outcome != Skipped {
		t.Errorf("without a lab: %+v", c)
	}
}

// Samples of the future mean that a clock was set back.
func TestFuture(t *testing.T) {
	for ahead, outcome := range map[time.Duration]Outcome{0: OK, -time.Hour: OK, 10 * time.Minute: Problem} {
		data := healthy()
		data["status/tsdb"] = fmt.Sprintf(`{"headStats":{"maxTime":%d}}`, time.Now().Add(ahead).UnixMilli())
		c := backends(t, data).checkClock(t.Context())
		if outcome == OK {
			wantOK(t, *c)
		} else {
			want(t, *c, Problem, "Prometheus has samples that are 10m0s in the future", "the clock was set back", "lab up -again -fresh")
		}
	}
}

// What the Collector cannot deliver is in its log, also if Prometheus is down.
func TestCollectorLog(t *testing.T) {
	const failed = `{"level":"info","ts":%q,"msg":"Exporting failed. Will retry the request after interval.","otelcol.component.id":"otlp_http/jaeger","otelcol.signal":"traces","error":"dial tcp 127.0.0.1:14317: connect: connection refused"}` + "\n"
	now := time.Now().UTC()
	for text, f := range map[string]*Finding{
		"": nil,
		fmt.Sprintf(failed, now.Add(-time.Hour).Format(time.RFC3339Nano)):                                                                                                                                                                                                          nil,
		"no JSON\n" + `{"level":"info","ts":"` + now.Format(time.RFC3339Nano) + `","msg":"Everything is ready."}` + "\n":                                                                                                                                                           nil,
		fmt.Sprintf(failed, now.Format(time.RFC3339Nano)) + fmt.Sprintf(failed, now.Format(time.RFC3339Nano)):                                                                                                                                                                      {Problem, "the Collector cannot deliver traces to jaeger: 2 failed attempts", "connection refused; it is queued on disk", "lab logs jaeger", ""},
		`{"level":"error","ts":"` + now.Format(time.RFC3339Nano) + `","msg":"Exporting failed. Dropping data.","otelcol.component.id":"otlp_http/prometheus","otelcol.signal":"metrics","error":"not retryable error: 400"}` + "\n":                                                {Problem, "deliver metrics to prometheus: 1 failed attempt", "400; it is lost", "lab logs prometheus", ""},
		`{"level":"warn","ts":"` + now.Format(time.RFC3339Nano) + `","msg":"Memory usage is above soft limit. Refusing data.","cur_mem_mib":400}` + "\n":                                                                                                                           {Problem, "the Collector refuses telemetry", "above soft limit. Refusing data. Its limit is 512 MiB", "COLLECTOR_MEMORY_LIMIT_MIB=1024 go run ./lab up -again", ""},
		`{"level":"warn","ts":"` + now.Format(time.RFC3339Nano) + `","msg":"Memory usage is above soft limit. Refusing data."}` + "\n" + `{"level":"info","ts":"` + now.Format(time.RFC3339Nano) + `","msg":"Memory usage back within limits. Resuming normal operation."}` + "\n": nil,
	} {
		d := backends(t, healthy())
		if err := os.MkdirAll(d.Lab.Logs(), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.Lab.Logs(), "otel-collector.log"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c := d.checkTelemetry(t.Context())
		if f == nil {
			wantOK(t, *c)
		} else {
			want(t, *c, f.Outcome, f.Text, f.Cause, f.Next)
		}
	}
}

// A backend that has just started did not listen at first: that is over.
func TestCollectorLogOfStart(t *testing.T) {
	now := time.Now().UTC()
	line := `{"level":"info","ts":"` + now.Format(time.RFC3339Nano) + `","msg":"Exporting failed. Will retry.","otelcol.component.id":"otlp_http/jaeger","otelcol.signal":"traces","error":"connection refused"}` + "\n"
	for age, outcome := range map[time.Duration]Outcome{time.Second: OK, time.Hour: Problem} {
		d := backends(t, healthy())
		d.componentOf("jaeger").Since = now.Add(-age)
		if err := os.MkdirAll(d.Lab.Logs(), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.Lab.Logs(), "otel-collector.log"), []byte(line), 0o644); err != nil {
			t.Fatal(err)
		}
		if c := d.checkTelemetry(t.Context()); c.Outcome != outcome {
			t.Errorf("a backend that started %s ago: %s, want %s", age, c.Outcome, outcome)
		}
	}
}

// The pages of the services show what they lost, also without Collector and Prometheus.
func TestExporters(t *testing.T) {
	page := func(lost, queue string) metrics.Page {
		m, err := metrics.Parse(strings.NewReader(`# HELP otel_sdk_exporter_span_exported_total Exported.
otel_sdk_exporter_span_exported_total{otel_component_type="otlp_http_span_exporter"} 500
otel_sdk_exporter_span_exported_total{error_type="connection",otel_component_type="otlp_http_span_exporter"} ` + lost + `
otel_sdk_processor_span_queue_capacity{otel_component_name="a"} 100
otel_sdk_processor_span_queue_size{otel_component_name="a"} ` + queue + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, tt := range []struct {
		before, after metrics.Page
		outcome       Outcome
		text, next    string
	}{
		{page("0", "0"), page("0", "10"), OK, "nothing was lost", ""},
		{page("7", "0"), page("7", "10"), OK, "proxy-service lost 7 spans since it started", ""},
		{page("7", "0"), page("19", "10"), Problem, "12 spans of proxy-service lost in the last seconds", "lab logs otel-collector"},
		{page("0", "0"), page("0", "50"), Warning, "the span queue of proxy-service is 50% full", "lab logs otel-collector"},
	} {
		d := backends(t, healthy())
		d.first, d.second = sample{pages: map[string]metrics.Page{"proxy-service": tt.before}}, sample{pages: map[string]metrics.Page{"proxy-service": tt.after}}
		c := d.checkTelemetry(t.Context())
		if tt.outcome == OK && (c.Outcome != OK || !strings.Contains(c.Text, tt.text)) {
			t.Errorf("%+v, want %q", c, tt.text)
		} else if tt.outcome != OK {
			want(t, *c, tt.outcome, tt.text, "", tt.next)
		}
	}
}

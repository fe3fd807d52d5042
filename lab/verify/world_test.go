package verify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/dashboards"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// world is the data of the fake backends. It is consistent; each test breaks one part of it.
// internal/e2e uses the real backends.
type world struct {
	load    *Load
	traces  map[string]*fakeTrace
	server  map[string][][2]float64 // samples of http_server_request_duration_seconds by service: seconds after the load began, count
	second  map[string][][2]float64 // of another series of the same process
	values  map[string]float64      // of queries that begin so
	series  map[string]int
	over    map[string]int
	names   []string
	rules   []map[string]any
	panels  map[string]float64
	last    time.Duration // after the load began, when panels have data for the last time; 0: always
	sparks  map[string][]exemplar
	lines   []LogLine
	mu      sync.Mutex     // for missing
	missing map[string]int // how often Jaeger says that it does not know a trace that it has

	patience time.Duration
	memory   bool // Options.InMemory
	board    dashboards.Dashboard
	numbers  []dashboards.Dashboard // whose numbers are compared
	loaded   []RuleName
}

type fakeSpan struct {
	id, parent, service, kind, name string
	start, took                     time.Duration
	tags                            map[string]any
	link                            string // trace id
	events                          map[string]any
}

type fakeTrace struct {
	spans    []*fakeSpan
	resource map[string]map[string]any // by service
}

func (t *fakeTrace) span(service, kind string) *fakeSpan {
	for _, s := range t.spans {
		if s.service == service && s.kind == kind {
			return s
		}
	}
	panic("no " + service + " " + kind)
}

func (t *fakeTrace) drop(s *fakeSpan) {
	t.spans = slices.DeleteFunc(t.spans, func(o *fakeSpan) bool { return o == s })
}

const (
	title, artist = "Fields of Clarity", "Edna Lawrence"
	environment   = "native"
)

func httpTags(method, route string, status int) map[string]any {
	return map[string]any{"http.request.method": method, "http.response.status_code": status, "http.route": route, "server.address": "127.0.0.1",
		"url.full": "http://127.0.0.1" + route, "url.path": route, "url.scheme": "http"}
}

// requestTrace is the trace of a request through the proxy.
func requestTrace(n int, from, method, route string, status int, domain string) *fakeTrace {
	op, client := method+" "+route, httpTags(method, route, status)
	if status >= 400 {
		client["error"] = true
	}
	call := map[string]any{"album.id": 1, "album.count": 1, "album.limit": 1}
	id := func(i int) string { return fmt.Sprintf("%08x%08x", n, i) }
	t := &fakeTrace{spans: []*fakeSpan{
		{id: id(1), service: from, kind: "client", name: op, tags: client},
		{id: id(2), parent: id(1), service: proxyService, kind: "server", name: op, tags: httpTags(method, route, status)},
		{id: id(3), parent: id(2), service: proxyService, kind: "client", name: op, tags: client},
		{id: id(4), parent: id(3), service: storeService, kind: "server", name: op, tags: httpTags(method, route, status)},
		{id: id(5), parent: id(4), service: storeService, kind: "internal", name: domain, tags: call},
		{id: id(6), parent: id(5), service: storeService, kind: "client", name: "SELECT albums", tags: map[string]any{"db.system.name": "sqlite", "db.query.text": "SELECT id FROM albums"}},
	}, resource: map[string]map[string]any{}}
	for _, s := range t.spans {
		s.start, s.took = time.Duration(n)*time.Second, 5*time.Millisecond
		s.tags = cloned(s.tags)
	}
	return t.resources()
}

func cloned(m map[string]any) map[string]any {
	c := map[string]any{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

func (t *fakeTrace) resources() *fakeTrace {
	for _, s := range t.spans {
		r := map[string]any{"service.namespace": "soundcheck", "service.version": "1", "service.instance.id": s.service + "-1", "telemetry.sdk.name": "opentelemetry"}
		if s.service == proxyService || s.service == storeService {
			r["deployment.environment.name"] = environment
		}
		t.resource[s.service] = r
	}
	return t
}

// newWorld returns a world in which every check passes: three requests of loadgen, one of
// datagen with its asynchronous operation, and one without trace context.
func newWorld() *world {
	begin := time.Now().Add(-40 * time.Second).Truncate(time.Second)
	l := &Load{RunID: "run-1", Begin: begin, End: begin.Add(20 * time.Second), Datagen: "abcd", Posts: 1, Operations: 1,
		Caller: "soundcheck-verify/abcd", Canary: "Nobody of abcd", Private: []string{title, artist, "Nobody of abcd"},
		Report: report.Report{RunID: "run-1", Sent: 3, Elapsed: 20, Classes: map[measure.Class]int{measure.Good: 3}, Service: measure.Summary{P99: 0.010}}}
	w := &world{load: l, traces: map[string]*fakeTrace{}, missing: map[string]int{}, over: map[string]int{}, patience: 50 * time.Millisecond}
	for i, t := range []*fakeTrace{
		requestTrace(1, loadgenName, "GET", "/albums/:id", 200, "album.get"),
		requestTrace(2, loadgenName, "GET", "/albums/:id", 404, "album.get"),
		requestTrace(3, loadgenName, "POST", "/albums", 201, "album.create"),
	} {
		id := fmt.Sprintf("%032x", i+1)
		l.Traces = append(l.Traces, id)
		w.traces[id] = t
	}
	data := requestTrace(4, datagenName, "POST", "/albums/batch", 202, "album.submit")
	data.span(storeService, "internal").tags["album.operation.id"] = "op-1"
	data.resource[datagenName][verifyKey] = l.Datagen
	w.traces["d1"] = data
	w.traces["e1"] = (&fakeTrace{spans: []*fakeSpan{
		{id: "w1", service: storeService, kind: "consumer", name: workName, tags: map[string]any{"album.operation.id": "op-1"}, link: "d1", start: 5 * time.Second},
		{id: "w2", parent: "w1", service: storeService, kind: "client", name: "COMMIT", tags: map[string]any{"db.system.name": "sqlite"}, start: 5 * time.Second},
	}, resource: map[string]map[string]any{}}).resources()
	caller := requestTrace(6, "nobody", "GET", "/albums", 200, "album.list")
	caller.drop(caller.spans[0])
	caller.spans[0].parent, caller.spans[0].tags["user_agent.original"] = "", l.Caller
	w.traces["c1"] = caller

	for _, s := range []string{proxyService, storeService} {
		for id, t := range w.traces {
			for _, sp := range t.spans {
				if sp.service == s && sp.kind == "server" {
					w.lines = append(w.lines, LogLine{Service: s, Message: requestLine, TraceID: id, SpanID: sp.id, Sampled: true, Text: "{}"})
				}
			}
		}
	}
	w.server = map[string][][2]float64{proxyService: {{-3, 100}, {2, 102}, {22, 105}, {27, 109}}, storeService: {{-3, 7}, {22, 12}}}
	w.values = map[string]float64{"vector(1)": 1, "count(db_client": 1, "sum(histogram_count(soundcheck_loadgen_response": 3,
		"histogram_quantile(0.99, sum(soundcheck_loadgen_service": 0.0101, "histogram_quantile(0.99, sum(increase": 0.008}
	w.series = map[string]int{"up": 1, "traces_span_metrics_calls_total": 90}
	w.names = []string{"up", "job:up:sum", "sent", "runs", "good", "routes", "http_server_request_duration_seconds"}
	w.rules = []map[string]any{{"name": "job:up:sum", "query": "sum by (job) (up)", "health": "ok"}}
	w.loaded = []RuleName{{"record", "job:up:sum"}}
	w.panels = map[string]float64{"sum(up)": 1, "job:up:sum": 2}
	w.addNumbers()
	w.board = dashboards.Dashboard{UID: "first", Title: "First", Panels: []dashboards.Panel{
		{ID: 1, Type: "row", Title: "A row"},
		{ID: 2, Type: "stat", Title: "Up", Targets: []dashboards.Target{{RefID: "A", Expr: "sum(up)", Instant: true}}},
		{ID: 3, Type: "timeseries", Title: "Jobs", Targets: []dashboards.Target{{RefID: "A", Expr: "job:up:sum"}}},
	}}
	w.sparks = map[string][]exemplar{}
	first := w.traces[l.Traces[0]]
	for metric, services := range exemplarHistograms {
		for _, service := range services {
			for _, s := range first.spans {
				if s.service == service {
					w.sparks[metric] = append(w.sparks[metric], exemplar{metric, service, l.Traces[0], s.id})
				}
			}
		}
	}
	return w
}

// session returns a session with the world's backends.
func (w *world) session(t *testing.T) *session {
	t.Helper()
	prom, jaeg := httptest.NewServer(http.HandlerFunc(w.prometheus)), httptest.NewServer(http.HandlerFunc(w.jaeger))
	t.Cleanup(prom.Close)
	t.Cleanup(jaeg.Close)
	s := newSession(Options{Environment: environment, Proxy: jaeg.URL, Prometheus: prom.URL, Jaeger: jaeg.URL, Patience: w.patience,
		MaxSeries: 100, MaxTotalSeries: 1000, Dashboards: append([]dashboards.Dashboard{w.board}, w.numbers...), Rules: w.loaded, Logs: []LogSource{w}, InMemory: w.memory})
	s.load = w.load
	return s
}

// Name implements LogSource.
func (w *world) Name() string { return "fake" }

// Has implements LogSource.
func (w *world) Has(string) bool { return true }

func send(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(v)
}

func keyValues(m map[string]any) []map[string]any {
	list := []map[string]any{}
	for k, v := range m {
		list = append(list, map[string]any{"key": k, "value": v})
	}
	return list
}

func vector(values map[string]float64, label string) map[string]any {
	list := []any{}
	for name, v := range values {
		list = append(list, map[string]any{"metric": map[string]string{label: name}, "value": []any{1.5, fmt.Sprint(v)}})
	}
	return map[string]any{"resultType": "vector", "result": list}
}

func (w *world) prometheus(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query().Get("query")
	ok := func(data any) { send(rw, map[string]any{"status": "success", "data": data}) }
	switch r.URL.Path {
	case "/api/v1/label/__name__/values":
		ok(w.names)
		return
	case "/api/v1/rules":
		ok(map[string]any{"groups": []any{map[string]any{"rules": w.rules}}})
		return
	case "/api/v1/query_exemplars":
		list := []any{}
		for _, e := range w.sparks[query] {
			list = append(list, map[string]any{"seriesLabels": map[string]string{"__name__": e.metric, "service_name": e.service},
				"exemplars": []any{map[string]any{"labels": map[string]string{"trace_id": e.trace, "span_id": e.span}}}})
		}
		ok(list)
		return
	}
	counts := func(m map[string]int) map[string]float64 {
		f := map[string]float64{}
		for k, v := range m {
			f[k] = float64(v)
		}
		return f
	}
	for service, samples := range w.server {
		if strings.HasPrefix(query, fmt.Sprintf("http_server_request_duration_seconds{service_name=%q}[", service)) {
			var result []any
			for _, samples := range [][][2]float64{samples, w.second[service]} {
				var list []any
				for _, s := range samples {
					at := w.load.Begin.Add(time.Duration(s[0] * float64(time.Second)))
					list = append(list, []any{float64(at.UnixMilli()) / 1000, map[string]any{"count": fmt.Sprint(s[1])}})
				}
				if len(list) > 0 {
					result = append(result, map[string]any{"metric": map[string]string{"instance": service + "-1"}, "histograms": list})
				}
			}
			ok(map[string]any{"resultType": "matrix", "result": result})
			return
		}
	}
	switch {
	case strings.HasPrefix(query, "count by (__name__) "):
		ok(vector(counts(w.series), "__name__"))
		return
	case strings.Contains(query, "otel_metric_overflow"):
		ok(vector(counts(w.over), "__name__"))
		return
	}
	at, _ := strconv.ParseFloat(r.FormValue("end")+r.FormValue("time"), 64)
	panels := w.panels
	if w.last > 0 && (at == 0 || time.UnixMilli(int64(1000*at)).After(w.load.Begin.Add(w.last))) {
		panels = nil
	}
	for _, known := range []map[string]float64{w.values, panels} {
		for begin, v := range known {
			if strings.HasPrefix(query, begin) {
				ok(vector(map[string]float64{"": v}, "x"))
				return
			}
		}
	}
	ok(vector(nil, ""))
}

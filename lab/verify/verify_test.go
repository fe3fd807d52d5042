package verify

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"soundcheck/dashboards"
	"soundcheck/loadgen/measure"
)

// Lines implements LogSource.
func (w *world) Lines(context.Context) ([]LogLine, error) { return w.lines, nil }

// checks makes every check but that of the load.
func (w *world) checks(t *testing.T) map[string]Check {
	t.Helper()
	s, found := w.session(t), map[string]Check{}
	for _, check := range []func(context.Context) []Check{s.traces, s.logs, s.counts, s.exemplars, s.metrics, s.panels} {
		for _, c := range check(t.Context()) {
			found[c.Name] = c
		}
	}
	found["load"] = w.load.check()
	return found
}

func (c Check) String() string {
	return fmt.Sprintf("%s: %s %s %s", c.Name, c.Outcome, c.Text, strings.Join(c.Details, "; "))
}

func TestAllOK(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.missing[w.load.Traces[1]] = 3 // it comes late
	w.patience = time.Minute
	found := w.checks(t)
	for _, c := range found {
		if c.Outcome != OK {
			t.Errorf("%v, want ok", c)
		}
	}
	if len(found) != 20 {
		t.Errorf("%d checks, want 20", len(found))
	}
}

// Each thing that can be wrong is found, by the check that is about it.
func TestBroken(t *testing.T) {
	t.Parallel()
	first := func(w *world) *fakeTrace { return w.traces[w.load.Traces[0]] }
	for name, tt := range map[string]struct {
		breaks func(*world)
		check  string
		says   string
	}{
		"failed requests": {func(w *world) { w.load.Report.Classes[measure.Failed] = 1 }, "load", "1 requests failed"},

		"lost trace":      {func(w *world) { delete(w.traces, w.load.Traces[1]) }, "traces: loadgen", "trace 00000000000000000000000000000002: is not stored"},
		"orphan":          {func(w *world) { first(w).drop(first(w).spans[3]) }, "traces: loadgen", "orphan: the parent 0000000100000004 of album-store internal \"album.get\" is missing"},
		"no root":         {func(w *world) { first(w).drop(first(w).spans[0]) }, "traces: loadgen", "orphan"},
		"two roots":       {func(w *world) { first(w).spans[3].parent = "" }, "traces: loadgen", "two roots"},
		"wrong nesting":   {func(w *world) { first(w).spans[3].parent = first(w).spans[1].id }, "traces: loadgen", `album-store server "GET /albums/:id" is below proxy-service server "GET /albums/:id", want proxy-service client`},
		"circle":          {func(w *world) { first(w).spans[4].parent = first(w).spans[5].id }, "traces: loadgen", "4 of 6 spans are below the root"},
		"same span twice": {func(w *world) { first(w).spans[5].id = first(w).spans[4].id }, "traces: loadgen", "is stored twice"},
		"no statement":    {func(w *world) { first(w).drop(first(w).spans[5]) }, "traces: loadgen", `no album-store client below album-store internal "album.get"`},
		"store missing": {func(w *world) {
			for range 3 {
				first(w).drop(first(w).spans[3])
			}
		}, "traces: loadgen", `no album-store server below proxy-service client`},
		"wrong domain call": {func(w *world) { first(w).spans[4].name = "album.put" }, "traces: loadgen", `album-store internal "album.put" in a GET /albums/:id`},
		"another operation": {func(w *world) { first(w).spans[3].name = "GET /albums" }, "traces: loadgen", `in a trace of "GET /albums/:id"`},
		"foreign service":   {func(w *world) { first(w).spans[1].service = "gateway" }, "traces: loadgen", "gateway server"},
		"below a statement": {func(w *world) {
			first(w).spans = append(first(w).spans, &fakeSpan{id: "x", parent: first(w).spans[5].id, service: storeService, kind: "client", name: "SELECT"})
		}, "traces: loadgen", "is below album-store client"},

		"datagen's trace lost":   {func(w *world) { delete(w.traces, "d1") }, "traces: datagen", "0 traces that create albums, want 1"},
		"operation without work": {func(w *world) { delete(w.traces, "e1") }, "traces: operations", "no trace of its work"},
		"work without link":      {func(w *world) { w.traces["e1"].spans[0].link = "" }, "traces: operations", "links to no request"},
		"work of another":        {func(w *world) { w.traces["e1"].spans[0].link = "c1" }, "traces: operations", "links to c1, want d1"},
		"work without statement": {func(w *world) { w.traces["e1"].drop(w.traces["e1"].spans[1]) }, "traces: operations", "no statement below"},
		"caller's trace lost":    {func(w *world) { delete(w.traces, "c1") }, "traces: no trace context", "0 traces"},
		"caller's trace broken":  {func(w *world) { w.traces["c1"].drop(w.traces["c1"].spans[1]) }, "traces: no trace context", "orphan"},

		"attribute missing":  {func(w *world) { delete(first(w).spans[1].tags, "http.route") }, "conventions", `proxy-service server "GET /albums/:id": no http.route`},
		"statement unnamed":  {func(w *world) { delete(first(w).spans[5].tags, "db.query.text") }, "conventions", "no db.query.text"},
		"4xx is an error":    {func(w *world) { w.traces[w.load.Traces[1]].spans[1].tags["error"] = true }, "conventions", "error status is true, want false: HTTP status 404"},
		"5xx is no error":    {func(w *world) { first(w).spans[1].tags["http.response.status_code"] = 500 }, "conventions", "error status is false, want true: HTTP status 500"},
		"method":             {func(w *world) { first(w).spans[2].tags["http.request.method"] = "PUT" }, "conventions", `http.request.method is "PUT"`},
		"undeclared span":    {func(w *world) { first(w).spans[4].kind = "producer" }, "conventions", "not declared in docs/telemetry.md"},
		"domain attribute":   {func(w *world) { delete(first(w).spans[4].tags, "album.id") }, "conventions", "no album.id"},
		"resource":           {func(w *world) { delete(first(w).resource[storeService], "service.version") }, "conventions", "its resource has no service.version"},
		"environment":        {func(w *world) { first(w).resource[storeService]["deployment.environment.name"] = "k8s" }, "conventions", `deployment.environment.name is "k8s", want "native"`},
		"title in attribute": {func(w *world) { first(w).spans[4].tags["album.title"] = "a " + title }, "private data in spans", `attribute album.title contains "Fields of Clarity"`},
		"artist in a URL":    {func(w *world) { first(w).spans[2].tags["url.full"] = "http://x/albums?artist=Edna+Lawrence" }, "private data in spans", `attribute url.full contains "Edna Lawrence"`},
		"title in an event":  {func(w *world) { first(w).spans[4].events = map[string]any{"m": title} }, "private data in spans", "event attribute m"},
		"title in a name":    {func(w *world) { first(w).spans[5].name = title }, "private data in spans", "its name contains"},
		"client's address":   {func(w *world) { first(w).spans[1].tags["client.address"] = "192.0.2.1" }, "private data in spans", "attribute client.address = 192.0.2.1"},

		"line missing":        {func(w *world) { w.lines = w.lines[1:] }, "logs: fake", "0 request lines of proxy-service for trace"},
		"line twice":          {func(w *world) { w.lines = append(w.lines, w.lines[0]) }, "logs: fake", "2 request lines"},
		"line of no span":     {func(w *world) { w.lines[0].SpanID = "f00" }, "logs: fake", "a line of proxy-service names span f00, which is not in trace"},
		"title in a line":     {func(w *world) { w.lines[0].Text = `{"title":"` + title + `"}` }, "logs: fake", `contains "Fields of Clarity", which was sent`},
		"others' trace lost":  {func(w *world) { w.lines = append(w.lines, LogLine{TraceID: "zz", Sampled: true}) }, "logs: fake", "trace zz of a line is not stored"},
		"title without trace": {func(w *world) { w.lines = append(w.lines, LogLine{Text: title}) }, "logs: fake", "which was sent"},

		"run's count":         {func(w *world) { w.values["sum(histogram_count(soundcheck_loadgen_response"] = 3.06 }, "rate: loadgen", "2.0% apart"},
		"run unknown":         {func(w *world) { delete(w.values, "sum(histogram_count(soundcheck_loadgen_response") }, "rate: loadgen", "Prometheus has no series of run run-1"},
		"run's traces":        {func(w *world) { w.load.Report.Sent = 4 }, "rate: loadgen", "Jaeger has 3 traces, loadgen sent 4 requests: 25.0% apart"},
		"proxy's count":       {func(w *world) { w.server[proxyService][2][1]++ }, "rate: proxy-service", "Prometheus counted 6 requests from before the load to after it, Jaeger has 5 server spans: 16.7% apart"},
		"store's count":       {func(w *world) { w.server[storeService][1][1]-- }, "rate: album-store", "Prometheus counted 4 requests"},
		"count does not come": {func(w *world) { w.server[proxyService] = w.server[proxyService][:2] }, "rate: proxy-service", "no sample after the load"},
		"p99":                 {func(w *world) { w.values["histogram_quantile(0.99, sum(soundcheck_loadgen_service"] = 0.0112 }, "p99", "Prometheus has 11.20 ms, loadgen 10.00 ms: 10.7% apart"},
		"no p99":              {func(w *world) { w.values["histogram_quantile(0.99, sum(soundcheck_loadgen_service"] = math.NaN() }, "p99", "no service time"},

		"exemplar of no trace": {func(w *world) { w.sparks["http_server_request_duration_seconds"][0].trace = "nope" }, "exemplars", "of trace nope is not stored (0 spans are)"},
		"exemplar of no span":  {func(w *world) { w.sparks["http_server_request_duration_seconds"][0].span = "f00" }, "exemplars", "span f00 of trace 00000000000000000000000000000001 is not stored (6 spans are)"},
		"exemplar without id":  {func(w *world) { w.sparks["http_server_request_duration_seconds"][0].trace = "" }, "exemplars", "an exemplar without trace_id"},
		"no exemplar at all":   {func(w *world) { delete(w.sparks, "soundcheck_loadgen_response_time_seconds") }, "exemplars", "soundcheck_loadgen_response_time_seconds of loadgen has none"},
		"exemplar of a service": {func(w *world) {
			w.sparks["http_server_request_duration_seconds"] = w.sparks["http_server_request_duration_seconds"][:1]
		}, "exemplars", "http_server_request_duration_seconds of album-store has none"},

		"rule not loaded":    {func(w *world) { w.loaded = append(w.loaded, RuleName{"alert", "Down"}) }, "rules", "alert Down is not loaded"},
		"rule fails":         {func(w *world) { w.rules[0]["health"], w.rules[0]["lastError"] = "err", "many-to-many" }, "rules", `job:up:sum: health "err" many-to-many`},
		"name of a panel":    {func(w *world) { w.board.Panels[1].Targets[0].Expr = "sum(uup)" }, "metric names", `uup does not exist: panel "Up" of "First"`},
		"name of a rule":     {func(w *world) { w.rules[0]["query"] = "rate(gone_total[5m])" }, "metric names", "gone_total does not exist: rule job:up:sum"},
		"series of a metric": {func(w *world) { w.series["up"] = 101 }, "cardinality", "up has 101 series, more than 100"},
		"series of all": {func(w *world) {
			for i := range 12 {
				w.series[fmt.Sprint("m", i)] = 90
			}
		}, "cardinality", "1171 series, more than 1000"},
		"series put together": {func(w *world) { w.over["http_x"] = 1 }, "cardinality", "http_x of  exceeds the cardinality limit of its SDK"},
		"panel without data":  {func(w *world) { delete(w.panels, "job:up:sum") }, "dashboard first", `"Jobs": no data for query A: job:up:sum`},
		"panel of NaN":        {func(w *world) { w.panels["job:up:sum"] = math.NaN() }, "dashboard first", `"Jobs": no data`},
		"panel without query": {func(w *world) { w.board.Panels[2].Targets = nil }, "dashboard first", "no query"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			tt.breaks(w)
			c := w.checks(t)[tt.check]
			if c.Outcome != Failed || !strings.Contains(c.String(), tt.says) {
				t.Errorf("%v, want FAILED and %q", c, tt.says)
			}
		})
	}
}

// A panel that may be empty is listed with its reason, and does not fail.
func TestMayBeEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.board.Panels[2].Targets[0].Expr, w.board.Panels[2].MayBeEmpty = "soundcheck_upstream_retries_total", "nothing was sent again"
	found := w.checks(t)
	for check, want := range map[string]string{
		"dashboard first": `ok 1 of 2 panels show data (2 queries); 1 may be empty "Jobs" may be empty: nothing was sent again`,
		"metric names":    "soundcheck_upstream_retries_total does not exist: the proxy has not retried yet",
	} {
		if c := found[check]; c.Outcome != OK || !strings.Contains(c.String(), want) {
			t.Errorf("%v, want ok and %q", c, want)
		}
	}
}

// A panel that shows the last seconds has data shortly after the load, and none when the other
// checks are through.
func TestPanelsOfNow(t *testing.T) {
	t.Parallel()
	for last, want := range map[time.Duration]Outcome{31 * time.Second: OK, 29 * time.Second: Failed} { // the load ends after 20 s
		w := newWorld()
		w.last = last
		if c := w.checks(t)["dashboard first"]; c.Outcome != want {
			t.Errorf("data until %s after the load began: %v, want %s", last, c, want)
		}
	}
}

// An unknown metric name fails in a panel that may be empty, too.
func TestMayBeEmptyMisspelt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.board.Panels[2].Targets[0].Expr, w.board.Panels[2].MayBeEmpty = "retrys_total", "nothing was sent again"
	if c := w.checks(t)["metric names"]; c.Outcome == OK || !strings.Contains(c.String(), "retrys_total does not exist") {
		t.Errorf("%v, want it to fail", c)
	}
}

// A panel needs data for one query; the queries without data are listed.
func TestQuietQuery(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.board.Panels[2].Targets = append(w.board.Panels[2].Targets, dashboards.Target{RefID: "B", Expr: "up > 7"})
	c := w.checks(t)["dashboard first"]
	if want := `2 of 2 panels show data (3 queries) "Jobs" has data, but none for query B: up > 7`; c.Outcome != OK || !strings.Contains(c.String(), want) {
		t.Errorf("%v, want ok and %q", c, want)
	}
}

// Requests of other clients are counted with the load's.
func TestOtherClients(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.server[proxyService][2][1]++
	other := requestTrace(8, "someone", "GET", "/albums/:id", 200, "album.get")
	w.traces["0e"] = other
	c := w.checks(t)["rate: proxy-service"]
	if c.Outcome != OK || !strings.Contains(c.Text, "Prometheus counted 6 requests, Jaeger has 6 server spans: 5 of the load, 1 of other clients") {
		t.Errorf("%v, want 5 of the load, 1 of other clients", c)
	}
}

// A restarted service counts from 0.
func TestRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.server[proxyService] = [][2]float64{{22, 5}}
	if c := w.checks(t)["rate: proxy-service"]; c.Outcome != OK {
		t.Errorf("%v, want ok", c)
	}
}

// A series that starts shortly before the load, or after it, has a zero sample at its start,
// between two exports: it does not count as an export of the other series.
func TestSeriesBegins(t *testing.T) {
	t.Parallel()
	w := newWorld()
	other := requestTrace(8, "someone", "GET", "/albums/:id", 200, "album.get")
	for _, sp := range other.spans {
		sp.start = -3 * time.Second
	}
	w.traces["0e"] = other
	w.server[proxyService] = [][2]float64{{-6, 93}, {22, 99}}
	w.second = map[string][][2]float64{proxyService: {{-0.5, 0}, {22, 0}}}
	if c := w.checks(t)["rate: proxy-service"]; c.Outcome != OK || !strings.Contains(c.Text, "counted 6 requests, Jaeger has 6 server spans: 5 of the load, 1 of other clients") {
		t.Errorf("%v, want 5 of the load, 1 of other clients", c)
	}
}

// A store that was started elsewhere may be of any environment, but of one. The proxy may
// not.
func TestExternalStore(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		service, environment string
		want                 Outcome
	}{{storeService, "compose", OK}, {storeService, "", Failed}, {proxyService, "compose", Failed}} {
		w := newWorld()
		for _, trace := range w.traces {
			if r := trace.resource[tt.service]; r != nil {
				r["deployment.environment.name"] = tt.environment
			}
		}
		s := w.session(t)
		s.StoreElsewhere = true
		for _, c := range s.traces(t.Context()) {
			if c.Name == "conventions" && c.Outcome != tt.want {
				t.Errorf("%s of environment %q: %v, want %s", tt.service, tt.environment, c, tt.want)
			}
		}
	}
}

func TestNoLogs(t *testing.T) {
	t.Parallel()
	s := newWorld().session(t)
	s.Logs, s.NoLogs = nil, []NoLog{{"", "nobody has any"}, {"x.log", "it is gone"}}
	want := []Check{{Name: "logs", Outcome: Skipped, Text: "nobody has any"}, {Name: "logs: x.log", Outcome: Skipped, Text: "it is gone"}}
	if got := s.logs(t.Context()); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s.NoLogs = nil
	if c := s.logs(t.Context())[0]; c.Outcome != Failed {
		t.Errorf("without a log and a reason: %v, want it to fail", c)
	}
}

// Without a backend nothing is sent.
func TestBackendsDown(t *testing.T) {
	t.Parallel()
	w := newWorld()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s := w.session(t)
	s.Options.Jaeger = gone.URL
	r, err := Run(t.Context(), s.Options)
	if err != nil || r.Failed() != 1 || r.RunID != "" || !strings.Contains(fmt.Sprint(r.Checks), "Jaeger does not respond") {
		t.Errorf("%v, %v, want one failure", r, err)
	}
}

func TestLoadFails(t *testing.T) {
	t.Parallel()
	o := newWorld().session(t).Options
	o.Generator = Generator{Datagen: "/nonexistent/datagen", Duration: time.Second}
	r, err := Run(t.Context(), o)
	if err != nil || r.Failed() != 1 || r.Checks[1].Name != "load" || !strings.Contains(r.Checks[1].Text, "datagen") {
		t.Errorf("%v, %v, want a load that fails", r, err)
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	r := Result{Environment: "native", Seconds: 70, Checks: []Check{passed("one", "1 of 1"), verdict("two", []string{"it <is> wrong"}, "0 of 1")}}
	var text, asJSON strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := `CHECK  RESULT  MEASURED
one    ok      1 of 1
two    FAILED  0 of 1
                 it <is> wrong

1 of 2 checks FAILED: environment native, 70 s
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	if err := r.WriteJSON(&asJSON); err != nil || !strings.Contains(asJSON.String(), `"it <is> wrong"`) {
		t.Errorf("%v\n%s", err, asJSON.String())
	}
}

package explain

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/criticalpath"
)

// at builds a span from one millisecond to another.
func at(id, parent, service, name string, from, to int) criticalpath.Span {
	base := time.UnixMicro(1_700_000_000_000_000)
	return criticalpath.Span{ID: id, Parent: parent, Service: service, Name: name, Kind: "internal",
		Start: base.Add(time.Duration(from) * time.Millisecond), End: base.Add(time.Duration(to) * time.Millisecond)}
}

// A request of a flow is not the root of its trace.
func TestTop(t *testing.T) {
	t.Parallel()
	trace := []criticalpath.Span{at("1", "", "flow", "internal", 0, 100), at("2", "1", "a", "client", 10, 40), at("3", "1", "b", "client", 50, 90), at("4", "3", "b", "server", 60, 80)}
	if s, ok := top(trace, "3"); s.ID != "3" || !ok {
		t.Errorf("top %v, %t", s, ok)
	}
	if s, ok := top(trace, ""); s.ID != "1" || !ok {
		t.Errorf("top of the trace %v, %t", s, ok)
	}
	for name, trace := range map[string][]criticalpath.Span{"span is missing": trace[:2], "root is missing": trace[1:]} {
		if _, ok := top(trace, "3"); ok {
			t.Errorf("%s: complete", name)
		}
	}
	parts := map[string]time.Duration{}
	for _, p := range criticalpath.Path(trace, trace[2]) {
		parts[p.Span.ID] += p.To.Sub(p.From)
	}
	if len(parts) != 2 || parts["3"] != 20*time.Millisecond || parts["4"] != 20*time.Millisecond {
		t.Errorf("parts %v, want 20 ms of span 3 and of its child", parts)
	}
}

// The client span is split by the client's timing.
func TestSplit(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	trace := []criticalpath.Span{at("1", "", "loadgen", "GET", 0, 100), at("2", "1", "proxy", "server", 30, 80)}
	for _, tt := range []struct {
		connected, first time.Duration
		want             map[Part]float64
	}{
		{10 * ms, 40 * ms, map[Part]float64{connectionPart: 10, firstBytePart: 20, bodyPart: 20}},
		{40 * ms, 90 * ms, map[Part]float64{connectionPart: 30, firstBytePart: 10, bodyPart: 10}},
		{0, 200 * ms, map[Part]float64{firstBytePart: 50}},
	} {
		g := []Request{{TraceID: "t", Response: 110 * ms, SendDelay: 4 * ms, Connected: tt.connected, FirstByte: tt.first}}
		list, _ := samples(g, map[string]fetched{"t": {spans: trace}})
		tt.want[Part{"proxy", "server", "internal"}], tt.want[sendDelayPart], tt.want[restPart] = 50, 4, 6
		sum := 0.0
		for p, got := range list[0].parts {
			sum += 1000 * got
			if math.Abs(1000*got-tt.want[p]) > 1e-6 {
				t.Errorf("connected %s, first byte %s: %v is %g ms, want %g", tt.connected, tt.first, p, 1000*got, tt.want[p])
			}
		}
		if math.Abs(sum-110) > 1e-6 || len(list[0].parts) != len(tt.want) {
			t.Errorf("connected %s, first byte %s: %v, want %v", tt.connected, tt.first, list[0].parts, tt.want)
		}
	}
}

// jaeger is a fake Jaeger API whose traces grow with each query.
type jaeger struct {
	mu       sync.Mutex
	traces   map[string][]criticalpath.Span
	looks    map[string]int
	never    map[string]bool // these stay without their root
	requests []time.Time     // for traces
}

// RoundTrip implements http.RoundTripper.
func (j *jaeger) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	j.ServeHTTP(w, r)
	return w.Result(), nil
}

func (j *jaeger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/api/services" {
		fmt.Fprint(w, `{"data":["loadgen"]}`)
		return
	}
	if r.URL.Path != "/api/traces" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests = append(j.requests, time.Now())
	data, missing := []any{}, []any{}
	for _, id := range r.URL.Query()["traceID"] {
		if trace := j.look(id); trace != nil {
			data = append(data, trace)
		} else {
			missing = append(missing, map[string]any{"traceID": id, "msg": "trace not found"})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "errors": missing})
}

func (j *jaeger) look(id string) any {
	j.looks[id]++
	spans := j.traces[id]
	if j.looks[id] == 1 || spans == nil {
		return nil
	}
	if j.looks[id] == 2 || j.never[id] {
		spans = spans[1:] // the root comes last
	}
	type ref struct{ RefType, TraceID, SpanID string }
	type span struct {
		SpanID        string
		OperationName string
		References    []ref
		StartTime     int64
		Duration      int64
		Tags          []map[string]any
		ProcessID     string
	}
	id = strings.TrimPrefix(id, strings.Repeat("0", 16)) // as Jaeger writes it
	var out []span
	processes := map[string]map[string]string{}
	for _, s := range spans {
		o := span{SpanID: s.ID, OperationName: s.Name, StartTime: s.Start.UnixMicro(), Duration: s.End.Sub(s.Start).Microseconds(),
			Tags: []map[string]any{{"key": "span.kind", "value": s.Kind}}, ProcessID: "p" + s.Service}
		if s.Parent != "" {
			o.References = []ref{{"CHILD_OF", id, s.Parent}}
		}
		processes[o.ProcessID] = map[string]string{"serviceName": s.Service}
		out = append(out, o)
	}
	return map[string]any{"traceID": id, "spans": out, "processes": processes}
}

// Traces with a known attribution: slow requests lost 150 ms in the database, 19 in the proxy, 8 by
// send delay and 3 outside the trace.
func TestExplain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testExplain)
}

func testExplain(t *testing.T) {
	j := &jaeger{traces: map[string][]criticalpath.Span{}, looks: map[string]int{}, never: map[string]bool{}}
	g := Group{Scenario: "create"}
	for i := range 40 {
		id := fmt.Sprintf("%032x", i+1)
		db, proxy, sendDelay, rest := 5+i%3, 2, 0, 1
		if i < 20 {
			db, proxy, sendDelay, rest = db+150, proxy+19, 8, 4
		}
		server := 1 + db
		client := proxy + server
		j.traces[id] = []criticalpath.Span{
			at("c", "", "loadgen", "POST /albums", 0, client+1), at("p", "c", "proxy-service", "POST /albums", 1, client+1),
			at("s", "p", "album-store", "POST /albums", 1+proxy, client+1), at("d", "s", "album-store", "INSERT albums", 2+proxy, client+1),
		}
		r := Request{TraceID: id, SendDelay: time.Duration(sendDelay) * time.Millisecond, Response: time.Duration(sendDelay+client+1+rest) * time.Millisecond}
		if i < 20 {
			g.Slow = append(g.Slow, r)
		} else {
			g.Typical = append(g.Typical, r)
		}
	}
	j.never[g.Slow[3].TraceID] = true
	g.Typical[5].TraceID = "" // not sampled
	client := Jaeger{URL: "http://jaeger", Client: &http.Client{Transport: j}}
	if err := client.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := client.Page(t.Context()); got != "http://jaeger/api/traces/" {
		t.Errorf("a Jaeger without pages: %s", got)
	}
	began := time.Now()
	attributions := Explain(t.Context(), client, []Group{g, {Scenario: "none"}}, 8*time.Second)
	a := attributions[0]
	if len(attributions) != 2 || a.SlowFound != 19 || a.Found != 19 || a.Slow != 20 || a.Typical != 20 || a.Missing == "" || math.Abs(a.Difference-0.180) > 0.001 {
		t.Errorf("%+v", a)
	}
	sum := 0.0
	want := []struct {
		name string
		ms   float64
	}{{"INSERT albums", 150}, {"POST /albums", 19}, {"send delay", 8}, {"outside the trace", 3}}
	for i, c := range a.Causes {
		sum += c.Difference
		if i < len(want) && (c.Name != want[i].name || math.Abs(1000*c.Difference-want[i].ms) > 0.5 || c.Low > c.Difference+1e-9 || c.High < c.Difference-1e-9) {
			t.Errorf("cause %d: %+v, want %+v", i, c, want[i])
		}
	}
	if math.Abs(sum-a.Difference) > 1e-9 {
		t.Errorf("the causes add up to %g, want %g", sum, a.Difference)
	}
	if c := a.Causes[0]; c.Service != "album-store" || math.Abs(c.Share-150.0/180) > 0.01 || j.traces[c.TraceID] == nil {
		t.Errorf("first cause %+v", c)
	}
	if b := attributions[1]; b.Slow != 0 || len(b.Causes) != 0 {
		t.Errorf("a group without requests: %+v", b)
	}
	// 39 traces are two queries. There is no query before the first spans can arrive, and the
	// interval between queries grows.
	if n, first := len(j.requests), j.requests[0].Sub(began); n > 12 || first < settled-stable {
		t.Errorf("%d requests, the first after %s, want 12 at most and none for %s", n, first, settled-stable)
	}
	for i, at := range j.requests[:len(j.requests)-2] {
		if wait := j.requests[i+2].Sub(at); wait < stable {
			t.Errorf("request %d after %s, and %s later the next but one", i, at.Sub(began), wait)
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<div id="jaeger-ui-root">`) }))
	defer pages.Close()
	if got := (Jaeger{pages.URL, pages.Client()}).Page(t.Context()); got != pages.URL+"/trace/" {
		t.Errorf("a Jaeger with pages: %s", got)
	}
	for service, want := range map[string]string{"console": "/trace/", "other": "/api/traces/"} {
		status := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"service":%q}`, service)
		}))
		if got := (Jaeger{status.URL, status.Client()}).Page(t.Context()); got != status.URL+want {
			t.Errorf("the service %s: %s, want …%s", service, got, want)
		}
		status.Close()
	}
}

// Without Jaeger, or without traces, Explain reports it within patience.
func TestNoTraces(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"another server": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<h1>hello</h1>") },
		"broken":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
	} {
		srv := httptest.NewServer(h)
		if err := (Jaeger{srv.URL, srv.Client()}).Reach(t.Context()); err == nil {
			t.Errorf("%s is taken for Jaeger", name)
		}
		srv.Close()
	}
	srv := httptest.NewServer(&jaeger{looks: map[string]int{}})
	defer srv.Close()
	g := Group{Scenario: "get", Slow: []Request{{TraceID: "1"}}, Typical: []Request{{TraceID: "2"}}}
	a := Explain(t.Context(), Jaeger{srv.URL, srv.Client()}, []Group{g}, 10*time.Millisecond)[0]
	if a.SlowFound != 0 || a.Found != 0 || a.Missing != "traces incomplete or not in Jaeger" || len(a.Causes) != 0 {
		t.Errorf("%+v", a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := Explain(ctx, Jaeger{srv.URL, srv.Client()}, []Group{g}, time.Hour)[0]; a.SlowFound != 0 {
		t.Errorf("%+v", a)
	}
}

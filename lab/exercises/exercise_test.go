package exercises

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
	"testing/synctest"
	"time"

	"soundcheck/internal/jaegerapi"
	"soundcheck/lab/plan"
)

func TestAll(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	levels := map[int]int{}
	docs, err := os.ReadFile("../../docs/exercises.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		levels[x.Level]++
		if !strings.Contains(string(docs), fmt.Sprintf("| %d | `%s` |", x.Level, x.Name)) {
			t.Errorf("docs/exercises.md has no row of %s, level %d", x.Name, x.Level)
		}
		p := x.Plan()
		if p.Name != x.Name || len(p.Loads) != len(x.Setup.Load) {
			t.Errorf("%s: %+v", x.Name, p)
		}
	}
	if len(all) < 12 || levels[1] < 3 || levels[2] < 3 || levels[3] < 3 {
		t.Errorf("%d exercises, by level %v", len(all), levels)
	}
}

const good = `title: T
level: 1
minutes: 5
teaches: x
report: x
setup:
  components:
    album-store: {fault: db-delay=1s, flags: {queue-wait: 1s}, env: {A: b}}
  load:
    - {to: proxy-service, args: -rate 5  -mix get=1}
symptom: {query: up, shows: x, after: 3s}
ask:
  - key: a
    text: x
    choice: {of: [x, y, z], is: y, fault: album-store db-delay}
hints: [x]
solution:
  - {text: x, answer: {a: y}}
remember: x
`

func TestParse(t *testing.T) {
	t.Parallel()
	x, err := Parse("one", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	p := x.Plan()
	if got := strings.Join(p.Changes[plan.StoreName].Env, " "); got != "A=b SOUNDCHECK_STORE_FAULT=db-delay=1s SOUNDCHECK_STORE_QUEUE_WAIT=1s" {
		t.Errorf("environment %q", got)
	}
	if got := strings.Join(p.Loads[0].Args, "|"); got != "-rate|5|-mix|get=1" {
		t.Errorf("load %q", got)
	}
	if x.Symptom.After != 3*time.Second {
		t.Errorf("after %s", x.Symptom.After)
	}
	for _, tt := range []struct{ old, new, want string }{
		{"level: 1", "level: 4", "level 4 is out of range: 1 to 3"},
		{"minutes: 5", "", "minutes 0 is out of range: 1 to 60"},
		{"minutes: 5", "minuts: 5", `[3:1] unknown field "minuts"`},
		{"level: 1", "level: high", "[2:8]"},
		{"report: x", "", "report is missing"},
		{"album-store: {", "jaeger: {", `setup.components: "jaeger" is not album-store`},
		{"fault: db-delay=1s,", "config: x,", "setup.components.album-store: fault and flags are for services"},
		{"to: proxy-service", "to: jaeger", `setup.load: to: "jaeger" is no service`},
		{"hints: [x]", "", "need one entry at least"},
		{"key: a", "key: A", "ask.A: the key must be lower-case"},
		{"is: y", "is: w", "ask.a: choice: of needs three names at least, and is one of them"},
		{", fault: album-store db-delay}", "}", "choice: must have one of query, fault, skew and found"},
		{"    choice: {of: [x, y, z], is: y, fault: album-store db-delay}", "", "must have one of choice, label, value, trace and query"},
		{", fault: album-store db-delay}", ", found: {search: service=a}}", "choice.found: needs search and spans"},
		{", fault: album-store db-delay}", ", found: {search: service=a, spans: [{name: '('}]}}", "choice.found: name: error parsing regexp"},
		{"shows: x,", "shows: x, found: {search: a},", "symptom.found: needs search and spans"},
		{"title: T", "title: It is Y", `ask.a: the name, the title or the report says "y", which is the answer`},
		{"    choice: {of: [x, y, z], is: y, fault: album-store db-delay}", "    value: {query: up}", "value: needs a query or skew, a unit"},
		{"    choice: {of: [x, y, z], is: y, fault: album-store db-delay}", "    trace: {spans: [{name: '('}]}", "trace: name: error parsing regexp"},
		{"answer: {a: y}", "answer: {b: y}", "ask.a: the solution does not give it"},
		{"answer: {a: y}", "answer: {a: y, b: y}", "solution: b is not asked"},
	} {
		if !strings.Contains(good, tt.old) {
			t.Fatalf("no %q", tt.old)
		}
		if _, err := Parse("one", []byte(strings.Replace(good, tt.old, tt.new, 1))); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("with %q: %v, want %s", tt.new, err, tt.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, unit string
		want       float64
		err        string
	}{
		{"310ms", "s", 0.31, ""},
		{"0.31", "s", 0.31, ""},
		{"fast", "s", 0, "must be a time, as in 310ms"},
		{"12%", "share", 0.12, ""},
		{"0.12", "share", 0.12, ""},
		{"x%", "share", 0, "must be a share"},
		{"12.5", "", 12.5, ""},
		{"12%", "", 0, "must be a number"},
		{"NaN", "", 0, "must be a number"},
		{"Inf", "s", 0, "must be a time"},
	} {
		got, err := parseNumber(tt.text, tt.unit)
		if got != tt.want && tt.err == "" || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("parseNumber(%q, %q) = %v, %v", tt.text, tt.unit, got, err)
		}
		if tt.err != "" {
			continue
		}
		if again, err := parseNumber(Number(got, tt.unit), tt.unit); err != nil || !near(again, got, 0.01) {
			t.Errorf("Number(%v, %q) = %s: %v, %v", got, tt.unit, Number(got, tt.unit), again, err)
		}
	}
}

// trace is that of a call, µs: a server span 0-1000 with a queue 0-100 and a database 300-400 and
// 350-500; then a call whose server is ahead by 5 s.
const traceJSON = `{"TraceID":"1","Processes":{"p":{"ServiceName":"proxy"},"s":{"ServiceName":"store"}},"Spans":[
{"SpanID":"a","OperationName":"GET /x","StartTime":0,"Duration":1000,"ProcessID":"s","Tags":[{"Key":"span.kind","Value":"server"}]},
{"SpanID":"b","OperationName":"queue","StartTime":0,"Duration":100,"ProcessID":"s","References":[{"RefType":"CHILD_OF","TraceID":"1","SpanID":"a"}]},
{"SpanID":"c","OperationName":"SELECT","StartTime":300,"Duration":100,"ProcessID":"s","References":[{"RefType":"CHILD_OF","TraceID":"1","SpanID":"a"}]},
{"SpanID":"d","OperationName":"SELECT","StartTime":350,"Duration":150,"ProcessID":"s","Tags":[{"Key":"error","Value":true}],"References":[{"RefType":"CHILD_OF","TraceID":"1","SpanID":"a"}]},
{"SpanID":"e","OperationName":"call","StartTime":500,"Duration":300,"ProcessID":"p","References":[{"RefType":"CHILD_OF","TraceID":"1","SpanID":"a"}]},
{"SpanID":"f","OperationName":"late","StartTime":5000500,"Duration":300,"ProcessID":"s","References":[{"RefType":"CHILD_OF","TraceID":"1","SpanID":"e"}]}]}`

func TestSpans(t *testing.T) {
	t.Parallel()
	var trace jaegerapi.Trace
	if err := json.Unmarshal([]byte(traceJSON), &trace); err != nil {
		t.Fatal(err)
	}
	const us = time.Microsecond
	for _, tt := range []struct {
		span Span
		want bool
	}{
		{Span{Service: "store"}, true},
		{Span{Service: "other"}, false},
		{Span{Service: "other", None: true}, true},
		{Span{Service: "store", None: true}, false},
		{Span{Name: "SELECT", Least: 2}, true},
		{Span{Name: "SELECT", Least: 3}, false},
		{Span{Name: "SEL"}, false},
		{Span{Name: "SEL.*|none", Longer: 150 * us}, true},
		{Span{Name: "SELECT", Longer: 151 * us}, false},
		{Span{Kind: "server", Root: true}, true},
		{Span{Name: "queue", Root: true}, false},
		{Span{Name: "GET /x", Self: 400 * us}, true}, // 100-300, 800-1000
		{Span{Name: "GET /x", Self: 401 * us}, false},
		{Span{Failed: true, Name: "SELECT"}, true},
		{Span{Failed: true, Name: "queue"}, false},
		{Span{Tags: map[string]string{"span.kind": "server"}}, true},
		{Span{Tags: map[string]string{"span.kind": "client"}}, false},
		{Span{Outside: 4 * time.Second}, true},
		{Span{Outside: 6 * time.Second}, false},
	} {
		if got := holds(&trace, []Span{tt.span}); got != tt.want {
			t.Errorf("%+v: %t", tt.span, got)
		}
	}
}

// backends is a lab whose Prometheus knows some expressions, and whose Jaeger has one trace.
func backends(t *testing.T) Lab {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		result := map[string]string{
			"rate": `[{"metric":{"port":"80"},"value":[1,"10"]}]`, "two": `[{"metric":{},"value":[1,"1"]},{"metric":{},"value":[1,"2"]}]`,
			"none": `[]`, "constant": `[{"metric":{},"value":[1,"10"]}]`, "rate or 0": `[{"metric":{},"value":[1,"10"]}]`, "nan": `[{"metric":{},"value":[1,"NaN"]}]`,
		}[r.FormValue("query")]
		if r.FormValue("time") == "1" && r.FormValue("query") == "rate or 0" {
			result = `[{"metric":{},"value":[1,"0"]}]`
		} else if r.FormValue("time") == "1" && r.FormValue("query") != "constant" {
			result = "[]"
		}
		if result == "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"status":"error","error":"parse error"}`)
			return
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":%s}}`, result)
	})
	mux.HandleFunc("/api/traces", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"data":[%s]}`, traceJSON) })
	mux.HandleFunc("/api/traces/1", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"data":[%s]}`, traceJSON) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { http.Error(w, `{}`, http.StatusNotFound) })
	for l := (plan.Lab{Offset: 3500 + os.Getpid()%400}); ; l.Offset += 7 {
		if l.Offset > 15000 { // where Linux takes the ports of clients from
			t.Fatal("no ports are free")
		}
		var listeners []net.Listener
		for _, address := range []string{l.Prometheus(), l.Jaeger()} {
			if listener, err := net.Listen("tcp", strings.TrimPrefix(address, "http://")); err == nil {
				listeners = append(listeners, listener)
			}
		}
		if len(listeners) < 2 {
			for _, listener := range listeners {
				listener.Close()
			}
			continue
		}
		for _, listener := range listeners {
			srv := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
			srv.Start()
			t.Cleanup(srv.Close)
		}
		return Lab{Lab: l, Begun: time.Now().Add(-time.Minute)}
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	l := backends(t)
	query := Question{Query: &Query{Same: "rate", Tolerance: 0.1}}
	value := Question{Value: &Value{Query: "rate", Tolerance: 0.15}}
	seconds := Question{Value: &Value{Query: "rate", Unit: "s", Tolerance: 0.15}}
	label := Question{Label: &Label{Query: "rate", Name: "port"}}
	choice := Question{Choice: &Choice{Of: []string{"a", "b", "c"}, Is: "a", Query: "rate"}}
	for _, tt := range []struct {
		q            Question
		answer, want string
	}{
		{query, "rate", ""},
		{query, "rate or 0", ""},
		{query, "constant", "wrong: the query does not read a metric"},
		{query, "two", "wrong: the query has 2 results"},
		{query, "none", "wrong: the query has no result"},
		{query, "nan", "wrong: the query has no result"},
		{query, "rate(", "wrong: Prometheus rejects the query: parse error"},
		{value, "11.4", ""},
		{value, "11.6", "wrong: 11.6 is not within 15%"},
		{value, "8.6", ""},
		{value, "8.4", "wrong: 8.4 is not within 15%"},
		{seconds, "310", "wrong: 5m10s is not within"},
		{label, "80", ""},
		{label, "81", "wrong"},
		{choice, "a", ""},
		{choice, "b", "wrong"},
		{choice, "d", `"d" is not one of a, b, c`},
		{Question{Value: &Value{Query: "none", Tolerance: 0.1}}, "1", "does not show it now"},
		{Question{Label: &Label{Query: "none", Name: "x"}}, "1", "does not show it now"},
		{Question{Choice: &Choice{Of: []string{"a"}, Is: "a", Query: "none"}}, "a", "does not show it now"},
		{Question{Query: &Query{Same: "none"}}, "rate", "does not show it now"},
		{Question{Value: &Value{Query: "two"}}, "1", "has 2 values, want one"},
		{Question{Trace: &Trace{}}, "x1", "is not a trace id"},
	} {
		err := tt.q.Check(t.Context(), l, tt.answer)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.answer, err, tt.want)
		}
		if _, isWrong := err.(Wrong); isWrong != strings.HasPrefix(tt.want, "wrong") {
			t.Errorf("%q: %T", tt.answer, err)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	for range 2 {
		if err := Record(state, "a", func(p *Progress) { p.Answers++ }); err != nil {
			t.Fatal(err)
		}
	}
	all, err := ReadProgress(state)
	if err != nil || len(all) != 1 || all["a"].Answers != 2 {
		t.Errorf("%v, %v", all, err)
	}
	for _, text := range []string{`{"a":{"answer":1}}`, `{"a":null}`, `[`} {
		if err := os.WriteFile(filepath.Join(state, "exercises.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := Record(state, "a", func(*Progress) {}); err == nil || !strings.Contains(err.Error(), "exercises.json") {
			t.Errorf("%s: %v", text, err)
		}
		if b, _ := os.ReadFile(filepath.Join(state, "exercises.json")); string(b) != text {
			t.Errorf("%s was overwritten with %s", text, b)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := Lab{Lab: plan.Lab{Offset: 100}}
		for begun, want := range map[time.Duration]string{0: "8s", time.Minute: "60s", time.Hour: "300s"} {
			l.Begun = time.Now().Add(-begun)
			if got := l.Expand("x[${since}] ${store} ${second-store} ${proxy}\n"); got != "x["+want+"] 9180 9182 9170" {
				t.Errorf("after %s: %s", begun, got)
			}
		}
	})
}

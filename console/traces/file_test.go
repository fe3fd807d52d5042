package traces

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"soundcheck/internal/jaegerapi"
)

const (
	traceA = "0000000000000000000000000000000a"
	traceB = "000000000000000000000000000000b0"
)

// otlpSpanJSON is a span in OTLP JSON; times are in ms.
func otlpSpanJSON(trace, id, parent, name string, from, to int, more string) string {
	return fmt.Sprintf(`{"traceId":%q,"spanId":"%016s","parentSpanId":%q,"name":%q,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"%s}`,
		trace, id, parent, name, 1_700_000_000_000_000_000+from*1_000_000, 1_700_000_000_000_000_000+to*1_000_000, more)
}

func resourceSpans(service string, spans ...string) string {
	return fmt.Sprintf(`{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":%q}},{"key":"n","value":{"intValue":"7"}}]},"scopeSpans":[{"scope":{"name":"lib","version":"1"},"spans":[%s]}]}`, service, strings.Join(spans, ","))
}

func requestJSON(resources ...string) string {
	return `{"resourceSpans":[` + strings.Join(resources, ",") + `]}`
}

// A file of OTLP has the traces, spans and attributes that Jaeger shows of the same spans.
func TestReadOTLP(t *testing.T) {
	t.Parallel()
	parent := "0000000000000001"
	server := otlpSpanJSON(traceA, "2", parent, "GET /a", 10, 90, `,"kind":2,"status":{"code":2,"message":"no"},"attributes":[{"key":"big","value":{"intValue":"9007199254740993"}},{"key":"list","value":{"arrayValue":{"values":[{"boolValue":true}]}}}],`+
		`"events":[{"timeUnixNano":"1700000000020000000","name":"exception","attributes":[{"key":"exception.type","value":{"stringValue":"E"}}]}],"links":[{"traceId":"`+traceB+`","spanId":"0000000000000009"}],"unknown":{"is":"ignored"}`)
	client := otlpSpanJSON(traceA, "1", "", "GET", 0, 100, `,"kind":"SPAN_KIND_CLIENT","status":{"code":"STATUS_CODE_OK"}`)
	other := otlpSpanJSON(traceB, "9", "", "other", 0, 1, "")
	lines := requestJSON(resourceSpans("loadgen", client)) + "\n\n" + `{"resourceLogs":[]}` + "\n" + requestJSON(resourceSpans("store", server), resourceSpans("store", other)) + "\n"
	for name, text := range map[string]string{
		"lines":        lines,
		"one document": "\ufeff" + requestJSON(resourceSpans("loadgen", client), resourceSpans("store", server, other)),
		"Jaeger's API": `{"result":` + requestJSON(resourceSpans("loadgen", client), resourceSpans("store", server, other)) + `}`,
	} {
		f, err := ReadFile([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(f.Traces) != 2 || (f.Skipped != 0) != (name == "lines") {
			t.Fatalf("%s: %d traces, %d skipped", name, len(f.Traces), f.Skipped)
		}
		a := f.Traces[0]
		if s := a.Summary; s.ID != traceA || s.Service != "loadgen" || s.Name != "GET" || s.Duration != 100_000 || s.Spans != 2 || s.Errors != 1 || s.Incomplete {
			t.Errorf("%s: %+v", name, s)
		}
		base := int64(1_700_000_000_000_000)
		if got, want := fmt.Sprint(a.Critical), fmt.Sprint([]CriticalPart{{"0000000000000001", base + 90_000, base + 100_000}, {"0000000000000002", base + 10_000, base + 90_000}, {"0000000000000001", base, base + 10_000}}); got != want {
			t.Errorf("%s: critical path %s, want %s", name, got, want)
		}
		found := a.Trace.(*jaegerapi.Trace)
		var b strings.Builder
		for _, tag := range found.Spans[1].Tags {
			fmt.Fprintf(&b, "%s=%v ", tag.Key, tag.Value)
		}
		if got, want := b.String(), "big=9007199254740993 list=[true] span.kind=server otel.status_code=ERROR error=true otel.status_description=no otel.scope.name=lib otel.scope.version=1 "; got != want {
			t.Errorf("%s: tags %s, want %s", name, got, want)
		}
		s := found.Spans[1]
		if len(s.References) != 2 || s.References[1] != (jaegerapi.Reference{RefType: "FOLLOWS_FROM", TraceID: traceB, SpanID: "0000000000000009"}) || len(s.Logs) != 1 || s.Logs[0].Fields.Text("event") != "exception" || found.Processes[s.ProcessID].Tags.Text("n") != "7" {
			t.Errorf("%s: %+v of %+v", name, s, found.Processes)
		}
		if len(found.Processes) != 2 {
			t.Errorf("%s: processes %v", name, found.Processes)
		}
	}
}

func TestReadJaeger(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"response": strings.ReplaceAll(sample, `"t"`, `"0a"`), "one trace": strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(sample, `{"data":[`), "]}"), `"t"`, `"0a"`)} {
		text = strings.ReplaceAll(text, `"traceID":"0a","spanID"`, `"traceID":"00a","spanID"`)
		f, err := ReadFile([]byte(text))
		if err != nil || len(f.Traces) != 1 || f.Traces[0].Summary.Spans != 4 || f.Traces[0].Summary.Errors != 1 || len(f.Traces[0].Critical) == 0 {
			t.Errorf("%s: %+v, %v", name, f, err)
			continue
		}
		b, err := json.Marshal(f.Traces[0].Trace)
		if err != nil || !strings.Contains(string(b), `{"refType":"CHILD_OF","traceID":"0a","spanID":"1"}`) {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
}

func TestReadFileErrors(t *testing.T) {
	t.Parallel()
	good := requestJSON(resourceSpans("s", otlpSpanJSON(traceA, "1", "", "x", 0, 1, "")))
	bad := func(from, to string) string { return good + "\n" + strings.Replace(good, from, to, 1) }
	jaegerBad := func(from, to string) string {
		return strings.Replace(strings.ReplaceAll(sample, `"t"`, `"a"`), from, to, 1)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":             {" \n", "the file is empty"},
		"text":              {"hello\n", "line 1, column 1: this is not JSON: invalid character 'h' looking for beginning of value"},
		"cut":               {"{\n  \"data\": [", "line 2, column 12: the JSON is not valid: unexpected end of JSON input"},
		"a bad line":        {good + "\n" + `{"resourceSpans":[}` + "\n", "line 2, column 19: the JSON is not valid: invalid character '}' looking for beginning of value"},
		"other JSON":        {`{"traces":[]}`, "no traces in this format. Want Jaeger JSON"},
		"a line of other":   {good + "\n{}\n", "line 2: no traces in this format. Want Jaeger JSON"},
		"an array":          {`[1]`, "want an object: Jaeger JSON"},
		"only logs":         {`{"resourceLogs":[]}`, "the file has no spans"},
		"no data":           {`{"data":[]}`, "the file has no spans"},
		"type":              {strings.Replace(good, `"name":"x"`, `"name":7`, 1), "resourceSpans.scopeSpans.spans.name is a number, want a string"},
		"type on a line":    {bad(`"name":"x"`, `"name":7`), "line 2, column "},
		"trace id":          {bad(traceA, "xyz"), `line 2: resourceSpans[0].scopeSpans[0].spans[0].traceId: "xyz" is not 32 hexadecimal digits`},
		"span id":           {bad("0000000000000001", ""), `spans[0].spanId: "" is not 16 hexadecimal digits`},
		"parent":            {bad(`"parentSpanId":""`, `"parentSpanId":"1"`), `spans[0].parentSpanId: "1" is not 16 hexadecimal digits`},
		"start":             {bad(`"startTimeUnixNano":"1700000000000000000"`, `"startTimeUnixNano":"soon"`), `spans[0].startTimeUnixNano: "soon" is not a time in ns since 1970`},
		"end":               {bad(`"endTimeUnixNano"`, `"end"`), `spans[0].endTimeUnixNano: "" is not a time in ns since 1970`},
		"kind":              {bad(`"name":"x"`, `"name":"x","kind":9`), `spans[0].kind: "9" is not 0 to 5`},
		"status":            {bad(`"name":"x"`, `"name":"x","status":{"code":"BAD"}`), `spans[0].status.code: "BAD" is not 0 to 2`},
		"event":             {bad(`"name":"x"`, `"name":"x","events":[{"name":"e"}]`), `spans[0].events[0].timeUnixNano: "" is not a time in ns since 1970`},
		"Jaeger's trace id": {sample, `data[0].traceID: "t" is not a trace id: up to 32 hexadecimal digits`},
		"no span id":        {jaegerBad(`"spanID":"2","operationName"`, `"spanID":"","operationName"`), "data[0].spans[0].spanID is missing"},
		"no time":           {jaegerBad(`"startTime":10`, `"startTime":-10`), "data[0].spans[0].startTime: -10 is not a time in µs since 1970"},
		"a negative length": {jaegerBad(`"duration":2,`, `"duration":-2,`), "data[0].spans[1].duration: -2 is not a duration in µs"},
		"no process":        {jaegerBad(`"processID":"p1"`, `"processID":"p9"`), `data[0].spans[3].processID: "p9" is not in processes`},
		"Jaeger's type":     {jaegerBad(`"startTime":10`, `"startTime":"10"`), "data.spans.startTime is a string, want a whole number"},
		"null":              {`{"data":[null]}`, "data[0] is null"},
	} {
		if f, err := ReadFile([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v\nwant %s", name, f, err, tt.want)
		}
	}
}

func FuzzReadFile(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(requestJSON(resourceSpans("s", otlpSpanJSON(traceA, "1", "", "x", 0, 1, "")))))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := ReadFile(b)
		if err != nil {
			return
		}
		if _, err := json.Marshal(file); err != nil {
			t.Errorf("ReadFile(%q) cannot be encoded: %v", b, err)
		}
	})
}

// The page's critical path is the one of loadgen's tail-latency attribution, which is tested with
// the same file.
func TestPageCriticalPath(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../internal/criticalpath/testdata/critical.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name  string
		Path  map[string]int64
		Trace json.RawMessage
	}
	if err := json.Unmarshal(b, &cases); err != nil || len(cases) < 50 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		body := `{"data":[` + string(c.Trace) + `]}`
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		at, _ := url.Parse(srv.URL)
		page, err := Jaeger{at, srv.Client()}.Page(t.Context(), "abc")
		srv.Close()
		if err != nil {
			t.Fatal(err)
		}
		f, err := ReadFile([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		for where, parts := range map[string][]CriticalPart{"page": page.Critical, "file": f.Traces[0].Critical} {
			got := map[string]int64{}
			for _, p := range parts {
				got[p.Span] += p.To - p.From
			}
			if fmt.Sprint(got) != fmt.Sprint(c.Path) {
				t.Errorf("%s: %s %v, want %v", c.Name, where, got, c.Path)
			}
		}
	}
}

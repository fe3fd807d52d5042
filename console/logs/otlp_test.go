package logs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"soundcheck/console/otlp"
)

// request is a line of the Collector's file: records of one service, some seconds after the beginning.
func request(service string, records ...string) string {
	// All requests of a service begin with the same attributes, in real files with more than a kilobyte of them.
	const more = `{"key":"process.command_args","value":{"arrayValue":{"values":[%s]}}},`
	long := fmt.Sprintf(more, strings.TrimSuffix(strings.Repeat(`{"stringValue":"-flag"},`, 80), ","))
	return fmt.Sprintf(`{"resourceLogs":[{"resource":{"attributes":[`+long+`{"key":"k8s.pod.name","value":{"stringValue":%q}},{"key":"service.name","value":{"stringValue":%q}}]},`+
		`"scopeLogs":[{"scope":{"name":"x"},"logRecords":[%s]}]}]}`+"\n", service+"-0", service, strings.Join(records, ","))
}

// record is a log record with a text.
func record(s float64, severity int, body, more string) string {
	return fmt.Sprintf(`{"timeUnixNano":"%d","severityNumber":%d,"body":{"stringValue":%q}%s}`, begin.Add(time.Duration(s*float64(time.Second))).UnixNano(), severity, body, more)
}

// containerLab is a folder as in containers: only the Collector's files.
func containerLab(t *testing.T) string {
	dir := t.TempDir()
	write(t, dir, "otlp-2026-05-04T10-00-02.000.jsonl", request("store", record(1, 9, "first", ""), record(2, 5, "second", "")))
	write(t, dir, "otlp.jsonl",
		request("store", record(3, 13, `say "hi" <b>`, `,"traceId":"`+trace+`","spanId":"00000000000000aa","attributes":[{"key":"n","value":{"intValue":"7"}}]`)),
		request("proxy", record(4, 9, "between", ""), record(5.5, 9, "last", "")),
		request("store", record(5, 17, "Überlast", "")),
		`{"resourceLogs":[{"resource`)
	return dir
}

func TestOTLP(t *testing.T) {
	dir := containerLab(t)
	p := read(t, dir, Query{})
	expect(t, "all", p, "last", "Überlast", "between", `say "hi" <b>`, "second", "first")
	if strings.Join(p.Services, " ") != "proxy store" || p.More {
		t.Errorf("services %v, more %v", p.Services, p.More)
	}
	b, err := json.Marshal(p.Lines[3])
	const want = `{"service":"store","time":"2026-05-04T10:00:03Z","level":"warn","message":"say \"hi\" \u003cb\u003e","trace_id":"` + trace +
		`","span_id":"00000000000000aa","fields":[{"name":"n","value":7},{"name":"k8s.pod.name","value":"store-0"}]}`
	if err != nil || string(b) != want {
		t.Errorf("line %s, %v; want %s", b, err, want)
	}
	expect(t, "service", read(t, dir, Query{Services: []string{"proxy"}}), "last", "between")
	expect(t, "level", read(t, dir, Query{Level: "warn"}), "Überlast", `say "hi" <b>`)
	expect(t, "text", read(t, dir, Query{Text: `"HI" <B>`}), `say "hi" <b>`)
	expect(t, "text of one record of two", read(t, dir, Query{Text: "betw"}), "between")
	expect(t, "attribute", read(t, dir, Query{Text: "store-0"}), "Überlast", `say "hi" <b>`, "second", "first")
	expect(t, "trace", read(t, dir, Query{Trace: trace}), `say "hi" <b>`)
	expect(t, "since", read(t, dir, Query{Since: begin.Add(5 * time.Second)}), "last", "Überlast")
	expect(t, "until", read(t, dir, Query{Until: begin.Add(2 * time.Second)}), "second", "first")
}

// A page can end only between requests: the next one has the rest, once.
func TestOTLPPages(t *testing.T) {
	dir := containerLab(t)
	var got []string
	for q := (Query{Limit: 1}); ; {
		p := read(t, dir, q)
		got = append(got, messages(p)...)
		if !p.More {
			break
		}
		if len(p.Lines) == 0 || len(got) > 10 {
			t.Fatalf("a page without lines, or too many: %q", got)
		}
		q.Before = p.Oldest
	}
	if s := strings.Join(got, ","); s != `Überlast,last,between,say "hi" <b>,second,first` {
		t.Errorf("pages: %s", s)
	}
}

func TestOTLPFollow(t *testing.T) {
	dir := containerLab(t)
	p := read(t, dir, Query{})
	write(t, dir, "otlp.jsonl", "s\"}\n", request("store", record(6, 9, "new", "")))
	next := read(t, dir, Query{After: p.Newest})
	expect(t, "since", next, "new", `{"resourceLogs":[{"resources"}`)
	if !next.Lines[1].Text || next.Lines[1].Service != otlpName {
		t.Errorf("a line that is no request: %+v", next.Lines[1])
	}
}

func TestOTLPValues(t *testing.T) {
	var r otlpRecord
	const text = `{"observedTimeUnixNano":"1777888806500000000","severityText":"WARN","traceId":"00000000000000000000000000000000","body":{"kvlistValue":{"values":[
		{"key":"a","value":{"arrayValue":{"values":[{"boolValue":true},{"doubleValue":1.5},{"intValue":-3},{"bytesValue":"AAE="},{}]}}}]}}}`
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	l := r.line("s", otlp.Value{})
	if l.Message != `{"a":[true,1.5,-3,"AAE=",null]}` || l.Level != "warn" || l.TraceID != "" || !l.Time.Equal(time.UnixMicro(1777888806500000)) {
		t.Errorf("%+v", l)
	}
}

func TestSeverity(t *testing.T) {
	for number, want := range map[int]string{0: "info", 1: "debug", 4: "debug", 8: "debug", 9: "info", 12: "info", 13: "warn", 16: "warn", 17: "error", 21: "error", 24: "error"} {
		if got := severity(number, ""); got != want {
			t.Errorf("severity %d: %s, want %s", number, got, want)
		}
	}
}

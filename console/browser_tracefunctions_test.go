package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The functions on traces run in a browser, on a page of the console.
func TestTraceFunctions(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/trace/e1")
	for _, tt := range []struct{ name, module, expression, want string }{
		{"logfmt", "tracequery", `m.logfmt('a=b  c="d e" f g="" h="i\\"j" k=')`, `{"a":"b","c":"d e","f":"true","g":"","h":"i\"j","k":""}`},
		{"logfmt of nothing", "tracequery", `m.logfmt("  ")`, `{}`},
		{"logfmt without an end", "tracequery", `m.logfmt('a="b')`, `error: Tags: the quoted value of a has no closing quote.`},
		{"logfmt without a name", "tracequery", `m.logfmt('=b')`, `error: Tags: a name is missing at character 1.`},
		{"logfmt with a quote within", "tracequery", `m.logfmt('a=b"c"')`, `error: Tags: unexpected quote in the value of a.`},
		{"durations", "tracequery", `["", "1.5ms", "500us", "2µs", "1m30s", "3d"].map((d) => m.duration(d, "x"))`, `[null,0.0015,0.0005,0.000002,90,259200]`},
		{"no unit", "tracequery", `m.duration("5", "Max duration")`, `error: Max duration: "5" is not a duration.`},
		{"half a duration", "tracequery", `m.duration("5ms x", "x")`, `error: x: "5ms x" is not a duration.`},
		{"an address of Jaeger's page", "tracequery", `m.read(new URLSearchParams('service=s&operation=all&tags={"a":"b c","d":"e"}&start=1&end=2'))`,
			`{"service":"s","operation":"","filter":"a = \"b c\" and d = e","minDuration":"","maxDuration":"","lookback":"custom","start":"1","end":"2","limit":"100","sort":"newest"}`},
		{"a request", "tracequery", `m.request({...m.read(new URLSearchParams("service=s&lookback=5m&maxDuration=2s")), }, 1e9)`,
			`{"service":"s","operation":"","filter":"","minDuration":"","maxDuration":"2000000us","start":999700000000,"end":1000000000000,"limit":"100"}`},
		{"tags that are named as fields", "tracequery", `m.read(new URLSearchParams("tags=name=and status=7 or=kind")).filter`, `"\"name\" = \"and\" and \"status\" = 7 and \"or\" = kind"`},
		{"tags and a filter with or", "tracequery", `["filter=a = 1 or b = 2&tags=c=3", "filter=a = 1 || b = 2&tags=c=3", "filter=a = 1 or b = 2", "filter=order.id = 1&tags=c=3"].map((q) => m.read(new URLSearchParams(q)).filter)`, `["(a = 1 or b = 2) and c = 3","(a = 1 || b = 2) and c = 3","a = 1 or b = 2","order.id = 1 and c = 3"]`},
		{"tags and a filter", "tracequery", `["tags=error and=7&filter=x > 5", "tags=a=\"b", "service=*"].map((q) => m.read(new URLSearchParams(q))).map((r) => [r.filter, m.request({ ...r, service: r.service || "s" }).service])`, `[["x > 5 and error = true and \"and\" = 7","s"],["a=\"b","s"],["",""]]`},
		{"orders", "tracequery", `(() => { const t = (id, start, duration, spans, errors) => ({ id, start, duration, spans, errors }); const l = [t("a", 1, 5, 2, 0), t("b", 2, 9, 1, 1), t("c", 3, 1, 3, 4), t("d", 4, 2, 2, 0)]; return m.orders.map(([o]) => o + " " + m.order(l, o).map((x) => x.id).join("")); })()`, `["newest dcba","oldest abcd","failed cbda","errors cbda","longest badc","shortest cdab","spans cdab"]`},
		{"too many", "tracequery", `m.request(m.read(new URLSearchParams("service=s&limit=9999")))`, `error: Limit: "9999" is not 1 to 1500.`},
		{"the wrong way round", "tracequery", `m.request(m.read(new URLSearchParams("service=s&minDuration=2s&maxDuration=1s")))`, `error: Min duration is more than max duration.`},
		{"no begin", "tracequery", `m.request(m.read(new URLSearchParams("service=s&lookback=custom&end=5")))`, `error: From and to are both required.`},
		{"trace ids", "tracequery", `[" AB1 ", "0", "xyz", "", "0".repeat(32), "f".repeat(33)].map(m.traceID)`, `["ab1",null,null,null,null,null]`},

		{"ticks", "trace", `[m.ticks(0, 3400, 6), m.ticks(500, 2500, 4), m.ticks(7, 7)]`, `[[0,1000,2000,3000],[500,1000,1500,2000,2500],[7]]`},
		{"times of day", "trace", `[m.clockTicks(59e6, 301e6, 4), m.clockTicks(0, 3600e6, 2, 900e6)].map((l) => l.map((t) => t / 1e6))`, `[[120,240],[900,2700]]`},
		{"colours", "trace", `["proxy-service", "loadgen", "x"].map(m.colour).concat(m.colour("x") === m.colour("x"))`, ``},
		{"errors", "trace", `[[{key: "error", value: true}], [{key: "error", value: "true"}], [{key: "otel.status_code", value: "ERROR"}], [{key: "error", value: false}], []].map(m.isError)`, `[true,true,true,false,false]`},
		{"a tree", "trace", tree(`span("c", "b", 5, 6), span("b", "a", 4, 9), span("d", "a", 1, 3), span("a", "", 0, 10)`), `["a0:4","d1:1","b1:2","c2:1"]`},
		{"a missing parent", "trace", tree(`span("a", "", 0, 10), span("b", "x", 4, 9), span("c", "b", 5, 6)`), `["a0:1","b0:2 orphan","c1:1"]`},
		{"a circle", "trace", tree(`span("a", "", 0, 10), span("b", "c", 4, 9), span("c", "b", 5, 6)`), `["a0:1","b0:2 orphan!","c1:1"]`},
		{"its own parent", "trace", tree(`span("a", "a", 0, 10)`), `["a0:1"]`},
		{"a root linked to its own child", "trace", tree(`{...span("a", "", 0, 10), references: [{ refType: "FOLLOWS_FROM", traceID: "t", spanID: "b" }]}, span("b", "a", 4, 9)`), `["a0:2","b1:1"]`},
		{"a link is no parent", "trace", `m.build({traceID: "t", spans: [` + raw(`span("a", "", 0, 10), {...span("b", "a", 4, 9), references: [{ refType: "FOLLOWS_FROM", traceID: "t", spanID: "c" }, { refType: "CHILD_OF", traceID: "t", spanID: "a" }, { refType: "FOLLOWS_FROM", traceID: "u", spanID: "x" }]}, span("c", "a", 1, 2)`) + `]}).spans.map((x) => x.id + x.depth + x.links.map((l) => l.traceID + l.spanID).join())`, `["a0","c1","b1tc,ux"]`},
		{"a span of no length", "trace", `[["12:00:00", "12:00:00.000000001"], ["12:00:00.5", "12:00:00.500000001"], ["12:00:00.1", "12:00:00.5"], ["11:59:59.999999999", "12:00:00"], ["12:00:00", "11:00:00"]].map(([end, to]) => m.isZeroLength(` + "`Negative duration detected, sanitizing end timestamp. Original end timestamp: 2026-01-02 ${end} +0000 UTC, adjusted to: 2026-01-02 ${to} +0000 UTC`" + `)).concat(m.isZeroLength("clock skew"))`, `[true,true,false,true,false,false]`},
		{"its warning is not shown", "trace", tree(`{...span("a", "", 0, 0), warnings: ["Negative duration detected, sanitizing end timestamp. Original end timestamp: 2026-01-02 12:00:00 +0000 UTC, adjusted to: 2026-01-02 12:00:00.000000001 +0000 UTC"]}, {...span("b", "a", 0, 0), warnings: ["other"]}`), `["a0:2","b1:1!"]`},
		{"sent twice", "trace", tree(`span("a", "", 0, 10), span("a", "", 0, 10), span("a", "", 2, 3)`), `["a0:1","a0:1!"]`},
		{"clocks that differ", "trace", tree(`span("a", "", 10, 20), span("b", "a", 5, 15), span("c", "a", 15, 30), span("d", "a", 40, 50), span("e", "a", 10, 20)`), `["a0:5","b1:1!","e1:1","c1:1!","d1:1!"]`},
		{"nothing", "trace", `(() => { const t = m.build({traceID: "t", spans: []}); return [t.root, t.duration, t.depth, t.critical.length]; })()`, `[null,0,0,0]`},
		{"own time", "trace", `m.selfTime(m.build({traceID: "t", spans: [` + raw(`span("a", "", 0, 100), span("b", "a", 10, 30), span("c", "a", 20, 40), span("d", "a", 90, 150)`) + `]}).root)`, `60`},
		{"the critical path", "trace", `m.build({traceID: "t", spans: [` + raw(`span("a", "", 0, 100), span("b", "a", 10, 30)`) + `]}, [{span: "a", from: 30, to: 100}, {span: "b", from: 10, to: 30}]).critical.map((p) => [p.span.name, p.from, p.to])`, `[["op a",30,100],["op b",10,30]]`},
		{"statistics", "tracestats", `m.sortRows(m.statistics(` + sampleTrace + `), "-total").map((r) => [r.service, r.name, r.count, r.total, r.self, Math.round(1000 * r.share), r.p50, r.p99, r.errors].join(" "))`, `["s call 3 130 130 867 40 60 1","s root 1 100 20 133 100 100 0"]`},
		{"statistics by kind", "tracestats", `(() => { const x = (kind, duration) => ({ service: "s", name: "GET", kind, duration, start: 0, end: duration, children: [], error: false }); return m.sortRows(m.statistics({ spans: [x("server", 9), x("client", 3), x("client", 4)] }), "name").map((r) => [r.kind, r.count, r.p50].join(" ")); })()`, `["client 2 3","server 1 9"]`},
		{"quantiles", "tracestats", `[[1], [1, 2], [1, 2, 3, 4], Array.from({length: 200}, (_, i) => i + 1)].map((l) => [m.quantile(l, 0.5), m.quantile(l, 0.99)])`, `[[1,1],[1,2],[2,4],[100,198]]`},
		{"a flame graph", "traceflame", `m.flame(` + sampleTrace + `).map((n) => [n.depth, n.name, n.spans.length, n.self, n.width, n.total, n.errors].join(" "))`, `["0 root 1 20 150 100 0","1 call 2 90 130 90 1","2 call 1 40 40 40 0"]`},
		{"find", "trace", `(() => { const t = m.build({traceID: "t", spans: [` + raw(`{...span("a", "", 0, 10), tags: [{key: "k", value: 7}]}, span("b", "a", 1, 2)`) + `]}); return ["K=7", "OP B", "nothing", " "].map((q) => m.find(t.spans, q).map((x) => x.id).join("")); })()`, `["a","b","",""]`},

		{"a difference", "tracediff", `(() => {
			const x = (name, duration, children = []) => ({ service: "s", name, kind: "", duration, error: false, children });
			const t = (...roots) => ({ roots });
			return m.diff(t(x("r", 100, [x("a", 10), x("a", 20), x("b", 50), x("gone", 5)])), t(x("r", 95, [x("a", 40), x("b", 20), x("new", 1, [x("a", 1)])])))
				.map((r) => [r.depth, r.name, r.a.count, r.b.count, r.difference, r.state].join(" "));
		})()`, `["0 r 1 1 -5 same","1 a 2 1 10 slower","1 b 1 1 -30 faster","1 gone 1 0 -5 missing","1 new 0 1 1 added","2 a 0 1 1 added"]`},
		{"rates", "tracemap", `m.split([{from: "a", to: "b", kind: "call", calls: 3}, {from: "a", to: "c", kind: "call", calls: 1}, {from: "b", to: "c", kind: "call", calls: 1}, {from: "c", to: "pg", kind: "db", calls: 9}, {from: "x", to: "c", kind: "call", calls: 1}], new Map([["a", {rate: 8, errors: 0.5, p99: 1}], ["x", {rate: 2, errors: 0.25, p99: 3}]]), new Map([['["c","pg"]', {rate: 7, errors: 0, p99: 2}]])).map((e) => [e.rate, e.errors, e.p99])`,
			`[[6,null,null],[2,null,null],[null,null,null],[7,0,2],[2,0.25,3]]`},
		{"layers", "tracemap", places(`["a","b","c","d"]`, `["a","b"],["a","c"],["b","d"],["c","d"],["a","d"]`), `["a 0,15","b 20,0","c 20,30","d 40,15"]`},
		{"layers with a circle", "tracemap", places(`["a","b","c"]`, `["a","b"],["b","c"],["c","a"],["b","b"]`), `["a 0,0","b 20,0","c 40,0"]`},
		{"alone", "tracemap", places(`["a"]`, ``), `["a 0,0"]`},
		{"nobody", "tracemap", places(`[]`, ``), `[]`},
	} {
		got := p.eval(`import(` + assets + ` + "lib/` + tt.module + `.js").then(async (m) => ` + tt.expression + `)`)
		switch {
		case tt.want == "" && tt.name == "colours":
			if !strings.HasPrefix(got, "[1,4,") || !strings.HasSuffix(got, ",true]") {
				t.Errorf("%s: %s", tt.name, got)
			}
		case strings.HasPrefix(tt.want, "error: ") && strings.HasPrefix(got, tt.want):
		case got != tt.want:
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
	p.quiet("")
}

// A Prometheus response without content means no data.
func TestNoContent(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/traces")
	p.want(`import(`+assets+` + "lib/api.js").then((m) => Promise.all([m.prom.instant("none"), m.prom.range("none", 1, 2, 1), m.prom.exemplars("none", 1, 2), m.prom.labelValues("none", null, 1, 2)]))`, `[[],[],[],[]]`)
	p.quiet("")
}

// The summaries of the server agree with the page of each trace.
func TestSummariesAgree(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/traces")
	got := p.eval(`(async () => {
		const [{ build }, all, { traces }] = await Promise.all([import(` + assets + ` + "lib/trace.js"), fetch("/api/traces?service=all").then((r) => r.json()), fetch("/-/traces?service=all&limit=100").then((r) => r.json())]);
		const page = all.data.map((t) => build(t)).filter((t) => t.spans.length).sort((a, b) => b.start - a.start || (a.id < b.id ? -1 : 1)).map((t) => ({ id: t.id, service: t.root.service, name: t.root.name, status: t.root.tags.find((x) => x.key === "http.response.status_code")?.value, start: t.start,
			duration: t.duration, spans: t.spans.length, errors: t.errors, services: t.services.map((s) => s.name + s.spans).sort(), incomplete: t.roots.length > 1 || t.root.orphan }));
		const list = traces.map((t) => ({ ...t, services: t.services.map((s) => s.name + s.spans).sort(), incomplete: Boolean(t.incomplete) }));
		const sorted = (o) => JSON.stringify(o, Object.keys(o).sort());
		return [list.length, page.map((x, i) => (sorted(x) === sorted(list[i] ?? {}) ? null : [sorted(x), sorted(list[i] ?? {})])).filter(Boolean)];
	})()`)
	if want := fmt.Sprintf("[%d,[]]", len(testTraces())-1); got != want {
		t.Errorf("traces in the list, and those that differ: %s, want %s", got, want)
	}
}

// The page's tree has the root and the spans of the critical path that the server computes, for every
// trace of its tests: the parts add up to the duration of the root that the page shows.
func TestCriticalPathFits(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../internal/criticalpath/testdata/critical.json")
	if err != nil {
		t.Fatal(err)
	}
	p := newTracesPage(t)
	p.open("/traces/file")
	got := p.eval(`(async () => {
		const { build } = await import(` + assets + ` + "lib/trace.js");
		const { readFile } = await import(` + assets + ` + "lib/api.js");
		const wrong = [], cases = ` + string(b) + `;
		for (const c of cases) {
			const [{ trace, critical, summary }] = (await readFile(JSON.stringify({ data: [c.trace] }))).traces;
			const t = build(trace, critical);
			const path = {};
			for (const part of t.critical) path[part.span.id] = (path[part.span.id] ?? 0) + part.to - part.from;
			const sum = Object.values(path).reduce((a, b) => a + b, 0);
			if (sum !== t.root.duration || summary.name !== t.root.name || Object.keys(c.path).some((id) => path[id] !== c.path[id])) wrong.push([c.name, sum, t.root.duration, summary.name, t.root.name]);
		}
		return [cases.length > 50, wrong];
	})()`)
	if want := `[true,[]]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p.quiet("")
}

// raw is the JavaScript of spans of a trace t.
func raw(spans string) string {
	return `...((span) => [` + spans + `])((id, parent, from, to) => ({ spanID: id, operationName: "op " + id, startTime: from, duration: to - from, references: parent ? [{ refType: "CHILD_OF", traceID: "t", spanID: parent }] : [] }))`
}

// sampleTrace has a root with two calls, the second one failed and with a call after its end.
const sampleTrace = `(await import(` + assets + ` + "lib/trace.js").then((t) => t.build({traceID: "t", processes: {p: {serviceName: "s"}}, spans: [["a", "", 0, 100], ["b", "a", 10, 40], ["c", "a", 30, 90], ["d", "c", 95, 135]].map(([id, parent, from, to]) => ({ spanID: id, processID: "p", operationName: id === "a" ? "root" : "call", startTime: from, duration: to - from, tags: id === "c" ? [{key: "error", value: true}] : [], references: parent ? [{ refType: "CHILD_OF", traceID: "t", spanID: parent }] : [] }))})))`

// tree lists the spans of a trace with depth and size, ! for a warning.
func tree(spans string) string {
	return `m.build({traceID: "t", spans: [` + raw(spans) + `]}).spans.map((x) => x.id + x.depth + ":" + x.size + (x.orphan ? " orphan" : "") + (x.warnings.length ? "!" : ""))`
}

// places lays out nodes of 10 by 20 and returns their positions.
func places(names, edges string) string {
	return `m.layout(` + names + `, [` + edges + `].map(([from, to]) => ({from, to})), {nodeWidth: 10, nodeHeight: 20, gapAlong: 10, gapAcross: 10}).nodes.map((n) => n.name + " " + n.x + "," + n.y)`
}

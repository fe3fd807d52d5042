package main

import (
	"reflect"
	"testing"
)

// at places the cursor at the | in a query.
func contextAt(query string) string {
	return `(({text, at}) => { const c = m.context(text, at); return c && [c.kind, c.prefix, c.label ?? "", m.selectorOf({ metric: "", ...c }) ?? "", c.to - c.from]; })((() => { const q = ` + query + `; return { text: q.replace("|", ""), at: q.indexOf("|") }; })())`
}

func TestExploreFunctions(t *testing.T) {
	testModules(t, []moduleCase{
		// What is completed
		{"lib/promql.js", contextAt("`sum(http_se|)`"), `["name","http_se","","",7]`},
		{"lib/promql.js", contextAt("`sum(http_se|rver)`"), `["name","http_se","","",11]`},
		{"lib/promql.js", contextAt("`up{|}`"), `["label","","","up{}",0]`},
		{"lib/promql.js", contextAt("`up{job=\"a\", ins|t}`"), `["label","ins","","up{job=\"a\"}",4]`},
		{"lib/promql.js", contextAt("`up{job=\"a|b\", instance=~\"x.*\"}`"), `["value","a","job","up{instance=~\"x.*\"}",2]`},
		{"lib/promql.js", contextAt("`up{job=|}`"), `["value","","job","up{}",0]`},
		{"lib/promql.js", contextAt("`up{job=\"a\\\\\"|`"), `["value","a\\\"","job","up{}",3]`},
		{"lib/promql.js", contextAt("`up{job=\"a\" |}`"), `null`},
		{"lib/promql.js", contextAt("`{__name__=\"u|\"}`"), `["value","u","__name__","",1]`},
		{"lib/promql.js", contextAt("`rate(up[1|])`"), `["duration","1","","",1]`},
		{"lib/promql.js", contextAt("`sum by (ser|) (up)`"), `["label","ser","","",3]`},
		{"lib/promql.js", contextAt("`up # se|`"), `null`},
		{"lib/promql.js", contextAt("`topk(5|, up)`"), `null`},
		{"lib/promql.js", contextAt("`label_replace(up, \"a|`"), `null`},
		{"lib/promql.js", contextAt("`up{path=\"{\"} + d|`"), `["name","d","","",1]`},
		// Metrics, hints and units
		{"lib/promql.js", "m.metricsOf('sum by (job) (rate(a_total{b=\"c()\"}[5m] anchored)) / on (x) group_left (y) d:e:f # g')", `["a_total","d:e:f"]`},
		{"lib/promql.js", "m.metricsOf('a1 offset 5m > 1e3 + 2.5e-7 + 0x1F @ 1.5e9')", `["a1"]`},
		{"lib/promql.js", "m.metricsOf('sum BY (x) (a) AND ON (y) b')", `["a","b"]`},
		{"lib/promql.js", "[`up`, ` up{a=\"{}\"} `, `sum(up)`, `up[1m]`, `up + 1`].map(m.isSelector)", `[true,true,false,false,false]`},
		{"lib/promql.js", "[`process_cpu_seconds_total`, `rate(process_cpu_seconds_total[1m])`, `histogram_quantile(0.9, sum(rate(http_server_request_duration_seconds[1m])))`, `histogram_count(rate(http_server_request_duration_seconds[1m]))`, `go_memory_used_bytes`, `rate(io_bytes_total[1m])`, `a_bytes / b_bytes`, `up`, `sum(a_ratio)`, `count(a_bytes)`, `histogram_quantile(0.9, sum by (le) (rate(a_seconds_bucket[1m])))`, `a_seconds_bucket`].map(m.unitOf)",
			`["s","short","s","short","bytes","binBps","short","short","percentunit","short","s","short"]`},
		{"lib/promql.js", "[`histogram_quantile(0.5, a)`, `rate(a[1m])`].map(m.exemplarsFit)", `[true,false]`},
		{"lib/promql.js", "m.hints(`a_seconds{b=\"c\"}`, {histograms: true}).map((x) => x.expr)",
			`["sum(rate(a_seconds{b=\"c\"}[1m] anchored))", "histogram_quantile(0.99, sum(rate(a_seconds{b=\"c\"}[1m] anchored)))", "sum(histogram_count(rate(a_seconds{b=\"c\"}[1m] anchored)))"]`},
		{"lib/promql.js", "[[`a_total`, {}], [`a`, {types: {a: \"counter\"}}], [`a`, {}], [`a_count`, {}], [`a_count`, {types: {a_count: \"histogram\"}}], [`a_bucket`, {}], [`sum(rate(a[1m]))`, {histograms: true}], [`by(a)`, {histograms: true}], [`sum(a)`, {}]].map(([q, r]) => m.hints(q, r).map((x) => x.expr).join())",
			`["rate(a_total[1m] anchored)", "rate(a[1m] anchored)", "", "", "rate(a_count[1m] anchored)", "histogram_quantile(0.99, sum by (le) (rate(a_bucket[1m] anchored)))", "histogram_quantile(0.99, sum(rate(a[1m])))", "histogram_quantile(0.99, sum(by(a)))", ""]`},
		{"lib/promql.js", "m.unknown(`sum(rate(go_goroutine{a=\"go_goroutine\"}[1m])) / up`, [`up`, `go_goroutines`, `go_goroutine_count`])", `[{text:"No metric go_goroutine in this time range.",label:"go_goroutines",expr:"sum(rate(go_goroutines{a=\"go_goroutine\"}[1m])) / up"}]`},
		{"lib/promql.js", "[m.unknown(`nope`, [`up`]), m.unknown(`up`, [`up`])]", `[[{text:"No metric nope in this time range."}],[]]`},
		// Positions of messages
		{"lib/promql.js", "[m.positions(`invalid parameter \"query\": 2:3: parse error: x`, `sum(\\nab c`), m.positions(`metric might not be a counter: \"a\" (1:6)`, `rate(a[1m])`), m.positions(`at 9:9: no`, `up`), m.positions(`1:4: parse error: unexpected end`, `up(`), m.positions(`1:15: parse error`, `a{b=\"é😀\"} )`)]",
			`[[{line:2,column:3,from:7}],[{line:1,column:6,from:5}],[],[{line:1,column:4,from:3}],[{line:1,column:12,from:11}]]`},
		{"lib/promql.js", "m.rank([\"xrate\", \"a_rate\", \"RATE\", \"b\", \"rate\"].map((name) => ({name})), \"rat\").map((c) => c.name)", `["RATE","rate","a_rate","xrate"]`},
		{"lib/promcomplete.js", "[m.describe(`a_total`, {a_total: {type: `counter`, unit: ``, help: `A.`}}), m.describe(`b_seconds_bucket`, {b_seconds: {type: `histogram`, unit: `seconds`, help: `B.`}}), m.describe(`c_bytes`, {}), m.describe(`x:y`, {})]",
			`[{type:"counter",unit:"",help:"A."},{type:"histogram",unit:"seconds",help:"B."},{type:"",unit:"bytes",help:""},{type:"recording rule",unit:"",help:""}]`},
		// History
		{"lib/explorehistory.js", `(() => {
			m.forget();
			m.remember(["a"], 1); m.remember(["b", "c"], 2); m.remember(["a"], 3); m.remember([], 4);
			const list = m.read();
			localStorage.setItem("explore-history", "{");
			const broken = m.read();
			m.forget();
			return [list, broken, m.read()];
		})()`, `[[{q:["a"],at:3},{q:["b","c"],at:2}],[],[]]`},
		// Annotations
		{"lib/annotations.js", `m.runsIn([{id: "r1", started_at: "2026-01-01T00:00:00Z", elapsed: 70, warm_up_time: 10, finished: true, sent: 5, rate_actual: 50}, {id: "r2", started_at: "2026-01-01T00:10:00Z"}, {id: "r3"}], Date.parse("2026-01-01T00:01:05Z") / 1e3, Date.parse("2026-01-01T00:20:00Z") / 1e3).map((a) => [a.name, a.start % 1000, a.end && a.end - a.start, a.href, a.note])`,
			`[["r1", 600, 70, "/runs/r1", "50 req/s"], ["r2", 200, null, "/runs", "no report yet"]]`},
		{"lib/annotations.js", `m.runsIn([{id: "r1", started_at: "2026-01-01T00:00:00Z", elapsed: 60, finished: true}], Date.parse("2026-01-01T00:01:05Z") / 1e3, Date.parse("2026-01-01T00:20:00Z") / 1e3)`, `[]`},
		{"lib/annotations.js", `m.alertsIn([{metric: {__name__: "ALERTS", alertname: "A", alertstate: "firing", slo: "x"}, values: [[1000, "1"], [1010, "1"], [1050, "1"]]}], 10, {A: "/d/slo"}).map((a) => [a.name, a.note, a.start, a.end, a.href])`,
			`[["A", "slo=x", 1000, 1010, "/d/slo?from=700000&to=1310000"], ["A", "slo=x", 1050, 1050, "/d/slo?from=750000&to=1350000"]]`},
		{"lib/annotations.js", `m.alertsIn([{metric: {alertname: "A"}, values: [[1000, "1"]]}], 10)[0].href`, `"/explore?q=ALERTS%7Balertname%3D%22A%22%7D&from=700000&to=1300000"`},
		{"lib/annotations.js", `["", "annotations=run", "annotations=none", "annotations=alert,run,x"].map((q) => m.kindsOf(new URLSearchParams(q)))`, `[["run","alert"],["run"],[],["alert","run"]]`},
		{"lib/annotations.js", `[m.tipRows([{kind: "run", name: "r", start: 10, end: 20}, {kind: "alert", name: "a", start: 15, end: 15}], 15, 0).length, m.tipRows([{kind: "run", name: "r", start: 10, end: null}], 12, 1).length, m.tipRows([{kind: "run", name: "r", start: 10, end: null}], 11, 1)[0].textContent]`, `[2, 0, "run r"]`},
		{"pages/run.js", `m.rangeOf({started_at: "2026-01-01T00:00:00Z", elapsed: 70, warm_up_time: 10}).map((t) => t - Date.parse("2026-01-01T00:00:00Z"))`, `[0, 70000]`},
		// Tables
		{"lib/exploreview.js", `(() => { const p = m.tablePanel([{refId: "A", expr: "a_seconds", unit: "s", frames: [{labels: {__name__: "a_seconds", b: "c"}, values: [null], histograms: [[1, {count: "4", sum: "2", buckets: []}]]}]}], true); return [p.frames.map((f) => [f.refId, f.labels.metric, f.values[0]]), p.panel.transformations[0].options.renameByName]; })()`,
			`[[["A count","a_seconds",4],["A mean","a_seconds",0.5]],{"Value #A count":"count","Value #A mean":"mean"}]`},
		{"lib/exploreview.js", `(() => { const r = (refId, frames) => ({refId, frames}), up = {name: "{a=\"b\", c=\"d\"}", labels: {__name__: "up"}}, sum = {name: "x", labels: {}}, heat = {histograms: []}; return [m.named([r("A", [up, heat])]).map((f) => f.name), m.named([r("A", [up]), r("B", [sum])]).map((f) => f.name)]; })()`,
			`[["up{a=\"b\", c=\"d\"}"],["A: up{a=\"b\", c=\"d\"}","B: x"]]`},
		// What a query row says of its result
		{"lib/explorerow.js", `(() => { const row = m.queryRow({expr: "up[1m]"}, async () => null, new AbortController().signal, {}); row.done({warnings: [], infos: ["PromQL info: no histogram (1:1)"], hints: [], text: null, series: 250, samples: [{}, {}]}); row.busy(); return row.notes.textContent; })()`,
			`"info Line 1, column 1: no histogram250 series, the first 100 are shown. Aggregate them, as in sum by (service_name) (…)"`},
		{"lib/controls.js", `await (async () => {
			const leave = new AbortController(), values = [];
			let called = 0;
			const timers = [], later = globalThis.setTimeout;
			globalThis.setTimeout = (work, ms) => timers.push([work, ms]);
			try {
				const pace = m.refresher("10s", leave.signal, () => called++, (v) => values.push(v));
				const tick = async () => { const [work, ms] = timers.pop(); await work(); return [ms, called]; };
				const got = [await tick()];
				pace.pause(true);
				got.push(await tick());
				pace.pause(false);
				const choice = pace.element.querySelector("select");
				choice.value = "1m";
				choice.dispatchEvent(new Event("change"));
				timers.splice(0, timers.length - 1);
				got.push(await tick());
				leave.abort();
				timers.length = 0;
				m.refresher("off", leave.signal, null, null);
				return [got, values, timers.length];
			} finally { globalThis.setTimeout = later; }
		})()`, `[[[10000,1],[10000,1],[60000,2]],["1m"],0]`},
		{"lib/api.js", `await m.get("/-/metadata?q=" + "x".repeat(1.2e6)).catch((e) => e.message)`, `"The request is too long for the console. Shorten the queries."`},
		{"lib/ui.js", `await (async () => {
			const later = globalThis.setTimeout, got = [];
			let back, fails = false;
			Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: async (text) => { if (fails) throw new Error(); got.push(text); } } });
			globalThis.setTimeout = (work) => (back = work);
			try {
				const button = m.copyButton({}, () => "x", { label: "Copy", done: "Copied", failed: "Failed" });
				for (fails of [false, true]) {
					button.click();
					await new Promise((r) => later(r));
					got.push(button.textContent);
					back();
				}
				return [got, button.textContent];
			} finally { globalThis.setTimeout = later; delete navigator.clipboard; }
		})()`, `[["x","Copied","Failed"],"Copy"]`},
		{"lib/annotations.js", `(() => { const values = [], e = m.annotations(new URLSearchParams("annotations=run"), (v) => values.push(v)).element; document.body.append(e); for (const i of [1, 0, 1]) e.querySelectorAll("input")[i].click(); e.remove(); return values; })()`, `[null,"alert","none"]`},
		{"lib/tracedetails.js", `["0a", "a&b #c"].map((id) => [m.fragment(id), new URLSearchParams(m.fragment(id).slice(1)).get("span")])`, `[["#span=0a","0a"],["#span=a%26b+%23c","a&b #c"]]`},
		{"lib/exploreview.js", `m.seriesText({__name__: "up", job: "a\"b"})`, `"up{job=\"a\\\"b\"}"`},
	})
}

// The place of an error is underlined in the query, also after spaces at its start.
func TestErrorIsUnderlined(t *testing.T) {
	var got []string
	inBrowser(t, "lib/promeditor.js", `(() => {
		const input = m.editor({ text: "\n  up + nope", label: "x", complete: async () => null, run() {}, signal: new AbortController().signal });
		document.body.append(input.element);
		const marked = () => [...CSS.highlights.get("promql-error")].map(String).join();
		const all = [input.value()];
		input.mark(5);
		all.push(marked());
		input.mark(9); // the end
		all.push(marked());
		input.unmark();
		all.push(marked());
		input.element.remove();
		return all;
	})()`, &got)
	if want := []string{"up + nope", "nope", "e", ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("marked %q, want %q", got, want)
	}
}

// Annotations of a chart are links over their band. A drag across one does not open it.
func TestAnnotationLinks(t *testing.T) {
	var got struct {
		Links  [][]any
		Opened []bool
		Tip    string
	}
	inBrowser(t, "lib/chart.js", `await (async () => {
		const el = document.createElement("div");
		Object.assign(el.style, { width: "400px", height: "150px", position: "relative" });
		document.body.append(el);
		const list = [{ kind: "run", name: "r", start: 110, end: 120, href: "/runs/r", note: "" }, { kind: "alert", name: "a", start: 50, end: 60, href: "/d/a", note: "" }];
		const chart = m.mount(el, { series: [{}, {}], axes: [{}, {}] }, [[100, 115, 130], [1, 2, 4]], { start: 100, end: 130, sync: "annotations", label: "x", tip: () => [], zoom() {}, annotations: () => list });
		await null;
		const links = [...el.querySelectorAll(".annotation-marks a")], { u } = chart;
		const inside = links.map((a) => [a.getAttribute("href"), a.tabIndex, Math.abs(a.offsetLeft + 3 - u.valToPos(110, "x")) < 2 && Math.abs(a.offsetWidth - 6 - (u.valToPos(120, "x") - u.valToPos(110, "x"))) < 2]);
		const opened = [];
		for (const moved of [0, 40]) {
			links[0].dispatchEvent(new MouseEvent("mousedown", { bubbles: true, clientX: 100 }));
			const click = new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1, clientX: 100 + moved });
			el.addEventListener("click", (e) => { opened.push(!e.defaultPrevented); e.preventDefault(); }, { once: true });
			links[0].dispatchEvent(click);
		}
		u.root.dispatchEvent(new KeyboardEvent("keydown", { key: "Home", bubbles: true }));
		u.root.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
		const tip = el.querySelector(".tip").textContent;
		chart.destroy();
		el.remove();
		return { Links: inside, Opened: opened, Tip: tip };
	})()`, &got)
	if want := [][]any{{"/runs/r", -1.0, true}}; !reflect.DeepEqual(got.Links, want) || !reflect.DeepEqual(got.Opened, []bool{true, false}) || got.Tip != "run r" {
		t.Errorf("%+v", got)
	}
}

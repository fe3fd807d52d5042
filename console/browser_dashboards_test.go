package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"soundcheck/dashboards"
)

func TestDashboardFunctions(t *testing.T) {
	const defs = `[{name:"service",multi:true,includeAll:true,allValue:".*",initial:["$__all"]},{name:"run",multi:false,includeAll:false,allValue:".*",initial:[]}]`
	testModules(t, []moduleCase{
		// Variables
		{"lib/vars.js", `m.interpolate('a{s=~"$service"}[$__rate_interval]', {service:["$__all"]}, ` + defs + `, 1800, 5)`, `"a{s=~\".*\"}[30s]"`},
		{"lib/vars.js", `m.interpolate('a{s=~"${service}"}[$__range] / $__interval', {service:["x"]}, ` + defs + `, 1800, 15)`, `"a{s=~\"x\"}[1800s] / 15s"`},
		{"lib/vars.js", `m.interpolate('a{s=~"$service"}[$__rate_interval]', {service:["x","/y/:id"]}, ` + defs + `, 1800, 60)`, `"a{s=~\"(x|/y/:id)\"}[240s]"`},
		{"lib/vars.js", `m.interpolate('$other $serviceX', {service:["x"]}, ` + defs + `, 1800, 5)`, `"$other $serviceX"`},
		{"lib/vars.js", `m.pattern(['a.b"c\\d'])`, `"a\\\\.b\\\"c\\\\\\\\d"`},
		{"lib/vars.js", `m.rateInterval(5)`, `30`},
		{"lib/vars.js", `m.rateInterval(7.6)`, `30`},
		{"lib/vars.js", `m.rateInterval(20)`, `80`},
		{"lib/vars.js", `m.labelValues('label_values(a{b=~"$c, d"}, e)')`, `{"match":"a{b=~\"$c, d\"}","label":"e"}`},
		{"lib/vars.js", `m.labelValues('label_values(e)')`, `{"match":null,"label":"e"}`},
		{"lib/vars.js", `m.labelValues('query_result(a)')`, `null`},
		{"lib/vars.js", `m.read(` + defs + `, new URLSearchParams("var-service=a&var-service=b&var-run=1&var-run=2"))`, `{"service":["a","b"],"run":["1"]}`},
		{"lib/vars.js", `m.read(` + defs + `, new URLSearchParams(""))`, `{"service":["$__all"],"run":[]}`},
		{"lib/vars.js", `m.read(` + defs + `, new URLSearchParams("var-service=All"))`, `{"service":["$__all"],"run":[]}`},
		{"lib/vars.js", `m.toQuery(` + defs + `, {service:["$__all"],run:["1"]})`, `{"var-service":null,"var-run":["1"]}`},
		{"lib/controls.js", `m.after(["$__all"], "a", true, {multi:true,includeAll:true})`, `["a"]`},
		{"lib/controls.js", `m.after(["a"], "b", true, {multi:true,includeAll:true})`, `["a","b"]`},
		{"lib/controls.js", `m.after(["a"], "a", false, {multi:true,includeAll:true})`, `["$__all"]`},
		{"lib/controls.js", `m.after(["a"], "a", false, {multi:true,includeAll:false})`, `[]`},
		{"lib/controls.js", `m.after(["a","b"], "$__all", true, {multi:true,includeAll:true})`, `["$__all"]`},
		{"lib/controls.js", `m.after(["a"], "b", true, {multi:false})`, `["b"]`},
		{"lib/controls.js", `m.summary(["a","b","c"])`, `"a and 2 more"`},
		{"lib/vars.js", `[m.sorted(["b","a","c"], 0), m.sorted(["b","a","c"], 1), m.sorted(["b","a","c"], 2), m.sorted(["9","10"], 3), m.sorted(["9","10"], 4)]`, `[["b","a","c"],["a","b","c"],["c","b","a"],["9","10"],["10","9"]]`},
		// Times
		{"lib/range.js", `[m.read(new URLSearchParams("from=now-5m"), 1e9).start, m.read(new URLSearchParams("from=now-1h&to=now-30m"), 1e9).end]`, `[999999700,999998200]`},
		{"lib/range.js", `m.parse("2001-09-09T01:46:40Z")`, `1000000000`},
		{"lib/range.js", `["from=soon", "to=x", "from=now&to=now-5m", "from=now-9999999d", "from=now-999999999w", "to=99999999999999", "from=1"].map((q) => m.read(new URLSearchParams(q), 1e9).error?.split(" ")[0])`,
			`["from=soon","to=x","from=now","from=now-9999999d","from=now-999999999w","to=99999999999999","from=1"]`},
		{"lib/range.js", `[m.wider(1000, 2000, 1e9)[1], m.wider(1e9 - 100, 1e9, 1e9), m.read(new URLSearchParams({from: String(Math.round(m.wider(1e9 - 9 * 365 * 86400, 1e9, 1e9)[0] * 1e3))}), 1e9).error]`, `[2500,[999999850,1000000000],null]`},
		{"lib/range.js", `m.step(0, 3653 * 86400, 800) >= 3653 * 86400 / 400`, `true`},
		// Queries
		{"lib/panelquery.js", `m.stepOf({}, 0, 1800, 800)`, `5`},
		{"lib/panelquery.js", `m.stepOf({type:"heatmap"}, 0, 1800, 800)`, `10`},
		{"lib/panelquery.js", `m.stepOf({interval:"30s"}, 0, 1800, 800)`, `30`},
		{"lib/panelquery.js", `m.stepOf({targets:[{interval:"1m"}]}, 0, 1800, 800)`, `60`},
		{"lib/panelquery.js", `m.stepOf({}, 0, 86400, 800)`, `300`},
		{"lib/panelquery.js", `m.targets({targets:[{expr:"a",hide:true},{expr:""},{refId:"B",expr:"[$__range]"}]}, {}, [], 0, 60, 5)`, `[{"refId":"B","expr":"[$__range]","query":"[60s]"}]`},
		{"lib/panelquery.js", `[m.lastTime([{values:[1,null,null]},{values:[1,2,null]}], [10,20,30]), m.lastTime([{values:[null]}], [10]), m.lastTime([], [10])]`, `[20,null,null]`},
		// Frames and names
		{"lib/frames.js", `m.grid(7, 30, 10)`, `[10,20,30]`},
		{"lib/frames.js", `m.onGrid([[20,"2"],[30,"NaN"],[40,"+Inf"],[990,"9"]], [10,20,30,40], 10)`, `[null,2,null,null]`},
		{"lib/frames.js", `m.legend("{{a}} {{ b }} {{none}}!", {a:"1",b:"2"})`, `"1 2 !"`},
		{"lib/frames.js", `m.nameFrames([{refId:"A",target:{legendFormat:"__auto"},labels:{a:"1",b:"x"}},{refId:"A",target:{legendFormat:"__auto"},labels:{a:"1",b:"y"}}]).map(f=>f.name)`, `["x","y"]`},
		{"lib/frames.js", `m.nameFrames([{refId:"A",target:{},labels:{a:"1",b:"x"}},{refId:"A",target:{},labels:{a:"2",b:"y"}}]).map(f=>f.name)`, `["{a=\"1\", b=\"x\"}","{a=\"2\", b=\"y\"}"]`},
		{"lib/frames.js", `m.nameFrames([{refId:"A",target:{expr:"up"},labels:{}},{refId:"B",target:{legendFormat:"rate"},labels:{a:"1"}}]).map(f=>f.name)`, `["up","rate"]`},
		{"lib/frames.js", `["lastNotNull","last","firstNotNull","min","max","mean","sum","range","count"].map(c => m.reduce([null,1,3,null], c))`, `[3,null,1,1,3,2,4,2,4]`},
		{"lib/frames.js", `m.reduce([null], "max")`, `null`},
		{"lib/frames.js", `m.stack([[1,null,2],[1,1,null],[1,1,1]])`, `[[1,0,2],[2,1,2],[3,2,3]]`},
		{"lib/frames.js", `m.stack([[null,null,5],[4,null,null],[2,null,1]])`, `[[0,null,5],[4,null,5],[6,null,6]]`},
		{"lib/frames.js", `m.isEmpty([{values:[null]},{values:[]}])`, `true`},
		{"lib/format.js", `[999.7, 1000, 1500, 1234, 0.9997, 12.5, 40, 0.05, 999999, 1e-7].map((v) => m.withUnit(v, "cps"))`, `["1 k/s","1 k/s","1.5 k/s","1.23 k/s","1/s","12.5/s","40/s","0.05/s","1 M/s","0/s"]`},
		{"lib/format.js", `[m.seconds(0.0015), m.seconds(1), m.seconds(0.99996), m.withUnit(1, "percentunit"), m.withUnit(0.9995, "percentunit", 3)]`, `["1.5 ms","1 s","1 s","100 %","99.950 %"]`},
		{"lib/format.js", `["bytes","binBps","decbytes","Bps"].flatMap((u) => [m.withUnit(512, u), m.withUnit(1536, u), m.withUnit(1e6, u)])`,
			`["512 B","1.5 KiB","977 KiB","512 B/s","1.5 KiB/s","977 KiB/s","512 B","1.54 kB","1 MB","512 B/s","1.54 kB/s","1 MB/s"]`},
		{"lib/frames.js", `m.isEmpty([{values:[null]},{values:[0]}])`, `false`},
		{"lib/frames.js", `m.fromExemplars([{seriesLabels:{s:"x"},exemplars:[{labels:{trace_id:"t2"},value:"0.5",timestamp:2},{labels:{trace_id:"t1"},value:"1",timestamp:1},{labels:{},value:"1",timestamp:1}]},{seriesLabels:{s:"y"},exemplars:[{labels:{trace_id:"t2"},value:"0.5",timestamp:2}]}]).map(e=>[e.trace,e.value,e.labels.s])`, `[["t1",1,"x"],["t2",0.5,"x"]]`},
		{"lib/frames.js", `(() => { const all = Array.from({length: 5000}, (_, i) => ({time: i, value: i === 777 ? 9 : 0.001 + (i % 7) * 1e-4})); const got = m.spread(all, 0, 5000); return [got.length <= 160, got.length > 30, got.some(e => e.value === 9), got.every((e, i) => i === 0 || got[i-1].time <= e.time)]; })()`, `[true,true,true,true]`},
		// Fields
		{"lib/fields.js", `m.fieldConfig({fieldConfig:{defaults:{unit:"s",custom:{lineWidth:1}},overrides:[{matcher:{id:"byRegexp",options:"/^p9/"},properties:[{id:"unit",value:"ms"},{id:"custom.lineStyle.fill",value:"dash"}]},{matcher:{id:"byFrameRefID",options:"B"},properties:[{id:"displayName",value:"${__field.labels.x}!"}]}]}}, {name:"p99",refId:"B",labels:{x:"y"}})`, `{"unit":"ms","custom":{"lineWidth":1,"lineStyle":{"fill":"dash"}},"displayName":"y!"}`},
		{"lib/fields.js", `[m.matches({id:"byName",options:"a"}, {name:"a"}), m.matches({id:"byName",options:"a"}, {name:"ab"}), m.matches({id:"byRegexp",options:"a"}, {name:"ab"}), m.matches({id:"byRegexp",options:"("}, {name:"("}), m.matches({id:"other"}, {name:"a"})]`, `[true,false,false,false,false]`},
		{"lib/fields.js", `m.reached({thresholds:{mode:"absolute",steps:[{color:"a",value:null},{color:"b",value:1},{color:"c",value:2}]}}, 1).color`, `"b"`},
		{"lib/fields.js", `m.reached({thresholds:{mode:"percentage",steps:[{color:"a",value:null},{color:"b",value:50}]}}, 149, 100, 200).color`, `"a"`},
		{"lib/fields.js", `m.reached({thresholds:{mode:"percentage",steps:[{color:"a",value:null},{color:"b",value:50}]}}, 150, 100, 200).color`, `"b"`},
		{"lib/fields.js", `m.show({mappings:[{type:"value",options:{"1":{text:"up"}}}]}, 1)`, `"up"`},
		{"lib/fields.js", `m.show({mappings:[{type:"range",options:{from:null,to:0,result:{text:"none"}}}]}, 0)`, `"none"`},
		{"lib/fields.js", `m.show({mappings:[{type:"special",options:{match:"null",result:{text:"gone"}}}]}, null)`, `"gone"`},
		{"lib/fields.js", `[m.show({unit:"percentunit",decimals:2}, 0.99951), m.show({noValue:"-"}, null), m.show({unit:"s"}, 0.0015)]`, `["99.95 %","-","1.5 ms"]`},
		{"lib/fields.js", `["1.50 ms","100 ms","2.00 s","0.050","10 k","1.00 k"].map(m.tidy)`, `["1.5 ms","100 ms","2 s","0.05","10 k","1 k"]`},
		{"lib/fields.js", `m.ticks([0,0.5,1,1.5],"reqps")`, `["0 req/s","0.5 req/s","1 req/s","1.5 req/s"]`},
		{"lib/fields.js", `m.ticks([100000,100001,100002],"short")`, `["100000","100001","100002"]`},
		{"lib/fields.js", `[m.written(68), m.written(68.5), m.written(68, "short", 1), m.written(0.0132446, "none"), m.written(1234.5, "none"), m.written(2, "s")]`, `["68","68.5","68.0","0.0132","1235","2 s"]`},
		{"lib/legend.js", `[[...m.choose(new Set(), ["a","b","c"], "a", false)], [...m.choose(new Set(["b","c"]), ["a","b","c"], "a", false)], [...m.choose(new Set(["b"]), ["a","b","c"], "a", true)], [...m.choose(new Set(["a"]), ["a","b"], "b", true)]]`, `[["b","c"],[],["b","a"],[]]`},
		{"lib/legend.js", `["2xx","503","proxy-service 503","error","errors of the store","failed","p99","refused by rate_limit","1500","queue_full","load_shed"].map(m.isAlarming)`, `[false,true,true,true,true,true,false,true,false,false,true]`},
		{"lib/legend.js", `(() => {
			const series = Array.from({length: 12}, (_, i) => ({name: i === 9 ? "503" : "s" + i, colour: "#fff", config: {custom: {}}, values: [i]}));
			const shown = (displayMode, rows, open) => {
				const foot = document.createElement("div");
				Object.assign(foot, {className: "foot"}).style.cssText = "width: 300px; max-height: none";
				document.body.append(foot);
				foot.append(m.legend(series, {displayMode, calcs: ["max"]}, new Set(), () => {}));
				m.fold(foot, rows, open, () => {});
				const all = [...foot.querySelectorAll("button.series")].filter((b) => b.offsetParent).map((b) => b.textContent), more = foot.querySelector(".more");
				const fits = !more || open || foot.scrollHeight <= rows * m.rowHeight + 1;
				foot.remove();
				return [all.length > 5 ? all.length : all, more?.textContent ?? null, fits];
			};
			return [shown("table", 5, false), shown("table", 13, false), shown("table", 5, true), shown("list", 20, false), shown("list", 2, false)[2], /^\+\d+ more$/.test(shown("list", 2, false)[1])];
		})()`, `[[["503","s0","s1"],"+9 more",true],[12,null,true],[12,"fewer",true],[12,null,true],true,true]`},
		// Buckets
		{"lib/buckets.js", `m.columns([{histograms:[[10,{buckets:[[0,"1","2","4"],[0,"2","4","1"],[3,"-1","0","5"],[0,"4","+Inf","1"],[3,"-Inf","1","3"],[3,"-Inf","0","2"]]}],[20,{buckets:[[0,"1","2","6"]]}]]},{histograms:[[10,{buckets:[[0,"1","2","1"]]}]]},{histograms:null}])`, `{"list":[{"time":10,"cells":[[0.5,1,3],[1,2,5],[2,4,1],[4,8,1]]},{"time":20,"cells":[[1,2,6]]}],"low":0.5,"high":8,"max":6,"beneath":7}`},
		{"lib/buckets.js", `(() => { const c = {list:[{time:10,cells:[[1,2,5],[2,4,1]]}]}; return [m.at(c,12,3,5).cell, m.at(c,8,2,5).cell, m.at(c,10,9,5).cell, m.at(c,13,3,5), m.total(c.list[0])]; })()`, `[[2,4,1],[1,2,5],null,null,6]`},
		{"lib/buckets.js", `[m.logTicks(0.001, 0.03), m.logTicks(0.00001, 10, 4), m.logTicks(1, 100, 5)]`, `[[0.001,0.002,0.005,0.01,0.02],[0.00001,0.0001,0.001,0.01,0.1,1,10].filter((_, i) => i % 2 === 0),[1,3,10,30,100]]`},
		{"lib/buckets.js", `[m.powerTicks(1000, 5000), m.powerTicks(1, 2**20, 4)]`, `[[1024,2048,4096],[1,2**10,2**20]]`},
		{"panels/heatmap.js", `[m.share(0,10), m.share(10,10), m.share(2.5,10)]`, `[0.04,1,0.5]`},
		// Colours and charts
		{"lib/colours.js", `[m.mix("#000000","#ffffff",0.5), m.alpha("#fff",0.5), m.colour("#123456"), m.colour("transparent")]`, `["#808080","#ffffff80","#123456","#00000000"]`},
		{"lib/colours.js", `new Set(["green","dark-green","light-green","super-light-green","red","blue"].map(m.colour)).size`, `6`},
		{"lib/colours.js", `[new Set(Array.from({length:24}, (_, i) => m.palette(i))).size, m.byName("a") === m.byName("a")]`, `[24,true]`},
		{"panels/gauge.js", `[m.shareOf(5,0,10), m.shareOf(-1,0,10), m.shareOf(99,0,10), m.shareOf(null,0,10)]`, `[0.5,0,1,0]`},
		{"panels/gauge.js", `m.arc(76,0,1)`, `"M 34.18 138.00 A 76 76 0 1 1 165.82 138.00"`},
		{"panels/timeseries.js", `[m.range({custom:{},min:0,max:1}, false, false, 0.2, 0.3), m.range({custom:{}}, false, true, 5, 10)[0], m.range({custom:{},min:0}, false, false, null, null)[0], m.range({custom:{},min:5,max:5}, false, false, 5, 5)]`, `[[0,1],0,0,[5,6]]`},
		{"panels/table.js", `(() => { const p={targets:[{refId:"A"},{refId:"B"}]}; const t=m.tableOf(p,[{refId:"A",labels:{r:"x"},values:[1]},{refId:"A",labels:{r:"y"},values:[3]},{refId:"B",labels:{r:"x"},values:[2]}]); return [t.columns.map(c=>c.name), t.rows.map(r=>[r.labels.r,r.values.A,r.values.B??null]), m.sorted(t.rows,t.columns[1],true).map(r=>r.labels.r), m.sorted(t.rows,t.columns[2],true).map(r=>r.labels.r), m.sorted(t.rows,t.columns[0],true).map(r=>r.labels.r)]; })()`, `[["r","Value #A","Value #B"],[["x",1,2],["y",3,null]],["y","x"],["x","y"],["y","x"]]`},
		{"panels/table.js", `m.tableOf({targets:[{refId:"A"}],transformations:[{id:"organize",options:{excludeByName:{b:true},indexByName:{Value:0,a:1},renameByName:{a:"Name"}}}]},[{refId:"A",labels:{a:"1",b:"2"},values:[1]}]).columns.map(c=>[c.name,c.shown??null])`, `[["Value",null],["a","Name"]]`},
		{"lib/chart.js", `m.timeTicks([new Date(2026,0,1,23,59,30)/1e3,new Date(2026,0,2,0,0,0)/1e3],30)`, `["23:59:30","00:00:00\n01-02"]`},
		{"lib/layout.js", `m.sections({panels:[{id:3,type:"stat",gridPos:{x:0,y:9,w:6,h:4}},{id:2,type:"row",gridPos:{y:8},panels:[]},{id:1,type:"text",gridPos:{x:0,y:0,w:99,h:4}}]}).map(s=>[s.row?.id??null, s.panels.map(p=>[p.panel.id,p.x,p.y,p.w,p.h])])`, `[[null,[[1,0,0,24,4]]],[2,[[3,0,0,6,4]]]]`},
		{"lib/layout.js", `m.halves(["stat","stat","stat","text","stat"].map(type=>({panel:{type},w:6})))`, `[true,true,false,false,false]`},
		// Markdown
		{"lib/markdown.js", `(() => { const d=document.createElement("div"); d.append(...m.markdown("# A\n\nb **c** [d](/traces) [e](javascript:alert(1)) <b>f</b>\ng\n\n- h\n- i ` + "`j`" + `\n\n1. k\n\n` + "```" + `\n<l>\n` + "```" + `")); return d.innerHTML; })()`,
			`"<h3>A</h3><p>b <strong>c</strong> <a href=\"/traces\">d</a> [e](javascript:alert(1)) &lt;b&gt;f&lt;/b&gt; g</p><ul><li>h</li><li>i <code>j</code></li></ul><ol><li>k</li></ol><pre><code>&lt;l&gt;</code></pre>"`},
		{"lib/markdown.js", `["/a","https://a","//a","javascript:x","data:x","#x"].map(m.href)`, `["/a","https://a",null,null,null,"#x"]`},
	})
}

func TestQueue(t *testing.T) {
	var got struct{ Most, Done, Aborted, Queries int }
	inBrowser(t, "lib/panelquery.js", `await (async () => {
		let now = 0, most = 0, done = 0, aborted = 0, queries = 0;
		const stop = new AbortController(), run = m.queue(3), gates = [];
		const work = () => { most = Math.max(most, ++now); return new Promise((r) => gates.push(r)).then(() => { now--; done++; }); };
		const all = Array.from({length: 8}, (_, i) => run(work, i > 5 ? stop.signal : null).catch(() => aborted++));
		stop.abort();
		while (gates.length || now) { gates.shift()?.(); await null; }
		await Promise.all(all);
		const dedupe = m.deduper((w) => w(), null);
		await Promise.all(["a","a","b"].map((k) => dedupe(k, async () => queries++)));
		return {most, done, aborted, queries};
	})()`, &got)
	if got.Most != 3 || got.Done != 6 || got.Aborted != 2 || got.Queries != 2 {
		t.Errorf("queue = %+v, want at most 3 at once, 6 done, 2 aborted, 2 queries", got)
	}
}

// The queries of lab verify are those of the page.
func TestInterpolationIsTheSameInBoth(t *testing.T) {
	all, err := dashboards.All()
	if err != nil {
		t.Fatal(err)
	}
	var exprs []string
	for _, d := range all {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				exprs = append(exprs, target.Expr)
			}
		}
	}
	if len(exprs) == 0 {
		t.Fatal("the dashboards have no queries")
	}
	odd := "a.b\"c\\d'e[f]\n$"
	for name, vars := range map[string]map[string][]string{
		"all":     {"environment": {"$__all"}, "service": {"$__all"}, "route": {"$__all"}, "run": {"$__all"}},
		"one":     {"environment": {"native"}, "service": {"album-store"}, "route": {"/albums/:id"}, "run": {odd}},
		"several": {"environment": {"native", odd}, "service": {"a", "b"}, "route": {"/albums", "/albums/:id"}, "run": {"1", "2"}},
	} {
		for _, times := range [][2]int{{1800, 5}, {86400, 300}} {
			args, err := json.Marshal(map[string]any{"exprs": exprs, "vars": vars})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			inBrowser(t, "lib/vars.js", fmt.Sprintf(`(({exprs, vars}) => exprs.map((e) => m.interpolate(e, vars, [], %d, %d)))(%s)`, times[0], times[1], args), &got)
			for i, e := range exprs {
				if want := dashboards.Interpolate(e, vars, time.Duration(times[0])*time.Second, time.Duration(times[1])*time.Second); got[i] != want {
					t.Errorf("%s: %s\nhere:  %s\nverify: %s", name, e, got[i], want)
				}
			}
		}
	}
}

// A single value without current data shows since when, and not its last value. With data it
// has its history as a sparkline.
func TestNumberWithoutValue(t *testing.T) {
	var got map[string]struct {
		Frames, History [][]float64
		Since           *float64
	}
	inBrowser(t, "lib/panelquery.js", `await (async () => {
		const answers = {"query without": [], "query with": [{metric: {}, value: [1000, "7"]}],
			"query_range without": [{metric: {}, values: [[940, "3"], [950, "4"]]}], "query_range with": [{metric: {}, values: [[990, "6"], [1000, "7"]]}]};
		const real = window.fetch, out = {};
		window.fetch = async (path) => {
			const u = new URL(path, location.href);
			return new Response(JSON.stringify({data: {result: answers[u.pathname.split("/").at(-1) + " " + u.searchParams.get("query")]}}));
		};
		try {
			for (const expr of ["without", "with"]) {
				const a = await m.panelData({type: "stat", targets: [{refId: "A", expr, instant: true}]}, {start: 900, end: 1000, values: {}, defs: [], width: 800, dedupe: (_, work) => work(), signal: null});
				out[expr] = {Frames: a.frames.map((f) => f.values), History: a.history.map((f) => f.values.filter((v) => v !== null)), Since: a.since};
			}
		} finally { window.fetch = real; }
		return out;
	})()`, &got)
	without, with := got["without"], got["with"]
	if len(without.Frames) != 0 || without.Since == nil || *without.Since != 950 {
		t.Errorf("without a value: %+v, want none since 950", without)
	}
	if want := [][]float64{{6, 7}}; !reflect.DeepEqual(with.History, want) || !reflect.DeepEqual(with.Frames, [][]float64{{7}}) {
		t.Errorf("with a value: %+v, want 7, and before it %v", with, want)
	}
}

// The dashboards use supported options only.
func TestDashboardsUseSupportedOptions(t *testing.T) {
	all, err := dashboards.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		t.Run(d.UID, func(t *testing.T) {
			var lost []string
			inBrowser(t, "panels/support.js", fmt.Sprintf(`m.unsupportedIn(await (await fetch("/-/dashboards/%s")).json())`, d.UID), &lost)
			if len(lost) > 0 {
				t.Errorf("not drawn:\n%s", strings.Join(lost, "\n"))
			}
		})
	}
}

func TestUnsupportedOptionsAreReported(t *testing.T) {
	for name, tt := range map[string]struct{ panel, want string }{
		"type":           {`{id:1,type:"piechart"}`, "panel 1 (piechart): unsupported panel type"},
		"option":         {`{id:1,type:"stat",options:{sparkle:true}}`, "panel 1 (stat): options.sparkle = true"},
		"value":          {`{id:1,type:"timeseries",fieldConfig:{defaults:{custom:{stacking:{mode:"percent"}}}}}`, `panel 1 (timeseries): defaults: custom.stacking.mode = "percent", supported: ["none","normal"]`},
		"override":       {`{id:1,type:"stat",fieldConfig:{overrides:[{matcher:{id:"byType",options:"number"},properties:[]}]}}`, "panel 1 (stat): override matches byType"},
		"property":       {`{id:1,type:"stat",fieldConfig:{overrides:[{matcher:{id:"byName",options:"a"},properties:[{id:"filterable",value:true}]}]}}`, `panel 1 (stat): override "a": filterable = true`},
		"transformation": {`{id:1,type:"table",transformations:[{id:"groupBy",options:{}}]}`, `panel 1 (table): transformations[].id = "groupBy", supported: ["organize","merge"]`},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			inBrowser(t, "panels/support.js", "m.unsupported("+tt.panel+")", &got)
			if len(got) != 1 || got[0] != tt.want {
				t.Errorf("unsupported(%s) = %q, want %q", tt.panel, got, tt.want)
			}
		})
	}
}

// Without Prometheus each panel shows the error, and the page still works.
func TestDashboardsWithoutPrometheus(t *testing.T) {
	all, err := dashboards.All()
	if err != nil {
		t.Fatal(err)
	}
	browser := modules(t)
	home, err := chromedp.Run(browser, chromedp.Location())
	if err != nil {
		t.Fatal(err)
	}
	tab, done := chromedp.NewContext(browser)
	defer done()
	for _, d := range all {
		t.Run(d.UID, func(t *testing.T) {
			if err := chromedp.Do(tab, chromedp.EmulateViewport(390, 6000), chromedp.Navigate(strings.Replace(home, "/dashboards", "/d/"+d.UID, 1))); err != nil {
				t.Fatal(err)
			}
			if _, err := chromedp.Run(tab, chromedp.Poll[bool](`document.getElementById("main")?.dataset.panels === "done"`, chromedp.WithPollingTimeout(2*time.Minute))); err != nil {
				t.Fatal(err)
			}
			type panel struct{ ID, State, Text string }
			panels, err := chromedp.Run(tab, chromedp.Evaluate[[]panel](`[...document.querySelectorAll("[data-panel]")].map((e) => ({ID: e.dataset.panel, State: e.dataset.state, Text: e.querySelector(".panel-note").textContent}))`))
			if err != nil {
				t.Fatal(err)
			}
			count := 0
			for _, p := range d.Panels {
				if p.Type != "row" {
					count++
				}
			}
			if len(panels) != count {
				t.Errorf("%d panels are on the page, the file has %d", len(panels), count)
			}
			failed := 0
			for _, p := range panels {
				switch p.State {
				case "error":
					failed++
					if !strings.Contains(p.Text, "Prometheus is down at http://127.0.0.1:1: is the lab up?") {
						t.Errorf("panel %s shows %q", p.ID, p.Text)
					}
				case "ok", "waiting": // text panels, and panels below the fold
				default:
					t.Errorf("panel %s is %s: %q", p.ID, p.State, p.Text)
				}
			}
			if failed == 0 {
				t.Error("no panel shows that Prometheus is down")
			}
		})
	}
}

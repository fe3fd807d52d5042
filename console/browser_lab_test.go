package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestLabFunctions(t *testing.T) {
	for _, tt := range []struct{ module, expression, want string }{
		{"lib/lab.js", `m.moved("curl http://127.0.0.1:9081/a 127.0.0.1:9999 127.0.0.1:90810\ngo run ./loadgen -rate 5", 0)`, `"curl http://127.0.0.1:9081/a 127.0.0.1:9999 127.0.0.1:90810\ngo run ./loadgen -rate 5"`},
		{"lib/lab.js", `m.moved("curl http://127.0.0.1:9081/a 127.0.0.1:9999 127.0.0.1:90810", 700)`, `"curl http://127.0.0.1:9781/a 127.0.0.1:9999 127.0.0.1:90810"`},
		{"lib/lab.js", `m.moved([9070, 9080, 9071, 9081, 9090, 16696, 3300, 4318].map((p) => "127.0.0.1:" + p).join(" "), 1)`, `[9071, 9081, 9072, 9082, 9091, 16697, 3301, 4319].map((p) => "127.0.0.1:" + p).join(" ")`},
		{"lib/lab.js", `m.moved("go run ./loadgen -rate 5\ngo run ./loadgen -url http://127.0.0.1:9080 -rate 5", 10)`, `"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4328 go run ./loadgen -rate 5 -url http://127.0.0.1:9080\ngo run ./loadgen -url http://127.0.0.1:9090 -rate 5"`},
		{"lib/lab.js", `[m.commands().heal, m.commands(100, "", true).heal, m.commands(0, "", true).ps, m.commands(0, "", true).load]`,
			`["curl -X PUT http://127.0.0.1:9081/admin/faults -d '{\"faults\":[]}'", "go run ./compose -port-offset 100 exec album-store-1 /tools/labtool put http://127.0.0.1:9081/admin/faults '{\"faults\":[]}'", "go run ./compose ps", "go run ./loadgen -rate 100 -slo 'p99<50ms'"]`},
		{"lib/lab.js", `[{classes:{good:5}}, {}, {classes:{good:1575,failed:21,shed:1004}}, {classes:{good:1,failed:99999}}, {classes:{shed:3}}].map((r) => m.lossBadge(r)?.textContent ?? null)`, `[null, null, "39.5 % not served", ">99.9 % not served", "100 % not served"]`},
		// One rounding: what is served and what is not add up.
		{"lib/lab.js", `[[6895, 10000], [0, 7], [7, 7], [1, 100000], [99999, 100000], [999, 1000], [1, 1000], [0, 0]].map(([n, of]) => m.shares(n, of).join())`,
			`["68.9 %,31.1 %", "0 %,100 %", "100 %,0 %", "<0.1 %,>99.9 %", ">99.9 %,<0.1 %", "99.9 %,0.1 %", "0.1 %,99.9 %", "–,–"]`},
		{"lib/format.js", `[0, 1, 2].map((n) => m.plural(n, "pause"))`, `["0 pauses", "1 pause", "2 pauses"]`},
		{"lib/lab.js", `[undefined, [], ["http://127.0.0.1:9080"], ["http://a:1", "http://b:2"]].map((s) => m.elsewhere(s)?.textContent ?? null)`,
			`[null, null, "The album store is none of them: the proxy calls http://127.0.0.1:9080.", "The album store is none of them: the proxy calls http://a:1, http://b:2."]`},
		{"lib/logline.js", `(() => {
			const list = document.createElement("ol"), noon = (d) => new Date(2026, 0, d, 12);
			for (const d of [4, 4, null, 3]) list.append(m.line({ time: d && noon(d).toISOString(), message: "m", service: "s" }));
			const told = () => [...list.children].map((e) => e.classList.contains("day") ? e.textContent : "");
			m.days(list, noon(5).getTime());
			const before = told();
			m.days(list, noon(4).getTime());
			return [before, told()];
		})()`, `[["2026-01-04","","","","2026-01-03",""],["","","","2026-01-03",""]]`},
	} {
		t.Run(tt.module+"/"+tt.expression[:min(40, len(tt.expression))], func(t *testing.T) {
			var got, want any
			inBrowser(t, tt.module, tt.expression, &got)
			inBrowser(t, tt.module, tt.want, &want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s = %v, want %v", tt.expression, got, want)
			}
		})
	}
}

// The keys move the cross-hair of all charts, and say so where there is no data.
func TestCrossHairByKeyboard(t *testing.T) {
	var got struct {
		Same   []bool
		Hidden bool
		Tip    string
	}
	inBrowser(t, "lib/chart.js", `await (async () => {
		const { seriesTip } = await import(`+assets+` + "lib/tip.js");
		const chart = () => {
			const el = document.createElement("div");
			Object.assign(el.style, { width: "400px", height: "150px", position: "relative" });
			document.body.append(el);
			const values = [1, 2, null, 4];
			const env = { start: 100, end: 130, sync: "test", label: "x", tip: (u, i) => seriesTip(u.data[0][i], values[i] === null ? [] : [{ name: "v", text: "t", colour: "red" }]) };
			return { el, ...m.mount(el, { series: [{}, {}], axes: [m.timeAxis(), {}] }, [[100, 110, 120, 130], values], env) };
		};
		const a = chart(), b = chart();
		await null;
		const press = (key) => a.u.root.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
		const same = [];
		for (const key of ["Home", "ArrowRight", "ArrowRight"]) { press(key); same.push(a.u.cursor.idx === b.u.cursor.idx && b.u.cursor.idx === same.length); }
		const tip = a.el.querySelector(".tip").textContent;
		press("Escape");
		const hidden = b.u.cursor.left < 0;
		for (const c of [a, b]) { c.destroy(); c.el.remove(); }
		return { same, tip, hidden };
	})()`, &got)
	if !reflect.DeepEqual(got.Same, []bool{true, true, true}) || !got.Hidden {
		t.Errorf("the other chart's cross-hair followed %v, and was hidden by Escape: %v", got.Same, got.Hidden)
	}
	if !strings.HasSuffix(got.Tip, "no data") {
		t.Errorf("where there is no data, the tip says %q", got.Tip)
	}
}

package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// onPlatforms is the JavaScript expression of the values of an expression on a native lab, in Compose and in
// Kubernetes.
func onPlatforms(expression string) string {
	return `[null, "compose", "kubernetes"].map((platform) => {
		const root = document.documentElement;
		if (platform) root.dataset.containers = platform;
		if (platform === "kubernetes") root.dataset.albumStore = "-n lab deployment/x-album-store";
		try {
			return ` + expression + `;
		} finally {
			delete root.dataset.containers;
			delete root.dataset.albumStore;
		}
	})`
}

func TestLabFunctions(t *testing.T) {
	testModules(t, []moduleCase{
		{"lib/lab.js", `m.withPortOffset("curl http://127.0.0.1:9081/a 127.0.0.1:9999 127.0.0.1:90810\ngo run ./loadgen -rate 5", 0)`, `"curl http://127.0.0.1:9081/a 127.0.0.1:9999 127.0.0.1:90810\ngo run ./loadgen -rate 5"`},
		{"lib/lab.js", `m.withPortOffset("curl http://127.0.0.1:9081/a 127.0.0.1:9999 127.0.0.1:90810", 700)`, `"curl http://127.0.0.1:9781/a 127.0.0.1:9999 127.0.0.1:90810"`},
		{"lib/lab.js", `m.withPortOffset([9070, 9080, 9071, 9081, 9090, 16696, 3300, 4318].map((p) => "127.0.0.1:" + p).join(" "), 1)`, `[9071, 9081, 9072, 9082, 9091, 16697, 3301, 4319].map((p) => "127.0.0.1:" + p).join(" ")`},
		{"lib/lab.js", `m.withPortOffset("go run ./loadgen -rate 5\ngo run ./loadgen -url http://127.0.0.1:9080 -rate 5", 10)`, `"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4328 go run ./loadgen -rate 5 -url http://127.0.0.1:9080\ngo run ./loadgen -url http://127.0.0.1:9090 -rate 5"`},
		{"lib/lab.js", `[m.commands().clearFaults(), m.commands(5).clearFaults("proxy-service"), m.commands(100, "", "compose").clearFaults(), m.commands(0, "", "compose").clearFaults("proxy-service-2"), m.commands(1).slow, m.commands(0, "", "compose").ps, m.commands(0, "", "compose").load]`,
			`["curl -X DELETE http://127.0.0.1:9081/admin/faults", "curl -X DELETE http://127.0.0.1:9076/admin/faults", "go run ./compose -port-offset 100 exec album-store-1 /tools/labtool delete http://127.0.0.1:9081/admin/faults",
			"go run ./compose exec proxy-service-2 /tools/labtool delete http://127.0.0.1:9071/admin/faults", "curl -X PUT http://127.0.0.1:9082/admin/faults -d '{\"faults\":[\"db-delay=40ms@2%\"]}'", "go run ./compose ps", "go run ./loadgen -rate 100 -slo 'p99<50ms'"]`},
		// In Kubernetes the native commands follow a port-forward to the fault API.
		{"lib/lab.js", onPlatforms(`(() => { const c = m.commands(); return [c.ps, c.forward(), c.forward("proxy-service"), c.slow, c.clearFaults("proxy-service")]; })()`), `[
			["go run ./compose ps", null, null, "curl -X PUT http://127.0.0.1:9081/admin/faults -d '{\"faults\":[\"db-delay=40ms@2%\"]}'", "curl -X DELETE http://127.0.0.1:9071/admin/faults"],
			["go run ./compose ps", null, null, "go run ./compose exec album-store-1 /tools/labtool put http://127.0.0.1:9081/admin/faults '{\"faults\":[\"db-delay=40ms@2%\"]}'", "go run ./compose exec proxy-service /tools/labtool delete http://127.0.0.1:9071/admin/faults"],
			["make k8s-status", "kubectl port-forward -n lab deployment/x-album-store 9081 &", "kubectl port-forward -n NAMESPACE deployment/NAME 9071 &", "curl -X PUT http://127.0.0.1:9081/admin/faults -d '{\"faults\":[\"db-delay=40ms@2%\"]}'", "curl -X DELETE http://127.0.0.1:9071/admin/faults"]]`},
		{"lib/lab.js", onPlatforms(`m.startHint()`), `["Start the lab with make lab-up", "Check the containers with make compose-ps", "Check the containers with make k8s-status"]`},
		{"lib/faults.js", onPlatforms(`(() => {
			const faults = (containers) => ({services: [{service: "album-store", faults: ["stall"], containers}], clear: !containers});
			const containers = {compose: ["album-store-1", "album-store-2"], kubernetes: ["album-store"]}[document.documentElement.dataset.containers];
			return [...m.banner(faults(containers), 0).querySelectorAll("code, button:not(.quiet)")].map((e) => e.textContent);
		})()`), `[["stall", "Clear all faults"],
			["stall", "go run ./compose exec album-store-1 /tools/labtool delete http://127.0.0.1:9081/admin/faults", "go run ./compose exec album-store-2 /tools/labtool delete http://127.0.0.1:9081/admin/faults"],
			["stall", "kubectl port-forward -n lab deployment/x-album-store 9081 &", "curl -X DELETE http://127.0.0.1:9081/admin/faults"]]`},
		{"lib/lab.js", `[{classes:{good:5}}, {}, {classes:{good:1575,failed:21,shed:1004}}, {classes:{good:1,failed:99999}}, {classes:{shed:3}}].map((r) => m.lossBadge(r)?.textContent ?? null)`, `[null, null, "39.5 % not served", ">99.9 % not served", "100 % not served"]`},
		// The two shares are rounded so that they add up.
		{"lib/lab.js", `[[6895, 10000], [0, 7], [7, 7], [1, 100000], [99999, 100000], [999, 1000], [1, 1000], [0, 0]].map(([n, of]) => m.shares(n, of).join())`,
			`["68.9 %,31.1 %", "0 %,100 %", "100 %,0 %", "<0.1 %,>99.9 %", ">99.9 %,<0.1 %", "99.9 %,0.1 %", "0.1 %,99.9 %", "–,–"]`},
		{"lib/faults.js", `[m.banner({services: [], clear: true}, 0), m.banner({services: [{service: "a", faults: [], error: "down"}], clear: true}, 0).textContent, m.banner({services: [{service: "a", faults: ["error=500@50%"]}], clear: true}, 0).textContent,
			m.banner({services: [{service: "a", faults: ["x", "y"]}, {service: "b", faults: ["z"]}], clear: false}, 0).textContent,
			m.banner({services: [{service: "a", faults: ["x"]}, {service: "b", faults: [], error: "timeout"}], clear: true}, 0).textContent]`,
			`[null, "Faults: a unknown: downClear all faults", "Active fault: a error=500@50%Clear all faults", "Active faults: a x y; b z", "Active fault: a x; b unknown: timeoutClear all faults"]`},
		// The badge is green only if the lab is healthy.
		{"pages/home.js", `(() => {
			const lab = (phase) => ({phase, status: {programs: [{}], memory_bytes: 0, started_at: new Date().toISOString()}});
			const of = (phase, health) => m.head(lab(phase), health).filter((e) => e?.className?.startsWith("badge")).map((e) => e.className + ": " + e.textContent);
			return [of("up"), of("up", {errors: 0, firing: 0, known: true}), of("up", {errors: null, firing: 0, known: true}), of("up", {errors: 0.8, firing: 0, known: true}), of("up", {errors: 0.002, firing: 2, known: true}), of("down", {errors: 0.8, firing: 1, known: true}),
				of("up", {errors: null, firing: 0, known: false}), of("up", {errors: null, firing: 2, known: false})];
		})()`, `[["badge : up"], ["badge good: up"], ["badge good: up"], ["badge bad: up", "badge bad: 80 % of requests fail"], ["badge warn: up", "badge warn: 0.2 % of requests fail", "badge bad: 2 alerts firing"], ["badge bad: down"], ["badge : up"], ["badge warn: up", "badge bad: 2 alerts firing"]]`},
		{"pages/home.js", onPlatforms(`[...m.down({value: {phase: "unready", containers: Boolean(document.documentElement.dataset.containers), detail: "jaeger fails", folder: "/x/.lab", status: {port_offset: 0}}}).querySelectorAll("p, code")].map((e) => e.textContent)`),
			`[["jaeger fails", "make lab-up", "State folder: /x/.lab"], ["Some containers are not ready. Check them from the repository folder:", "go run ./compose ps"], ["Some containers are not ready. Check them from the repository folder:", "make k8s-status"]]`},
		{"pages/home.js", onPlatforms(`[...m.latest({value: {runs: [], folder: "/x/.lab/runs"}}, null).querySelectorAll("p, code")].map((e) => e.textContent)`), `[
			["No runs yet.", "go run ./loadgen -rate 100 -slo 'p99<50ms'"], ["No runs yet.", "go run ./loadgen -rate 100 -slo 'p99<50ms'"],
			["Runs stay in .lab/runs, on the machine that sends the load. To see them at http://127.0.0.1:3301/runs, run there:", "go run ./console -addr 127.0.0.1:3301 -jaeger http://127.0.0.1:16696"]]`},
		{"pages/home.js", onPlatforms(`(() => {
			const platform = document.documentElement.dataset.containers, name = platform === "compose" ? "album-store-1" : "album-store";
			const card = m.nextSteps({containers: Boolean(platform), folder: "/x/.lab", status: {programs: [{name}]}});
			return [card.querySelectorAll("p")[2].textContent, ...[...card.querySelectorAll("code")].slice(3).map((e) => e.textContent.split(" -d ")[0])];
		})()`), `[
			["Run a load test. The result is under Runs.", "curl -X PUT http://127.0.0.1:9081/admin/faults", "curl -X DELETE http://127.0.0.1:9081/admin/faults"],
			["Run a load test. The result is under Runs.", "go run ./compose exec album-store-1 /tools/labtool put http://127.0.0.1:9081/admin/faults '{\"faults\":[\"db-delay=40ms@2%\"]}'", "go run ./compose exec album-store-1 /tools/labtool delete http://127.0.0.1:9081/admin/faults"],
			["Run a load test. The result stays in .lab/runs, on the machine that sends the load.", "kubectl port-forward -n lab deployment/x-album-store 9081 &", "curl -X PUT http://127.0.0.1:9081/admin/faults", "curl -X DELETE http://127.0.0.1:9081/admin/faults"]]`},
		// An external store may have no fault API.
		{"pages/home.js", onPlatforms(`m.nextSteps({containers: true, status: {programs: [{name: "proxy-service"}]}}).querySelectorAll("code").length`), `[3, 3, 3]`},
		// Prometheus is down in this test.
		{"pages/home.js", `[m.healthOf(await m.measure(null), await m.alertsNow(null)), m.healthOf({errors: 0, known: true}, {problem: "down"}).known, m.healthOf({errors: 0.5, known: true}, {list: [{state: "firing"}, {state: "pending"}]})]`,
			`[{errors: null, firing: 0, known: false}, false, {errors: 0.5, firing: 1, known: true}]`},
		// The tile counts what the dashboard's panel counts; metric points that are sent again are not lost.
		{"pages/home.js", `await (async () => {
			const panel = (await (await fetch("/-/dashboards/pipeline")).json()).panels.find((p) => p.id === 2), query = await m.lostTelemetry(null);
			const stages = panel.targets.map((t) => "(" + t.expr.replaceAll("$environment", ".*").replaceAll("$__range", "1800s") + ")");
			return [panel.targets.length, query === stages.join(" + "), query.includes("metric_data_point"), query.includes("$")];
		})()`, `[5, true, false, false]`},
		{"pages/home.js", `["console","proxy-service","album-store","otel-collector","jaeger","prometheus","other"].map((name) => m.browserLinks({name, address: "http://a:1"}, 5).map((w) => w[0]).join(" "))`,
			`["http://a:1/", "http://a:1/v3/api-docs/ http://a:1/status", "http://a:1/v3/api-docs/ http://a:1/status", "http://127.0.0.1:13138/", "/traces", "http://a:1/metrics", ""]`},
		{"pages/home.js", `["jaeger","prometheus","grafana"].map((name) => m.browserLinks({name, address: "http://a:1", pages: "http://a:1/"}, 5).map((w) => w[0]).join(" "))`,
			`["http://a:1/ /traces", "http://a:1/ http://a:1/metrics", "http://a:1/"]`},
		{"lib/panel.js", `[0, 43200, 43201].map((ago) => m.noDataText({since: 1.7e9, end: 1.7e9 + ago}).replace(/\d/g, "0")).concat(m.noDataText({since: null, end: 1.7e9}))`,
			`["No data since 00:00:00", "No data since 00:00:00", "No data since 0000-00-00 00:00:00", "No data in this range"]`},
		{"lib/range.js", `[["now-60m"], ["now-1h"], ["now-90m"], ["now-2h", "now-1h"], ["1700000000000"], ["now-1m"]].map((r) => m.describe(...r))`, `["Last 1 hour", "Last 1 hour", "Last 90 minutes", "now-2h to now-1h", null, "Last 1 minute"]`},
		{"lib/format.js", `[0, 1, 2].map((n) => m.plural(n, "pause"))`, `["0 pauses", "1 pause", "2 pauses"]`},
		{"lib/lab.js", `[undefined, [], ["http://127.0.0.1:9080"], ["http://a:1", "http://b:2"]].map((s) => m.externalStores(s)?.textContent ?? null)`,
			`[null, null, "External album store: the proxy calls http://127.0.0.1:9080.", "External album store: the proxy calls http://a:1, http://b:2."]`},
		{"lib/logline.js", `(() => {
			const list = document.createElement("ol"), noon = (d) => new Date(2026, 0, d, 12);
			for (const d of [4, 4, null, 3]) list.append(m.line({ time: d && noon(d).toISOString(), message: "m", service: "s" }));
			const days = () => [...list.children].map((e) => e.classList.contains("day") ? e.textContent : "");
			m.days(list, noon(5).getTime());
			const before = days();
			m.days(list, noon(4).getTime());
			return [before, days()];
		})()`, `[["2026-01-04","","","","2026-01-03",""],["","","","2026-01-03",""]]`},
	})
}

// The keyboard moves the cross-hair of all charts. The tip shows where there is no data.
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
		t.Errorf("without data, the tip shows %q", got.Tip)
	}
}

// An unknown URL shows an error and links to existing pages.
func TestNotFound(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	for path, want := range map[string]string{
		"/nope":                        `["Page not found","The console has no page /nope.",8]`,
		"/d/nope":                      `["Dashboard not found","No dashboard has the UID nope. Available dashboards:",10]`,
		"/d/service-latency?panel=999": `["Panel not found","The dashboard Service latency has no panel 999. Available dashboards:",10]`,
	} {
		p.do(chromedp.Navigate("about:blank"), chromedp.Navigate(p.base+path))
		p.until(`document.querySelector(".notfound")`)
		p.want(`[document.querySelector("h1").textContent, document.querySelector(".notfound .sub").textContent, document.querySelectorAll(".notfound a").length]`, want)
		p.want(`[document.title, document.querySelectorAll(".problem").length]`, `["Not found · Soundcheck",0]`)
	}
	p.quiet("404 (Not Found)")
}

// An active fault is shown on every page, until its button clears it.
func TestFaultBanner(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.backend.mu.Lock()
	p.backend.faults = []string{"error=500@50%"}
	p.backend.mu.Unlock()
	for _, path := range []string{"/traces", "/nope"} {
		p.do(chromedp.Navigate("about:blank"), chromedp.Navigate(p.base+path))
		p.until(`document.querySelector("#faults .faults")`)
	}
	p.want(`document.querySelector("#faults p").textContent`, `"Active fault: album-store error=500@50%"`)
	// A fault that cannot be cleared stays, with the reason.
	hang := func(hangs bool) {
		p.backend.mu.Lock()
		p.backend.faultsHang = hangs
		p.backend.mu.Unlock()
	}
	hang(true)
	p.until(`document.querySelector("#faults p")?.textContent === "Faults: album-store unknown: timeout"`)
	p.do(chromedp.Click(chromedp.CSS("#faults button")))
	p.until(`document.querySelector("#faults .note")?.textContent === "faults of album-store not cleared: timeout"`)
	hang(false)
	p.until(`document.querySelector("#faults p")?.textContent === "Active fault: album-store error=500@50%"`)
	p.do(chromedp.Click(chromedp.CSS("#faults button")))
	p.until(`!document.querySelector("#faults .faults")`)
	p.backend.mu.Lock()
	defer p.backend.mu.Unlock()
	if len(p.backend.faults) != 0 {
		t.Errorf("left are %v", p.backend.faults)
	}
}

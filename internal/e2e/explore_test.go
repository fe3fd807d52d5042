package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// loaded is the Explore page with the results of its queries.
const loaded = `document.getElementById("main").dataset.loaded === "true" && !document.querySelector('#main [aria-busy="true"]')`

// keys presses keys in the tab.
func (b *browser) keys(t *testing.T, keys string, options ...chromedp.KeyOption) {
	t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.KeyEvent(keys, options...)); err != nil {
		t.Fatalf("%q: %v", keys, err)
	}
}

// Keys that no text has.
const down, escape = "\u0301", "\u001b"

// exploreOf is the address of the Explore page.
func exploreOf(queries ...string) string {
	return "/explore?" + url.Values{"q": queries, "from": {"now-15m"}}.Encode()
}

// alertShown waits until a dashboard shows an alert, and the alert's link its time.
func (l *lab) alertShown(t *testing.T, name string) {
	b := newBrowser(t, l.Console())
	b.window(t, 1280, 900, "light")
	b.open(t, "/d/slo?from=now-15m&to=now&refresh=5s&annotations=alert")
	b.until(t, "the alert", fmt.Sprintf(`document.querySelector(".panel .annotation-marks a.alert") !== null && [...document.querySelectorAll(".annotations li a")].some((a) => a.textContent === %q)`, name))
	value[bool](t, b, `(document.querySelector(".annotations li a").click(), true)`)
	b.until(t, "the time of the alert", `/^\d+$/.test(new URLSearchParams(location.search).get("from")) && `+settled)
	for _, p := range b.took() {
		t.Error(p)
	}
}

// explore writes queries by keyboard and follows what the page offers.
func (l *lab) explore(t *testing.T) {
	b := newBrowser(t, l.Console())
	b.window(t, 1280, 900, "light")
	is := func(what, expression, want string) {
		t.Helper()
		if got := value[string](t, b, `JSON.stringify(`+expression+`)`); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	quiet := func(what string) {
		t.Helper()
		for _, p := range b.took() {
			t.Errorf("%s: %s", what, p)
		}
	}
	list := func(first string) {
		t.Helper()
		b.until(t, "completions from "+first, fmt.Sprintf(`document.querySelector('[role="option"] .name')?.textContent === %q`, first))
	}
	const box = `document.querySelector('[role="combobox"]')`
	text := func(want string) {
		t.Helper()
		is("the query", box+`.textContent`, want)
	}

	b.open(t, "/explore")
	is("focus of an empty page", `document.activeElement === `+box, "true")
	b.keys(t, "sum(ra")
	list("rate") // before functions that are less common
	b.keys(t, "te(http_server_request_d")
	list("http_server_request_duration_seconds")
	is("help and unit", `[...document.querySelectorAll('[role="option"] :is(.kind, .what)')].map((e) => e.textContent)`, `["histogram, seconds","Duration of HTTP server requests."]`)
	is("an open combobox", box+`.getAttribute("aria-expanded") + " " + `+box+`.hasAttribute("aria-activedescendant")`, `"true false"`)
	b.keys(t, down)
	is("the selected option", `(() => { const e = document.getElementById(`+box+`.getAttribute("aria-activedescendant")); return [e.getAttribute("aria-selected"), e.closest('[role="listbox"]').id === `+box+`.getAttribute("aria-controls")]; })()`, `["true",true]`)
	b.keys(t, escape)
	is("after Escape", `[`+box+`.getAttribute("aria-expanded"), document.querySelector(".completions").hidden, document.activeElement === `+box+`]`, `["false",true,true]`)
	b.keys(t, "u")
	list("http_server_request_duration_seconds")
	b.keys(t, "\t") // inserts the first
	text(`"sum(rate(http_server_request_duration_seconds"`)
	b.keys(t, "{service_n")
	list("service_name")
	b.keys(t, down+"\r")
	text(`"sum(rate(http_server_request_duration_seconds{service_name="`)
	list("album-store")
	b.keys(t, down+down+"\r")
	text(`"sum(rate(http_server_request_duration_seconds{service_name=\"proxy-service\""`)
	b.keys(t, `}[1m] anchored))`)
	b.keys(t, escape+"\r")
	b.until(t, "the heat map", loaded+` && document.querySelector(".panel.is-heatmap canvas") !== null`)
	is("the URL", `new URLSearchParams(location.search).getAll("q")`, `["sum(rate(http_server_request_duration_seconds{service_name=\"proxy-service\"}[1m] anchored))"]`)
	is("focus after a run", `document.activeElement === `+box, "true")
	b.keys(t, "\t") // leaves the query: the list is closed
	is("focus after Tab", `document.activeElement === `+box, "false")
	quiet("a query")

	// A suggestion makes it a quantile, whose exemplars are traces.
	value[bool](t, b, `([...document.querySelectorAll(".hints button")].find((e) => e.textContent === "p99").click(), true)`)
	b.until(t, "the chart of p99", `document.querySelector(".panel.is-timeseries canvas") !== null && document.querySelector("#main .exemplar") !== null && `+loaded)
	text(`"histogram_quantile(0.99, sum(rate(http_server_request_duration_seconds{service_name=\"proxy-service\"}[1m] anchored)))"`)
	is("annotations of the run", `(() => { const n = document.querySelectorAll('.annotations li a[href^="/runs/"]').length; return n > 0 && n === document.querySelectorAll('.annotation-marks a.run').length; })()`, "true")
	value[bool](t, b, `(document.querySelector(".annotations input").click(), true)`)
	b.until(t, "no annotation", `!document.querySelector('.annotations li a[href^="/runs/"]') && !document.querySelector(".annotation-marks a.run")`)
	is("annotations in the URL", `new URLSearchParams(location.search).get("annotations")`, `"alert"`)
	is("the history", `JSON.parse(localStorage.getItem("explore-history")).map((e) => e.q.length)`, `[1,1]`)
	trace := value[string](t, b, `document.querySelector("#main .exemplar").getAttribute("href")`)
	if b.open(t, trace); !strings.HasPrefix(trace, "/trace/") || value[int](t, b, `document.querySelectorAll(".wf-row").length`) == 0 {
		t.Errorf("the exemplar leads to %s", trace)
	}
	quiet("exemplars")

	// Several queries, with Prometheus' errors, warnings and infos at each.
	b.open(t, exploreOf("up +", "rate(go_goroutines[1m])", "histogram_quantile(2, http_server_request_duration_seconds)", "up")+"&hide=D")
	b.until(t, "results", loaded)
	is("the error", `document.querySelector(".query-row .problem").textContent`, `"Line 1, column 5: parse error: unexpected end of input"`)
	is("info and warning", `[...document.querySelectorAll(".query-row .message")].map((e) => e.textContent.replace(/ .*/, ""))`, `["info","warning"]`)
	is("places in the queries", `CSS.highlights.get("promql-error").size`, `3`)
	is("hidden queries", `[...document.querySelectorAll(".query-row .letter")].map((e) => e.getAttribute("aria-pressed")).join()`, `"true,true,true,false"`)
	for _, p := range b.took() {
		if !strings.Contains(p, "400 (Bad Request)") {
			t.Error(p)
		}
	}
	value[bool](t, b, `(document.querySelector(".remove").click(), true)`)
	b.until(t, "the other queries", loaded+` && document.querySelectorAll(".query-row").length === 3 && !document.querySelector(".query-row .problem")`)
	is("the URL without the first", `new URLSearchParams(location.search).getAll("q").length + new URLSearchParams(location.search).get("hide")`, `"3C"`)

	// Why results are empty.
	b.open(t, exploreOf("rate(http_server_request_duration_seconds_count[1m])", `rate(http_server_request_duration_seconds{service_name="proxy"}[1m])`, `sum(http_server_request_duration_seconds{nope="x"})`, "http_server_request_duraton_seconds"))
	b.until(t, "reasons", loaded)
	is("reasons of empty results", `[...document.querySelectorAll(".hints span, .hints button")].map((e) => e.textContent)`, `["http_server_request_duration_seconds is a native histogram: it has no series _count.","histogram_count",`+
		`"No series of http_server_request_duration_seconds has service_name=\"proxy\". Values: album-store, proxy-service.","http_server_request_duration_seconds has no label nope.",`+
		`"No metric http_server_request_duraton_seconds in this time range. Similar:","http_server_request_duration_seconds"]`)
	value[bool](t, b, `(document.querySelector(".hints button").click(), true)`)
	b.until(t, "the rate of a histogram", `document.querySelector(".panel.is-timeseries canvas") !== null && `+loaded)
	text(`"histogram_count(rate(http_server_request_duration_seconds[1m]))"`)
	quiet("empty results")

	// Instant queries: values, buckets of a native histogram, samples of a range.
	b.open(t, exploreOf("http_server_request_duration_seconds", "up[1m]", "scalar(vector(7))", "vector(0) / 0")+"&type=instant")
	b.until(t, "tables", loaded)
	is("headings", `[...document.querySelectorAll(".results h2")].map((e) => e.textContent.replace(/ at .*/, ""))`, `["Values","Buckets","Samples B"]`)
	is("a scalar and NaN", `["7", "NaN"].map((v) => [...document.querySelectorAll(".results .panel td")].some((e) => e.textContent === v))`, `[true,true]`)
	value[bool](t, b, `(document.querySelector(".buckets summary").click(), true)`)
	if n := value[int](t, b, `document.querySelectorAll(".buckets[open] .bucket").length`); n == 0 {
		t.Error("a native histogram has no buckets")
	}
	quiet("instant queries")

	// A panel's queries.
	b.open(t, "/d/service-latency?from=now-15m&to=now&var-service=proxy-service")
	panel := value[string](t, b, `document.querySelector(".panel.is-timeseries .to-explore").getAttribute("href")`)
	if strings.Contains(panel, "%24") || !strings.Contains(panel, "proxy-service") {
		t.Errorf("the panel's link is %s", panel)
	}
	if n := value[int](t, b, `document.querySelectorAll(".panel .annotation-marks a.run").length`); n == 0 {
		t.Error("the dashboard does not show the run")
	}
	value[bool](t, b, `(document.querySelector(".panel.is-timeseries .to-explore").click(), true)`)
	b.until(t, "the panel's queries", `location.pathname === "/explore" && `+loaded+` && document.querySelector(".panel.is-timeseries canvas") !== null`)
	quiet("a panel's queries")

	// From the report of a run to the time of its slowest request.
	run := value[string](t, b, `document.querySelector('.annotations a[href^="/runs/"]').getAttribute("href")`)
	b.open(t, run)
	value[bool](t, b, fmt.Sprintf(`(fetch("/-%s").then((r) => r.json()).then((r) => (window.at = Date.parse(r.report.slowest[0].scheduled_at))), true)`, run))
	b.until(t, "the time of the slowest request", `window.at > 0`)
	is("a link with the time", `(() => { const q = new URL([...document.querySelectorAll("td .links a")].find((a) => a.textContent === "Dashboard").href).searchParams; return [Number(q.get("from")) < window.at, Number(q.get("to")) > window.at, q.get("to") - q.get("from") < 120e3]; })()`, `[true,true,true]`)
	is("links of a moment", `[...document.querySelectorAll(".moment a")].map((a) => a.getAttribute("href").split("?")[0])`, `["/d/load-test","/d/service-latency","/traces","/logs"]`)
	value[bool](t, b, `(document.querySelector('.moment a[href^="/traces"]').click(), true)`)
	b.until(t, "traces of the moment", `location.pathname === "/traces" && document.getElementById("main").dataset.loaded === "true"`)
	eventually(t, "a trace of the run", func() error {
		if n := value[int](t, b, `document.querySelectorAll('#main a[href^="/trace/"]').length`); n == 0 {
			return fmt.Errorf("no trace")
		}
		return nil
	})
	quiet("the run")
}

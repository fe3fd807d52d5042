package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// tracesBackend responds like Jaeger, Prometheus and the console's log search.
type tracesBackend struct {
	mu     sync.Mutex
	traces map[string]any
	search url.Values // the last one
	faults []string   // of album-store
	// faultsHang: album-store does not respond about its faults.
	faultsHang bool
}

type object = map[string]any

func (b *tracesBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	b.mu.Lock()
	defer b.mu.Unlock()
	switch path := r.URL.Path; {
	case path == "/api/services":
		answer(object{"data": []string{"loadgen", "proxy-service"}})
	case path == "/api/operations":
		answer(object{"data": []object{{"name": "GET /a", "spanKind": "client"}, {"name": "GET /b", "spanKind": "server"}}})
	case path == "/api/traces":
		if r.URL.Query().Get("service") == "all" {
			all := []any{}
			for _, id := range slices.Sorted(maps.Keys(b.traces)) {
				all = append(all, b.traces[id])
			}
			answer(object{"data": all})
			return
		}
		b.search = r.URL.Query()
		answer(object{"data": []any{b.traces["a1"], b.traces["a2"], b.traces["e1"]}})
	case strings.HasPrefix(path, "/api/traces/"):
		trace, ok := b.traces[strings.TrimPrefix(path, "/api/traces/")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer(object{"errors": []object{{"code": 404, "msg": "trace not found"}}})
			return
		}
		answer(object{"data": []any{trace}})
	case path == "/api/v1/label/none/values" || strings.HasPrefix(path, "/api/v1/query") && r.FormValue("query") == "none":
		w.WriteHeader(http.StatusNoContent)
	case path == "/api/v1/query":
		result := []object{}
		for _, service := range []string{"loadgen", "proxy-service"} {
			// Both respond with an error ratio of 5 % only.
			value := "40"
			if strings.Contains(r.URL.RawQuery, "5..") {
				value = "2"
			}
			result = append(result, object{"metric": object{"service_name": service}, "value": []any{1, value}})
		}
		answer(object{"status": "success", "data": object{"resultType": "vector", "result": result}})
	case path == "/-/faults" && b.faultsHang && r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusBadGateway)
		answer(object{"error": "faults of album-store not cleared: timeout"})
	case path == "/-/faults" && b.faultsHang:
		answer(object{"services": []object{{"service": "album-store", "faults": []string{}, "error": "timeout"}}, "clear": true})
	case path == "/-/faults":
		if r.Method == http.MethodDelete {
			b.faults = nil
		}
		services := []object{}
		if len(b.faults) > 0 {
			services = append(services, object{"service": "album-store", "faults": b.faults})
		}
		answer(object{"services": services, "clear": true})
	case path == "/-/logs":
		answer(object{"lines": []object{
			{"time": "2023-11-14T22:13:20.000050Z", "service": "proxy-service", "level": "info", "message": "request <b>bold</b>", "trace_id": "a1", "span_id": "2", "fields": []object{{"name": "n", "value": 1}}},
			{"time": "2023-11-14T22:13:20.000070Z", "service": "loadgen", "level": "warn", "message": "of no span", "trace_id": "a1"},
		}})
	default:
		w.WriteHeader(http.StatusNotFound)
		answer(object{"error": "no " + path})
	}
}

// tspan is a span in Jaeger's JSON: process p1 is loadgen, p2 proxy-service.
func tspan(id, parent, process, name string, from, to int64, tags ...object) object {
	refs := []object{}
	if parent != "" {
		refs = append(refs, object{"refType": "CHILD_OF", "traceID": "X", "spanID": parent})
	}
	return object{"spanID": id, "operationName": name, "references": refs, "startTime": 1_700_000_000_000_000 + from, "duration": to - from,
		"tags": append([]object{}, tags...), "logs": []object{}, "processID": process}
}

func ttrace(id string, spans ...object) object {
	for _, s := range spans {
		for _, r := range s["references"].([]object) {
			if r["traceID"] == "X" {
				r["traceID"] = id
			}
		}
	}
	return object{"traceID": id, "spans": spans, "processes": object{"p1": object{"serviceName": "loadgen"}, "p2": object{"serviceName": "proxy-service", "tags": []object{{"key": "host.name", "value": "vm"}}}}}
}

const markup = `<img src=x onerror="document.title='gone'"><script>alert(1)</script>`

func testTraces() map[string]any {
	failed := object{"key": "error", "value": true}
	many := []object{tspan("1", "", "p1", "many", 0, 2_500_000)}
	for i := int64(2); i <= 2500; i++ {
		many = append(many, tspan(fmt.Sprint(i), fmt.Sprint(max(1, i/3)), "p2", fmt.Sprint("step ", i), i*900, i*900+800))
	}
	linked := tspan("3", "2", "p2", "inner", 30, 60, object{"key": "note", "value": markup})
	linked["references"] = append(linked["references"].([]object), object{"refType": "FOLLOWS_FROM", "traceID": "a2", "spanID": "1"})
	linked["logs"] = []object{{"timestamp": 1_700_000_000_000_040, "fields": []object{{"key": "event", "value": "exception"}, {"key": "exception.message", "value": markup}}}}
	childLinked := tspan("1", "", "p1", "a link to its child", 0, 10)
	childLinked["references"] = []object{{"refType": "FOLLOWS_FROM", "traceID": "d2", "spanID": "2"}}
	return map[string]any{
		"a1":   ttrace("a1", tspan("1", "", "p1", "GET /a", 0, 100), tspan("2", "1", "p2", "GET /a", 10, 90), linked),
		"a2":   ttrace("a2", tspan("1", "", "p1", "GET /a", 5000, 5300), tspan("2", "1", "p2", "GET /a", 5010, 5290), tspan("4", "2", "p2", "other", 5020, 5030)),
		"e1":   ttrace("e1", tspan("1", "", "p1", markup, 9000, 9050, failed, object{"key": "http.response.status_code", "value": 500})),
		"0dd":  ttrace("0dd", tspan("1", "", "p1", "GET /a", 0, 100), tspan("2", "gone", "p2", "lost", 10, 20), tspan("3", "1", "p2", "skewed", -50, 40), tspan("4", "1", "p2", "late", 80, 180)),
		"2500": ttrace("2500", many...),
		// Cases in which the list must agree with the page.
		"c1": ttrace("c1", tspan("1", "", "p1", "root", 0, 10), tspan("2", "3", "p2", "circle", 4, 9), tspan("3", "2", "p2", "circle", 5, 6)),
		"c2": ttrace("c2", tspan("2", "3", "p2", "only a circle", 4, 9), tspan("3", "2", "p2", "b", 5, 6)),
		"c3": ttrace("c3", tspan("1", "1", "p1", "its own parent", 0, 10)),
		"d1": ttrace("d1", tspan("1", "", "p1", "twice", 0, 10), tspan("1", "", "p1", "twice", 0, 10), tspan("1", "", "p1", "the same id", 2, 3), tspan("2", "1", "p3", "no process", 2, 3)),
		"d2": ttrace("d2", childLinked, tspan("2", "1", "p2", "below", 5, 15, failed)),
		"d3": ttrace("d3"),
	}
}

func TestTracesSearch(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/traces")
	p.want(`[document.querySelector("select").value, document.querySelectorAll(".trace-list li").length, document.querySelectorAll(".dot").length, location.search]`, `["proxy-service",3,3,""]`)
	p.until(`document.querySelector("select[aria-label=Operation]").length === 3`)
	p.want(`performance.getEntriesByType("resource").filter((e) => e.name.includes("operations")).length`, `1`)
	p.backend.mu.Lock()
	if got := p.backend.search.Get("service"); got != "proxy-service" {
		t.Errorf("first search of service %q", got)
	}
	p.backend.mu.Unlock()
	p.want(`[...document.querySelectorAll(".trace-list li")].map((li) => li.dataset.id)`, `["e1","a2","a1"]`)
	p.want(`[document.querySelector(".trace-list a span").textContent.includes("<script>"), document.querySelectorAll("main img, main script").length, document.title]`, `[true,0,"Traces · Soundcheck"]`)

	// The form, the URL and the Jaeger query agree.
	p.want(`(() => {
		const set = (label, value) => { const e = document.querySelector('main form.trace-form').querySelector(label); e.value = value; e.dispatchEvent(new Event(e.tagName === "SELECT" ? "change" : "input", {bubbles: true})); };
		set('.trace-filter-field input', 'http.response.status_code=500 and status = error');
		set('input[placeholder="e.g. 5ms"]', '1.5ms');
		set('select[aria-label="Limit"]', '20');
		document.querySelector(".trace-form").requestSubmit();
		return new URLSearchParams(location.search).get("filter") + " " + new URLSearchParams(location.search).get("minDuration");
	})()`, `"http.response.status_code=500 and status = error 1.5ms"`)
	p.until(`!document.querySelector(".trace-results[aria-busy]")`)
	p.backend.mu.Lock()
	if got := []string{p.backend.search.Get("tags"), p.backend.search.Get("minDuration"), p.backend.search.Get("limit")}; fmt.Sprint(got) != `[{"error":"true","http.response.status_code":"500"} 1500us 20]` {
		t.Errorf("the Jaeger query was %q", got)
	}
	p.backend.mu.Unlock()

	// An invalid field is named, and no query is sent.
	p.open("/traces?service=loadgen&minDuration=fast")
	p.want(`document.querySelector(".problem p").textContent`, `"Min duration: \"fast\" is not a duration. Examples: 1.2s, 100ms, 500us."`)
	p.open("/traces?service=loadgen&sort=shortest&lookback=2d")
	p.want(`[...document.querySelectorAll(".trace-list li")].map((li) => li.dataset.id)`, `["e1","a1","a2"]`)
	p.want(`[document.querySelector("select[aria-label=Service]").value, document.querySelector("select[aria-label=Time]").value]`, `["loadgen","2d"]`)

	// Two selected traces can be compared; a third replaces the first.
	p.want(`(() => { for (const b of document.querySelectorAll(".trace-list input")) b.click(); return [[...document.querySelectorAll(".trace-list input")].map((b) => b.checked), document.querySelector(".trace-compare a").getAttribute("href")]; })()`,
		`[[false,true,true],"/trace/a1?compare=a2"]`)
	p.do(chromedp.Click(chromedp.CSS(".trace-compare a")))
	p.until(`document.querySelector(".diff")`)
	p.want(`[...document.querySelectorAll(".diff tbody tr")].map((r) => r.className)`, `["slower","slower","missing","added"]`)

	p.open("/traces")
	p.do(chromedp.Click(chromedp.CSS(`.dot[data-id="a1"]`)))
	p.until(`location.pathname === "/trace/a1" && document.querySelector(".wf-row")`)
	p.open("/traces")
	p.want(`(() => { const i = document.querySelector(".trace-byid input"); i.value = " A2 "; i.form.requestSubmit(); return location.pathname; })()`, `"/trace/a2"`)
	p.until(`document.querySelector(".wf-row")`)
	p.quiet("")
}

func TestTracePage(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/trace/a1")
	p.until(`document.querySelector("#main").dataset.logs`)
	p.want(`[...document.querySelectorAll(".wf-row")].map((r) => [r.getAttribute("aria-level"), r.tabIndex, r.querySelectorAll(".wf-critical").length])`, `[["1",0,2],["2",-1,2],["3",-1,1]]`)
	p.want(`[document.querySelector("h1").textContent, document.querySelector(".log-lines").textContent.includes("of no span")]`, `["loadgen: GET /a",true]`)

	// Keys of a tree.
	p.want(`(() => {
		const key = (k) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true, cancelable: true}));
		const here = () => document.activeElement.dataset.span;
		document.querySelector(".wf-row").focus();
		const levels = [];
		for (const k of ["ArrowDown", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowRight", "ArrowDown", "Home", "ArrowLeft", "End"]) { key(k); levels.push(here()); }
		return [levels.join(""), document.querySelectorAll(".wf-row").length];
	})()`, `["2322223111",1]`)
	p.want(`(() => { const r = document.activeElement; r.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true})); return [r.getAttribute("aria-selected"), location.hash]; })()`, `["true","#span=1"]`)

	// A link to a span opens it: details, log lines, other traces; markup stays text.
	p.open("/trace/a1#span=2")
	p.until(`document.querySelector(".wf-detail .log-lines")`)
	p.want(`[document.querySelector(".wf-detail .log-lines").textContent.includes("request <b>bold</b> n=1"), document.querySelectorAll(".wf-detail").length, document.activeElement.dataset.span]`, `[true,1,"2"]`)
	p.open("/trace/a1#span=3")
	p.until(`document.querySelector(".wf-detail")`)
	p.want(`[document.querySelectorAll("main img, main script").length, document.querySelector(".wf-detail").textContent.split("onerror").length - 1, document.querySelector('.wf-detail a[href^="/trace/a2"]').getAttribute("href"), document.title]`,
		`[0,2,"/trace/a2#span=1","loadgen: GET /a · Soundcheck"]`)
	p.want(`[...document.querySelectorAll('main a[href*="/logs"], main a[download]')].map((a) => a.getAttribute("href"))`, `["/logs?trace=a1","/-/traces/a1/otlp","/api/traces/a1","/logs?trace=a1&q=3"]`)
	p.want(`(() => { const i = document.querySelector("input[type=search]"); i.value = "note=<IMG"; i.dispatchEvent(new Event("input")); return [...document.querySelectorAll(".wf-row.found")].map((r) => r.dataset.span); })()`, `["3"]`)
	p.want(`(() => { [...document.querySelectorAll(".links button")][0].click(); const w = document.querySelector(".waterfall"); return [Number(w.style.getPropertyValue("--from")).toFixed(3), [...document.querySelectorAll(".trace-tools button")].some((b) => b.textContent === "Reset zoom" && !b.hidden)]; })()`, `["0.285",true]`)
	p.quiet("")

	p.open("/trace/0dd")
	p.want(`[...document.querySelectorAll(".wf-row")].map((r) => r.dataset.span + [...r.querySelectorAll(".mark")].map((m) => " " + m.textContent).join(""))`, `["1","3 !","4 !","2 missing parent"]`)
	p.want(`document.querySelector(".badge.warn").parentNode.textContent.includes("The parent of a span is missing")`, `true`)
	p.open("/trace/e1")
	p.want(`[document.querySelectorAll(".wf-row.error").length, document.querySelectorAll("main img").length]`, `[1,0]`)
	p.open("/trace/xyz")
	p.want(`document.querySelector(".problem p").textContent`, `"\"xyz\" is not a trace id: use up to 32 hexadecimal digits."`)
	p.open("/trace/2500")
	p.until(`document.querySelector(".waterfall").dataset.rows === "2500"`)
	p.want(`(() => { [...document.querySelectorAll(".trace-tools button")].find((b) => b.textContent === "Collapse all").click(); const one = document.querySelectorAll(".wf-row").length; document.querySelector(".wf-row").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true})); return [one, [...document.querySelectorAll(".wf-row")].map((r) => r.dataset.span)]; })()`, `[1,["1","2","3","4","5"]]`)
	p.open("/trace/2500#span=2400")
	p.until(`document.querySelector(".wf-detail h3")?.textContent === "step 2400"`)
	p.quiet("")
	p.open("/trace/ffff")
	p.want(`document.querySelector(".empty p").textContent`, `"Trace not found in Jaeger."`)
	p.open("/trace/a1?compare=ffff")
	p.want(`document.querySelector(".empty p").textContent`, `"Trace not found in Jaeger."`)
	p.quiet("404 (Not Found)")
}

func TestTracesMap(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	for _, width := range []int64{1280, 390} {
		p.do(chromedp.EmulateViewport(width, 900))
		p.open("/map")
		p.want(`[...document.querySelectorAll(".map a")].map((a) => [a.getAttribute("href"), a.getAttribute("aria-label")])`,
			`[["/traces?service=loadgen&lookback=15m","loadgen: 40/s, errors 5 %, p99 40 s. Its traces"],["/traces?service=proxy-service&lookback=15m","proxy-service: 40/s, errors 5 %, p99 40 s. Its traces"]]`)
		p.want(`[document.querySelectorAll(".map .edge").length, document.querySelector(".map .label").textContent, document.documentElement.scrollWidth <= innerWidth]`, `[1,"40/s",true]`)
	}
	p.quiet("")
}

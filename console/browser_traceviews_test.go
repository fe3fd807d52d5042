package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// key sends a key to the focused element.
const key = `const key = (k) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true, cancelable: true}));`

func TestTraceFilter(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/traces?service=*&filter=" + `http.response.status_code+>%3D+500`)
	p.want(`[...document.querySelectorAll(".trace-list li")].map((li) => [li.dataset.id, li.querySelector(".trace-name").getAttribute("href"), li.textContent.includes("1 matching")])`, `[["e1","/trace/e1#span=1",true]]`)
	p.want(`document.querySelector(".trace-bar .note").textContent`, `"1 of 3 traces of 2 services read from Jaeger matches."`)
	// The page says what a limit has cut, also if nothing matches.
	p.open("/traces?service=loadgen&limit=1&filter=service+%3D+loadgen")
	p.want(`document.querySelector(".trace-bar .note").textContent`, `"3 of 3 traces read from Jaeger match. Only the newest 1 are shown, and older traces were not read: raise the limit or narrow the search."`)
	p.open("/traces?service=loadgen&limit=2&filter=a+%3D+b")
	p.want(`document.querySelector(".empty p + p").textContent`, `"0 of 3 traces read from Jaeger match. Jaeger preselected by: a = b."`)
	p.open("/traces?service=loadgen&filter=service+%3D+x")
	p.want(`document.querySelector(".empty p + p").textContent`, `"The filter's service is not loadgen."`)
	// Tags of Jaeger's UI become the filter.
	p.open(`/traces?service=loadgen&tags={"error":"true"}`)
	p.want(`[document.querySelector(".trace-filter-field input").value, document.querySelectorAll(".trace-list li").length]`, `["error = true",1]`)
	p.want(`[new URLSearchParams(location.search).get("filter"), location.search.includes("tags")]`, `["error = true",false]`)
	p.quiet("")
	p.open("/traces?service=loadgen&filter=a+%3D+1+or+b")
	p.want(`[document.querySelector(".problem p").textContent, document.querySelector(".problem pre").textContent]`, `["Filter, character 11: want an operator, such as = or exists, not the end","a = 1 or b\n          ^"]`)
	p.quiet("400 (Bad Request)")
}

func TestTraceFlame(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/trace/0dd?view=flame")
	// Bars are as wide as the self time of their spans and of those below.
	p.want(`[...document.querySelectorAll(".flame-bar")].map((b) => [b.textContent, b.getAttribute("aria-level"), b.style.left, Math.round(parseFloat(b.style.width))])`,
		`[["loadgen GET /a","1","0%",96],["proxy-service skewed","2","0%",38],["proxy-service late","2","37.5%",42],["proxy-service lost","1","95.8333%",4]]`)
	p.want(`(() => {`+key+`
		const here = () => document.activeElement.textContent.split(" ").at(-1), way = [];
		document.querySelector(".flame-bar[tabindex='0']").focus();
		for (const k of ["ArrowDown", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowRight", "Home"]) { key(k); way.push(here()); }
		return way;
	})()`, `["late","skewed","late","/a","lost","/a"]`)
	// Enter zooms; the path above stays; Escape resets.
	p.want(`(() => {`+key+` key("ArrowDown"); key("Enter"); return [[...document.querySelectorAll(".flame-bar")].map((b) => b.textContent + " " + b.style.width), document.activeElement.textContent, document.activeElement.getAttribute("aria-selected")]; })()`,
		`[["loadgen GET /a 100%","proxy-service late 100%"],"proxy-service late","true"]`)
	p.want(`(() => {`+key+` key("Escape"); return [document.querySelectorAll(".flame-bar").length, document.activeElement.textContent]; })()`, `[4,"proxy-service late"]`)
	p.want(`document.querySelector(".flame-about").textContent`, `"proxy-service late: 1 span, self time 100 µs (41.7 %), with children 41.7 %, sum of durations 100 µs"`)
	// A pointer shows the tip, and a click zooms.
	p.do(chromedp.Click(chromedp.CSS(`.flame-bar[aria-label*="skewed"]`)))
	p.want(`document.querySelectorAll(".flame-bar").length`, `2`)
	p.want(`(() => { document.querySelector(".flame-bar:last-child").dispatchEvent(new PointerEvent("pointermove", {bubbles: true})); const tip = document.querySelector(".flame-tip"); return [tip.hidden, tip.textContent]; })()`,
		`[false,"proxy-service skewedSelf time90 µs · 37.5 %With children90 µs · 37.5 %Spans1Sum of durations90 µsErrors0"]`)
	p.want(`(() => { const d = document.querySelector(".flame-text"); d.open = true; return new Promise((r) => d.addEventListener("toggle", () => r([...d.querySelectorAll("tbody tr")].map((tr) => [...tr.cells].map((c) => c.textContent).join("|"))))); })()`,
		`["loadgen GET /a|1|40 µs|16.7 %|230 µs|95.8 %|0","proxy-service skewed|1|90 µs|37.5 %|90 µs|37.5 %|0","proxy-service late|1|100 µs|41.7 %|100 µs|41.7 %|0","proxy-service lost|1|10 µs|4.2 %|10 µs|4.2 %|0"]`)
	// The button shows the spans of the operation in the waterfall.
	p.want(`(() => { [...document.querySelectorAll(".flame button")].find((b) => b.textContent === "Show spans of this operation").click(); return [[...document.querySelectorAll(".wf-row")].map((r) => r.dataset.span), location.search]; })()`, `[["3"],"?service=proxy-service&operation=skewed"]`)
	p.eval(`history.back()`)
	p.until(`document.querySelector(".flame-bar")`)
	// Thousands of spans: what is too narrow is counted, and zooming draws it.
	p.open("/trace/2500?view=flame")
	p.until(`document.querySelector(".flame .note").textContent.includes("too narrow to draw")`)
	p.want(`(() => { const before = document.querySelectorAll(".flame-bar").length; document.querySelector('.flame-bar[aria-level="5"]').click(); return [before > 10, before < 2500, document.querySelectorAll(".flame-bar.above").length]; })()`, `[true,true,4]`)
	// After a zoom to a bar that is too narrow without it, one bar stays in the tab order.
	p.want(`(() => {`+key+`
		const bar = () => document.querySelector('.flame-bar[tabindex="0"]');
		bar().focus();
		for (let i = 0; i < 300; i++) { key("ArrowDown"); key("ArrowRight"); if (document.activeElement.getAttribute("aria-selected") !== "true") key("Enter"); }
		const deep = Number(bar().getAttribute("aria-level"));
		key("Escape");
		return [deep > 5, document.querySelectorAll('.flame-bar[tabindex="0"]').length, document.activeElement === bar()];
	})()`, `[true,1,true]`)
	p.quiet("")
}

func TestTraceStatistics(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/trace/d2?view=stats")
	rows := `[...document.querySelectorAll(".trace-stats tbody tr")].map((tr) => [...tr.cells].map((c) => c.textContent).join("|"))`
	p.want(rows, `["proxy-service below|1|10 µs|10 µs|66.7 %|10 µs|10 µs|1","loadgen a link to its child|1|10 µs|5 µs|33.3 %|10 µs|10 µs|0"]`)
	p.want(`(() => { const sort = (name) => [...document.querySelectorAll(".trace-stats th button")].find((b) => b.textContent.startsWith(name)).click(); sort("Service"); const up = `+rows+`[0].slice(0, 7); sort("Service"); return [up, `+rows+`[0].slice(0, 7), document.querySelector("th[aria-sort=descending]").textContent, location.search]; })()`,
		`["loadgen","proxy-s","Service and operation ↓","?view=stats&sort=-name"]`)
	p.want(`(() => { const b = [...document.querySelectorAll(".trace-stats th button")].find((b) => b.textContent === "Total"); b.focus(); b.click(); return document.activeElement.textContent; })()`, `"Total ↓"`)
	p.open("/trace/d2?view=stats&sort=errors")
	p.want(`document.querySelector("th[aria-sort=ascending]").textContent`, `"Errors ↑"`)
	p.do(chromedp.Click(chromedp.CSS(`.trace-stats tbody button`)))
	p.want(`[[...document.querySelectorAll(".wf-row")].map((r) => r.dataset.span), document.querySelector(".trace-filter").textContent]`, `[["1"],"Only loadgen a link to its child: 1 span Show all spans"]`)
	p.do(chromedp.Click(chromedp.CSS(`.trace-filter button`)))
	p.want(`[document.querySelectorAll(".wf-row").length, document.querySelector(".trace-filter").hidden]`, `[2,true]`)
	// The filter is in the URL. Opening another span removes it.
	p.open("/trace/a1?service=proxy-service#span=1")
	p.until(`document.querySelector(".wf-detail")`)
	p.want(`[document.querySelectorAll(".wf-row").length, location.search, location.hash]`, `[3,"","#span=1"]`)
	p.open("/trace/a1?service=proxy-service")
	p.want(`[...document.querySelectorAll(".wf-row")].map((r) => r.dataset.span)`, `["2","3"]`)
	p.want(`(() => {`+key+` document.querySelector(".wf-row").focus(); key("ArrowDown"); key("ArrowDown"); return document.activeElement.dataset.span; })()`, `"3"`)
	p.quiet("")
}

// choose gives a file to the input of the page.
func (p *tracesPage) choose(name, content string) {
	p.t.Helper()
	p.want(`(() => { const d = new DataTransfer(); d.items.add(new File([`+string(must(json.Marshal(content)))+`], `+fmt.Sprintf("%q", name)+`)); const i = document.querySelector("input[type=file]"); i.files = d.files; i.dispatchEvent(new Event("change")); return i.files.length; })()`, `1`)
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestTraceFile(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.backend.mu.Lock()
	one := string(must(json.Marshal(object{"data": []any{p.backend.traces["0dd"]}})))
	both := string(must(json.Marshal(object{"data": []any{p.backend.traces["a1"], p.backend.traces["e1"]}})))
	p.backend.mu.Unlock()
	p.open("/traces/file")
	p.choose("one.json", one)
	p.until(`document.querySelector(".wf-row")`)
	p.want(`[...document.querySelectorAll(".wf-row")].map((r) => [r.dataset.span, r.querySelectorAll(".wf-critical").length])`, `[["1",1],["3",1],["4",1],["2",0]]`)
	p.want(`[document.querySelector("[role=status]").textContent, document.querySelectorAll("main a[href^='/logs'], main a[download]").length]`, `["one.json: 1 trace. ",0]`)
	p.want(`(() => { document.querySelector(".wf-row").click(); return [location.hash, document.querySelector(".wf-detail").textContent.includes("Log lines")]; })()`, `["#span=1",false]`)
	p.want(`(() => { document.querySelector("button[data-view=flame]").click(); return [document.querySelectorAll(".flame-bar").length, location.search]; })()`, `[4,"?view=flame"]`)
	// Several traces: a list.
	p.choose("two.json", both)
	p.until(`document.querySelectorAll("main table tbody tr").length === 2`)
	p.want(`[location.search, location.hash, document.querySelectorAll("main img, main script").length]`, `["","",0]`)
	p.do(chromedp.Click(chromedp.CSS(`main td a`)))
	p.until(`location.search === "?trace=a1" && document.querySelectorAll(".wf-row").length === 3`)
	p.eval(`history.back()`)
	p.until(`document.querySelectorAll("main table tbody tr").length === 2`)
	p.quiet("")
	// Two files at once: the last one is shown.
	p.want(`(() => { const i = document.querySelector("input[type=file]"); for (const [name, text] of [["two.json", `+string(must(json.Marshal(both)))+`], ["one.json", `+string(must(json.Marshal(one)))+`]]) { const d = new DataTransfer(); d.items.add(new File([text], name)); i.files = d.files; i.dispatchEvent(new Event("change")); } return true; })()`, `true`)
	p.until(`document.querySelectorAll(".wf-row").length === 4`)
	p.want(`document.querySelector("[role=status]").textContent`, `"one.json: 1 trace. "`)
	p.choose("two.json", both)
	p.until(`document.querySelectorAll("main table tbody tr").length === 2`)
	// A bad file: the error names the place, and the previous one is gone.
	p.choose("bad.json", strings.Replace(both, `"duration":100`, `"duration":"long"`, 1))
	p.until(`document.querySelector(".problem")`)
	p.want(`[document.querySelector(".problem p").textContent.replace(/column \d+/, "column N"), document.querySelectorAll("main table").length]`, `["bad.json: line 1, column N: data.spans.duration is a string, want a whole number.",0]`)
	p.quiet("400 (Bad Request)")
	p.open("/traces/file?trace=a1")
	p.want(`document.querySelector("[role=status]").textContent`, `"The file is not stored: choose it again."`)
	p.want(`(() => { const f = new File([], "big.json"); Object.defineProperty(f, "size", { value: 33 * 2 ** 20 }); const i = document.querySelector("input[type=file]"); Object.defineProperty(i, "files", { value: [f] }); i.dispatchEvent(new Event("change")); return document.querySelector(".problem p").textContent; })()`, `"big.json: the file has 33 MiB, the limit is 32 MiB."`)
	p.quiet("")
}

// The pages fit a phone, and their text has enough contrast: that of a bar is on its service's colour.
func TestTraceViewsFit(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			p.do(chromedp.EmulateViewport(width, 900))
			for _, path := range []string{"/traces?service=*&filter=name+exists", "/traces?service=*&filter=kind+!%3D+client", "/traces/file", "/trace/d2?view=flame", "/trace/d2?view=stats", "/trace/a1?service=proxy-service"} {
				p.open(path)
				p.want(`(() => {
					document.documentElement.dataset.theme = "`+theme+`";
					const wide = [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, .trace-scatter, pre")).map((e) => e.className || e.tagName);
					const rgb = (c) => c.match(/[\d.]+/g).slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
					const light = (c) => rgb(c).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
					const low = [...document.querySelectorAll(".flame-bar")].filter((b) => { const s = getComputedStyle(b), [x, y] = [light(s.color), light(s.backgroundColor)].sort((a, b) => b - a); return (x + 0.05) / (y + 0.05) < 4.5; }).length;
					return [wide.slice(0, 3), document.documentElement.scrollWidth <= innerWidth, low];
				})()`, `[[],true,0]`)
			}
		}
	}
	p.quiet("400 (Bad Request)")
}

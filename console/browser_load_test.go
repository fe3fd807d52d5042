package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/chromedp/chromedp"

	"soundcheck/lab/plan"
	"soundcheck/loadgen/report"
)

// testFlow starts a flow: its error is at its field, its text is remembered, and it runs.
func testFlow(p *tracesPage, lab plan.Lab) {
	p.visit("/runs/new?requests=flow&model=workers")
	p.until(`document.querySelector(".command code")?.textContent.includes("-users 16")`)
	p.want(`["url", "workersworkers", "workersusers", "mix", "flow", "targets"].map((n) => document.querySelector("#load-" + n).offsetParent !== null)`, `[true,false,true,false,true,false]`)
	users := func(text string) {
		p.eval(`(() => { const f = document.querySelector("#load-workersusers"); f.value = "` + text + `"; f.dispatchEvent(new Event("input", { bubbles: true })); })()`)
	}
	users("5s@0..2") // stages have durations
	p.until(`document.querySelector(".command code").textContent.includes("-users 5s@0..2")`)
	p.want(`[document.querySelector("#load-workersduration").offsetParent, document.querySelector(".command code").textContent.includes("-duration")]`, `[null,false]`)
	users("16")
	p.until(`document.querySelector(".command code").textContent.includes("-users 16 ") && document.querySelector(".command code").textContent.includes("-duration 30s")`)
	p.eval(`document.querySelector("form.loadform").requestSubmit()`)
	p.until(`document.querySelector("#load-flow-error").textContent === "-flow is empty: enter the text, or choose a file"`)
	enter := func(text string) {
		p.eval(`(() => { const data = new DataTransfer(); data.items.add(new File([` + text + `], "my.yaml")); const f = document.querySelector("input[type=file][aria-label^=Flow]"); f.files = data.files; f.dispatchEvent(new Event("change", { bubbles: true })); })()`)
		p.until(`document.querySelector("#load-flow").value === ` + text)
	}
	enter(`"steps:"`)
	p.eval(`(() => { const data = new DataTransfer(); data.items.add(new File([new Uint8Array([0x61, 0xe4])], "latin1.yaml")); const f = document.querySelector("input[type=file][aria-label^=Flow]"); f.files = data.files; f.dispatchEvent(new Event("change", { bubbles: true })); })()`)
	p.until(`document.querySelector("#load-flow-error").textContent === "latin1.yaml is not UTF-8 text"`)
	p.want(`document.querySelector("#load-flow").value`, `"steps:"`)
	enter(`"steps:\n  - name: browse\n    get: /albums\n    expectation: 5\n"`)
	p.eval(`document.querySelector("form.loadform").requestSubmit()`)
	p.until(`document.querySelector("#load-flow-error").textContent.startsWith("-flow: flow.yaml:4: ")`)
	p.want(`document.activeElement.id`, `"load-flow"`)
	enter(`"steps:\n  - name: browse\n    get: /albums\n"`)
	p.visit("/runs/new?requests=flow&model=workers")
	p.want(`document.querySelector("#load-flow").value`, `"steps:\n  - name: browse\n    get: /albums\n"`)
	p.eval(`(() => { document.querySelector("#load-workersusers").value = "2"; document.querySelector("#load-workersduration").value = "2s"; document.querySelector("form.loadform").requestSubmit(); })()`)
	p.until(`location.pathname.startsWith("/runs/2") && document.querySelector("main .properties")`)
	r, err := report.Read(filepath.Join(lab.State, "runs", strings.Trim(p.eval(`location.pathname.split("/")[2]`), `"`)))
	if err != nil || r.Sent == 0 || len(r.Scenarios) == 0 || r.Scenarios[0].Name != "browse" {
		p.t.Fatalf("the report: %v, %+v", err, r)
	}
	f := r.Flow
	p.want(`[...document.querySelectorAll(".properties dt")].filter((e) => ["Plan", "Users"].includes(e.textContent)).map((e) => e.nextElementSibling.textContent)`,
		fmt.Sprintf(`["flow %s: 2 users","%d: %d completed, 0 failed, %d unfinished; peak 2 at once"]`, f.Name, f.Begun, f.Completed, f.Unfinished))
	p.want(`[...document.querySelectorAll("td:first-child")].filter((e) => e.textContent.startsWith("flow ")).map((e) => [e.textContent, e.nextElementSibling.textContent, e.nextElementSibling.nextElementSibling.textContent])`,
		fmt.Sprintf(`[["flow %s: completed users","%d","%d"]]`, f.Name, f.Begun, f.Completed))
	p.want(`[...document.querySelectorAll("h2, h3")].filter((e) => e.textContent === "Slowest users").length`, `1`)
}

// testFlameGraph runs a load with profiles, and follows the link to a flame graph.
func testFlameGraph(p *tracesPage) {
	p.visit("/runs/new")
	p.until(`document.querySelector(".command code")`)
	p.eval(`(() => { document.querySelector("#load-raterate").value = "400"; document.querySelector("#load-rateduration").value = "4s"; document.querySelector("#load-profile").click(); document.querySelector("form.loadform").requestSubmit(); })()`)
	p.until(`document.querySelector(".profilelist a")`)
	p.want(`[...document.querySelectorAll(".card:has(.profilelist) h3")].map((e) => e.textContent)`, `["album-store","proxy-service"]`)
	p.want(`[...document.querySelectorAll(".profilelist a")].every((a) => /^\d\d:\d\d:\d\d, [123] s$/.test(a.textContent))`, `true`)
	graph := strings.Trim(p.eval(`document.querySelector(".profilelist a").getAttribute("href")`), `"`)
	p.mu.Lock()
	p.messages = nil // of requests that were refused
	p.mu.Unlock()
	p.do(chromedp.Navigate(p.base + graph))
	p.until(`document.querySelectorAll("#stack-chart > div").length > 10`) // drawn by pprof's script
	// The boxes of narrow functions have no text.
	p.want(`[document.documentElement.innerHTML.includes("http.(*conn).serve"), location.pathname.startsWith("/-/pprof/")]`, `[true,true]`)
	p.do(chromedp.Navigate(p.base + strings.Replace(graph, "/flamegraph", "/top", 1)))
	p.until(`location.pathname.endsWith("/top") && document.querySelectorAll("#rows tr").length > 5`)
	p.quiet("")
}

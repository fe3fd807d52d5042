package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"soundcheck/console/load"
	"soundcheck/console/server"
	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
	"soundcheck/loadgen/report"
)

// smallLab starts a supervisor with the store and the proxy alone, and returns it when both are ready.
func smallLab(t *testing.T) plan.Lab {
	t.Helper()
	root, err := build.Repository()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "lab") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	lab := plan.Lab{Root: root, State: dir, DB: "memory"}
	var parts []plan.Component
	for lab.Offset = 21000; ; lab.Offset += 17 {
		parts = nil
		for _, c := range lab.Components() {
			if c.Name == plan.StoreName || c.Name == plan.ProxyName {
				parts = append(parts, c)
			}
		}
		if supervisor.CheckPorts(parts) == nil {
			break
		} else if lab.Offset > plan.MaxOffset {
			t.Fatal("no ports are free")
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- supervisor.Run(ctx, lab, parts, &build.Builder{Root: root, Bin: filepath.Join(dir, "bin"), Logs: lab.Logs()}, slog.New(slog.NewJSONHandler(io.Discard, nil)))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the lab: %v", err)
		}
	})
	for {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("the lab ended: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		if st, err := supervisor.NewClient(dir).Status(t.Context()); err == nil && st.Phase == supervisor.Up {
			return lab
		}
	}
}

// newControlPage is a browser on a console of a lab with a real store, proxy and load generator.
func newControlPage(t *testing.T) (*tracesPage, plan.Lab) {
	t.Helper()
	p := newTracesPage(t)
	lab := smallLab(t)
	nowhere := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	runner := load.New(lab.State)
	t.Cleanup(func() {
		end, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if err := runner.Close(end); err != nil {
			t.Error(err)
		}
	})
	front := httptest.NewServer(server.New(server.Config{Prometheus: nowhere, Jaeger: nowhere, State: lab.State, Load: runner}))
	t.Cleanup(front.Close)
	p.base = front.URL
	return p, lab
}

// visit opens a page, which need not set dataset.loaded.
func (p *tracesPage) visit(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate("about:blank"), chromedp.Navigate(p.base+path))
	p.until(`document.querySelector("#main")?.dataset.ready === "true"`)
}

// fits checks that no page is wider than a phone, and that each control has a name.
func (p *tracesPage) fits(path, until string) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(390, 844))
	p.visit(path)
	p.until(until)
	p.want(`[document.documentElement.scrollWidth <= innerWidth, [...document.querySelectorAll("main input, main select, main textarea, main button")].filter((e) => !e.closest("[hidden]") && !(e.labels?.[0]?.textContent.trim() || e.getAttribute("aria-label") || e.textContent.trim())).length]`, `[true,0]`)
	p.do(chromedp.EmulateViewport(1280, 900))
}

func TestControlPages(t *testing.T) {
	t.Parallel()
	p, lab := newControlPage(t)
	t.Run("faults", func(t *testing.T) { p.t = t; testFaultsPage(p, lab) })
	t.Run("load", func(t *testing.T) { p.t = t; testLoadPages(p, lab) })
	t.Run("long", func(t *testing.T) { p.t = t; testLongRun(p, lab) })
	t.Run("takeover", func(t *testing.T) { testTakeover(t, lab) })
	p.t = t
	p.fits("/faults", `document.querySelector(".fault")`)
	p.fits("/runs/new", `document.querySelector(".command code")`)
}

func testFaultsPage(p *tracesPage, lab plan.Lab) {
	t := p.t
	active := func() string {
		t.Helper()
		resp, err := http.Get(lab.StoreAdmin())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var a struct{ Faults []string }
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			t.Fatal(err)
		}
		return strings.Join(a.Faults, " ")
	}
	p.visit("/faults")
	p.until(`document.querySelectorAll(".faultlist").length === 2`)
	// Each kind of the services has a text, its parameters and links of this page's own.
	p.want(`[...document.querySelectorAll(".fault")].filter((f) => !f.querySelector(".note").textContent || !f.querySelector("input") || f.querySelectorAll(".shows a").length < 2).map((f) => f.textContent)`, `[]`)
	p.want(`[...document.querySelectorAll('[aria-label="proxy-service"] h3 code')].map((c) => c.textContent)`, `["latency","error","drop","n-plus-one"]`)
	row := `document.querySelector('[aria-label="album-store"] [aria-label*="(db-delay)"]')`
	// By keyboard: type the parameters, Enter turns the fault on.
	p.do(chromedp.Focus(chromedp.CSS(`[aria-label="album-store"] [aria-label*="(latency)"] input`)))
	p.eval(row + `.querySelector("input").focus() ?? ` + row + `.querySelector("input").select()`)
	p.do(chromedp.KeyEvent("soon\r"))
	p.until(row + `.querySelector(".fielderror").textContent`)
	p.want(`[`+row+`.querySelector(".fielderror").textContent, `+row+`.querySelector("input").getAttribute("aria-invalid"), document.getElementById(`+row+`.querySelector("input").getAttribute("aria-describedby")).textContent.length > 0]`,
		`["fault \"db-delay=soon@10%\": must be db-delay=TIME@SHARE, TIME from 1us to 1h, SHARE above 0% and up to 100%","true",true]`)
	if got := active(); got != "" {
		t.Errorf("after an invalid value %q is active", got)
	}
	p.eval(row + `.querySelector("input").select()`)
	p.do(chromedp.KeyEvent("3ms\r"))
	p.until(row + `.querySelector(".badge")`)
	p.want(`[`+row+`.querySelector(".badge").textContent, `+row+`.querySelector(".fielderror").textContent, [...`+row+`.querySelectorAll("button")].map((b) => b.textContent)]`, `["on: 3ms@10%","",["Change","Turn off"]]`)
	p.eval(`(() => { const i = ` + row + `.querySelector("input"); i.value = " "; i.form.requestSubmit(); })()`)
	p.want(`[`+row+`.querySelector(".fielderror").textContent, document.activeElement === `+row+`.querySelector("input")]`, `["Delay is missing",true]`)
	if got := active(); got != "db-delay=3ms@10%" {
		t.Errorf("active is %q", got)
	}
	p.until(`document.querySelector("#faults code")?.textContent === "db-delay=3ms@10%"`) // the banner of every page
	p.eval(row + `.querySelector("button[type=button]").focus()`)
	p.do(chromedp.KeyEvent("\r"))
	p.until(`!` + row + `.querySelector(".badge")`)
	p.want(`[document.activeElement.textContent, `+row+`.contains(document.activeElement)]`, `["Turn on",true]`)
	if got := active(); got != "" {
		t.Errorf("after it was turned off %q is active", got)
	}
	p.quiet("400 (Bad Request)")
}

func testLoadPages(p *tracesPage, lab plan.Lab) {
	t := p.t
	p.visit("/runs")
	p.do(chromedp.Click(chromedp.CSS(`a[href="/runs/new"]`)))
	p.until(`document.querySelector(".command code")`)
	p.eval(`document.querySelector("#load-name").focus()`)
	p.do(chromedp.KeyEvent("a test"))
	p.eval(`document.querySelector("#load-raterate").select()`)
	p.do(chromedp.KeyEvent("many\r")) // Enter starts
	p.until(`document.querySelector(".fielderror:not(:empty)")`)
	p.want(`[document.activeElement.id, document.activeElement.getAttribute("aria-invalid"), document.querySelector("#load-raterate-error").textContent.split(":")[0], ["labelledby", "describedby"].map((a) => document.activeElement.getAttribute("aria-" + a).split(" ").map((id) => document.getElementById(id).textContent.split(":")[0])), document.querySelector("button.primary").disabled, location.pathname]`,
		`["load-raterate","true","invalid value \"many\" for flag -rate",[["Rate"],["req/s, or 30/1m","invalid value \"many\" for flag -rate"]],false,"/runs/new"]`)
	// So is an error that loadgen meets only when it runs.
	p.eval(`(() => { const u = document.querySelector("#load-url"); u.value = "http://127.0.0.1:1"; const r = document.querySelector("#load-raterate"); r.value = "20"; r.form.requestSubmit(); })()`)
	p.until(`document.querySelector("#load-url-error").textContent.startsWith("reach the target: ")`)
	p.eval(`(() => { document.querySelector("#load-url").value = ` + fmt.Sprintf("%q", lab.Proxy()) + `; document.querySelector("#load-rateduration").value = "10m"; document.querySelector("#load-rateduration").dispatchEvent(new Event("input", { bubbles: true })); })()`)
	command := fmt.Sprintf("OTEL_EXPORTER_OTLP_ENDPOINT=%s go run ./loadgen -name 'a test' -rate 20 -duration 10m -mix get=70,list=20,create=10 -slo 'p99<100ms' -slo 'good>99%%' -url %s -jaeger %s -keep %s/runs", lab.OTLP(), lab.Proxy(), lab.Jaeger(), lab.State)
	p.until(fmt.Sprintf(`document.querySelector(".command code").textContent === %q`, command))
	p.do(chromedp.Click(chromedp.CSS(`.loadform button.primary`)))
	p.until(`location.pathname.startsWith("/runs/2") && document.querySelectorAll(".curve .uplot").length === 2`)
	id := strings.Trim(p.eval(`location.pathname.split("/")[2]`), `"`)
	p.want(`[document.querySelector("main .badge").textContent, document.querySelector("[role=progressbar]").getAttribute("aria-valuemin"), document.querySelector(".head .sub").textContent, [...document.querySelectorAll(".tile h2")].map((e) => e.textContent)]`,
		`["running","0","a test",["Actual rate","p50","p99","Requests","Failed and shed","Send delay"]]`)
	p.until(`/^\d+ s of 10 min, \d+ min( \d+ s)? left$/.test(document.querySelector(".livehead .note").textContent)`)
	p.until(fmt.Sprintf(`[...document.querySelectorAll("main .command code")].some((c) => c.textContent === %q)`, command))
	// There is one run at a time: the form leads to it.
	p.visit("/runs/new")
	p.until(fmt.Sprintf(`document.querySelector('.actions a[href="/runs/%s"]')`, id))
	p.want(`document.querySelector(".loadform button.primary").disabled`, `true`)
	p.want(`(await (async () => { const m = await import(`+assets+` + "lib/control.js"); try { await m.change("POST", "/-/load", { rate: ["1"] }); } catch (e) { return [e.status, e.message]; } })())`,
		`[409,"a load test is running: wait for its end, or stop it"]`)
	p.fits("/runs/"+id, `document.querySelectorAll(".curve .uplot").length === 2`)
	p.visit("/runs")
	p.until(fmt.Sprintf(`document.querySelector('a[href="/runs/%s"]')?.closest("tr").textContent.includes("running")`, id))
	p.visit("/runs/" + id)
	p.until(`document.querySelector("button.danger")?.hidden === false`)
	p.eval(`document.querySelector("button.danger").focus()`)
	p.do(chromedp.KeyEvent("\r"))
	p.until(`document.querySelector("main .properties")`) // the report, without a reload
	p.want(`[document.querySelector("main .head strong").textContent, document.querySelector("button.danger")]`, `["a test",null]`)
	r, err := report.Read(filepath.Join(lab.State, "runs", id))
	if err != nil || r.Sent == 0 || r.Elapsed > 300 || r.Name != "a test" || r.Target != lab.Proxy() {
		t.Errorf("the report: %v, %+v", err, r)
	}
	if _, err := os.Stat(filepath.Join(lab.State, "runs", id, "report.html")); err != nil {
		t.Error(err)
	}
	testFlameGraph(p)
	testFlow(p, lab)
	p.mu.Lock()
	p.messages = nil // of requests that were refused
	p.mu.Unlock()
}

// testLongRun shows a run of which only the end of its progress is read: its charts go on.
func testLongRun(p *tracesPage, lab plan.Lab) {
	const id = "20260504T100000Z-0001"
	dir := filepath.Join(lab.State, "runs", id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file, err := os.Create(filepath.Join(dir, "progress.jsonl"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer file.Close()
	n := 0
	add := func(lines int) {
		var b strings.Builder
		for range lines {
			n++
			fmt.Fprintf(&b, `{"at":"2026-05-04T%02d:%02d:%02dZ","phase":"running","elapsed":%d,"duration":90000,"rate_actual":100,"p50":0.001,"p99":0.002,"requests":%d}`+"\n", n/3600, n/60%60, n%60, n+10000, n+10000)
		}
		if _, err := file.WriteString(b.String()); err != nil {
			p.t.Fatal(err)
		}
	}
	add(5000)
	if err := os.Chtimes(file.Name(), time.Time{}, time.Now().Add(time.Hour)); err != nil { // live, however long the page takes
		p.t.Fatal(err)
	}
	p.visit("/runs/" + id)
	p.until(`document.querySelectorAll(".curve .uplot").length === 2`)
	p.want(`[document.querySelector("button.danger").hidden, document.querySelector(".progressbar + .note").textContent]`, `[true,"This console did not start the run: press Ctrl-C in its terminal to stop it."]`)
	p.eval(`document.querySelectorAll(".curve .uplot").forEach((e) => (e.dataset.old = "1"))`)
	add(1)
	p.until(`document.querySelectorAll(".curve .uplot").length === 2 && !document.querySelector(".curve [data-old]")`)
}

// testTakeover runs a load whose console is gone: another one knows the run, and stops it.
func testTakeover(t *testing.T, lab plan.Lab) {
	gone := load.New(lab.State)
	if err := gone.Start(t.Context(), load.Values{"rate": {"20"}, "duration": {"10m"}}); err != nil {
		t.Fatal(err)
	}
	until := func(r *load.Runner, want load.State) load.Status {
		t.Helper()
		for {
			if st := r.Status(); st.State == want {
				return st
			} else if st.State == load.Ended {
				t.Fatalf("%+v, want %s", st, want)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	begun := until(gone, load.Running)
	next := load.New(lab.State)
	if st := until(next, load.Running); st.Run != begun.Run || st.Command != begun.Command || !st.Started.Equal(begun.Started) {
		t.Errorf("the next console has %+v, want %+v", st, begun)
	}
	if err := next.Start(t.Context(), load.Values{}); err != load.ErrBusy {
		t.Errorf("a second run: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := next.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if st := next.Status(); st.State != load.Ended || st.Run != begun.Run || st.Error != "" {
		t.Errorf("at the end: %+v", st)
	}
	if r, err := report.Read(filepath.Join(lab.State, "runs", begun.Run)); err != nil || r.Ended != "interrupted" {
		t.Errorf("the report: %v, %+v", err, r)
	}
	if err := next.Stop(); err != load.ErrIdle {
		t.Errorf("Stop without a run: %v", err)
	}
	until(load.New(lab.State), load.Idle)
}

func TestControlFunctions(t *testing.T) {
	testModules(t, []moduleCase{
		{"lib/faultkinds.js", `["db-delay=40ms@2%", "slots=4", "stall=5s"].map((f) => m.split(f)).map((v) => [v, m.join(v)])`, `[[["40ms", "2%"], "40ms@2%"], [["4"], "4"], [["5s"], "5s"]]`},
		{"lib/faultkinds.js", `[m.join(["40ms", ""]), m.join(["", "2%"]), m.describe("new").title, m.linksOf("a", "error").at(-1)[0]]`, `["40ms", "@2%", "new", "/traces?service=a&tags=soundcheck.fault%3Derror"]`},
		// A label's value is a regular expression of pprof, in which a comma and a colon have a meaning of their own.
		{"lib/profiles.js", `[m.flameGraph({run: "r", name: "n"}), new URL(m.flameGraph({run: "r", name: "n"}, ["route", "GET /a/:id.x"]), "http://x").searchParams.get("tf")]`, `["/-/pprof/r/n/flamegraph", "route=^GET /a/.id\\.x$"]`},
	})
}

// An open span looks for the profiles of its process.
func TestSpanProfiles(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/trace/a1")
	p.do(chromedp.Click(chromedp.CSS(".wf-row")))
	p.until(`document.querySelector(".profilelinks")`)
	p.eval(`document.querySelector(".profilelinks").open = true`)
	p.until(`document.querySelector(".profilelinks > div").textContent.startsWith("No CPU profile of loadgen covers this span.")`)
	p.quiet("")
}

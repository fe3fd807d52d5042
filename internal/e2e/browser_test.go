package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"soundcheck/dashboards"
	"soundcheck/internal/browsertest"
)

// browser is a tab that notes what must not happen.
type browser struct {
	ctx    context.Context
	origin string

	mu       sync.Mutex
	problems []string
}

// newBrowser starts Chromium. Without one the test is skipped.
func newBrowser(t *testing.T, origin string) *browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(chromedp.NoSandbox, chromedp.ExecPath(browsertest.Chromium(t))))
	t.Cleanup(cancel)
	b := &browser{ctx: ctx, origin: origin}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"network": call(ctx, network.Enable, network.EnableParams{}), "log": call(ctx, log.Enable, cdp.Empty{}),
		"runtime": call(ctx, runtime.Enable, cdp.Empty{})} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return b
}

// call sends a command to the tab.
func call[P, R any](ctx context.Context, command cdp.Command[P, R], params P) error {
	return chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	}))
}

// note remembers errors on the console, and requests to elsewhere.
func (b *browser) note(event any) {
	problem := ""
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			args, _ := json.Marshal(e.Args)
			problem = fmt.Sprintf("console.%s: %s", e.Type, args)
		}
	case *runtime.EventExceptionThrown:
		details, _ := json.Marshal(e.ExceptionDetails)
		problem = fmt.Sprintf("exception: %s", details)
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" {
			problem = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, b.origin+"/") && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "chrome") {
			problem = "a request to " + u
		}
	}
	if problem != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.problems = append(b.problems, problem)
	}
}

// window sets the size of the tab, and the colours that its user likes.
func (b *browser) window(t *testing.T, width, height int64, scheme string) {
	t.Helper()
	err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height))
	if err == nil {
		err = call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// settled is a page whose module has ended its work, and that waits for nothing.
const settled = `(() => { const main = document.getElementById("main");
	return main?.dataset.ready === "true" && !main.querySelector('[aria-busy="true"]') &&
		(main.dataset.page !== "dashboard" || main.dataset.panels === "done"); })()`

// open shows a page of the console, and waits until it is complete.
func (b *browser) open(t *testing.T, path string) {
	t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(b.origin+path)); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	b.until(t, path, settled)
}

func (b *browser) until(t *testing.T, what, condition string) {
	t.Helper()
	for {
		_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](condition, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(time.Minute)))
		if err == nil {
			return
		}
		// A navigation that ends now replaces the context of the poll.
		if strings.Contains(err.Error(), "Cannot find context") {
			continue
		}
		b.shot(t, "failed")
		t.Fatalf("%s: waiting for %s: %v\n%s", what, condition, err, strings.Join(b.took(), "\n"))
	}
}

// value evaluates an expression.
func value[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// took returns the problems so far, and forgets them.
func (b *browser) took() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.problems
	b.problems = nil
	return list
}

// shot saves a picture of the whole page beside the lab's programs.
func (b *browser) shot(t *testing.T, name string) {
	t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	dir := filepath.Join("..", "..", ".lab", "screenshots")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		t.Errorf("screenshot %s: %v", name, err)
	}
}

// markup is what somebody may ask for. The services' spans and log lines tell it.
const markup = `<img src=x onerror="document.title='gone'">`

// pages are the console's, by the names of their pictures.
func (l *lab) pages(t *testing.T, boards []dashboards.Dashboard) map[string]string {
	t.Helper()
	pages := map[string]string{"home": "/", "dashboards": "/dashboards", "map": "/map", "logs": "/logs", "runs": "/runs",
		"traces": "/traces?service=loadgen", "markup": "/logs?" + url.Values{"q": {"onerror"}}.Encode(),
		"explore-empty": "/explore", "explore": exploreOf("histogram_quantile(0.99, sum by (http_route) (rate(http_server_request_duration_seconds[1m] anchored)))", "sum(rate(http_server_request_duration_seconds[1m] anchored))", "up")}
	for _, d := range boards {
		pages[d.UID] = "/d/" + d.UID + "?from=now-15m&to=now"
	}
	var found struct {
		Data []struct{ TraceID string }
	}
	getJSON(t, l.Jaeger()+"/api/traces?service=loadgen&limit=2", &found)
	var runs struct {
		Runs []struct{ ID string }
	}
	getJSON(t, l.Console()+"/-/runs", &runs)
	if len(found.Data) < 2 || len(runs.Runs) < 1 {
		t.Fatalf("%d traces, %d runs", len(found.Data), len(runs.Runs))
	}
	pages["trace"] = "/trace/" + found.Data[0].TraceID
	pages["flame"], pages["statistics"], pages["file"] = pages["trace"]+"?view=flame", pages["trace"]+"?view=stats", "/traces/file"
	pages["filter"] = "/traces?" + url.Values{"service": {"*"}, "filter": {"http.response.status_code >= 200 and kind = server"}}.Encode()
	pages["trace-compare"] = pages["trace"] + "?compare=" + found.Data[1].TraceID
	first, last := runs.Runs[0].ID, runs.Runs[len(runs.Runs)-1].ID
	pages["run"] = "/runs/" + first
	pages["runs-compare"] = "/runs/compare?" + url.Values{"a": {last}, "b": {first}}.Encode()
	return pages
}

// look opens every page of the console in both colours and two widths.
func (l *lab) look(t *testing.T) {
	b := newBrowser(t, l.Console())
	boards, err := dashboards.All()
	if err != nil {
		t.Fatal(err)
	}
	mayBeEmpty := map[string]bool{}
	for _, d := range boards {
		for _, p := range d.Panels {
			mayBeEmpty[fmt.Sprintf("%s %d", d.UID, p.ID)] = p.MayBeEmpty != ""
		}
	}
	resp, err := http.Get(l.Proxy() + "/" + url.PathEscape(markup))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	// Numbers of now need requests of now, however long the pages take.
	stop := make(chan struct{})
	wait := l.slowest(t, stop)
	defer wait()
	defer close(stop)
	pages := l.pages(t, boards)
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			for name, path := range pages {
				problems := b.whole(t, path, width, scheme, func(panel string) bool { return mayBeEmpty[name+" "+panel] })
				for _, p := range append(problems, b.faults(t, width)...) {
					t.Errorf("%s at %d px, %s: %s", path, width, scheme, p)
				}
				if name == "home" {
					l.followLinks(t, b)
				}
				if name == "markup" && !strings.Contains(value[string](t, b, `document.getElementById("main").textContent`), markup) {
					t.Errorf("%s does not show %s", path, markup)
				}
				b.shot(t, fmt.Sprintf("%s-%d-%s", name, width, scheme))
			}
		}
	}
}

// followLinks asks for what each link of the page leads to.
func (l *lab) followLinks(t *testing.T, b *browser) {
	t.Helper()
	links := value[[]string](t, b, `[...new Set([...document.querySelectorAll("main a[href]")].map((a) => a.href))]`)
	if len(links) < 10 {
		t.Errorf("the page has %d links", len(links))
	}
	for _, link := range links {
		resp, err := http.Get(link)
		if err != nil {
			t.Errorf("the link %s: %v", link, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("the link %s leads to %s", link, resp.Status)
		}
	}
}

// whole opens a page in a window so high that all of it is seen, and returns what the
// browser has to say of it. Rules that are evaluated once a minute may have nothing to
// show yet: until they do, and but for panels that may be empty, it is opened again.
func (b *browser) whole(t *testing.T, path string, width int64, scheme string, mayBeEmpty func(panel string) bool) (problems []string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; {
		b.window(t, width, 900, scheme)
		b.open(t, path)
		b.window(t, width, value[int64](t, b, `document.documentElement.scrollHeight`), scheme)
		b.until(t, path, settled+` && !document.querySelector('[data-state="waiting"]')`)
		empty := slices.DeleteFunc(value[[]string](t, b, `[...document.querySelectorAll("[data-state=empty]")].map(e => e.dataset.panel)`), mayBeEmpty)
		said := b.took()
		// Chromium ends every request when an interface of the machine comes or goes.
		again := slices.ContainsFunc(said, func(p string) bool { return strings.Contains(p, "ERR_NETWORK_CHANGED") })
		if !again {
			problems = append(problems, said...)
		}
		switch late := time.Now().After(deadline); {
		case len(empty) == 0 && !again:
			return problems
		case late && len(empty) > 0:
			return append(problems, fmt.Sprintf("panels %v are empty", empty))
		case late:
			return append(problems, said...)
		}
	}
}

// faults returns what nobody should see on the page that is open.
func (b *browser) faults(t *testing.T, width int64) (list []string) {
	t.Helper()
	for _, text := range value[[]string](t, b, `[...document.querySelectorAll(".problem, [data-state=error]")].map(e => e.textContent)`) {
		if !strings.HasPrefix(text, "The numbers cannot be trusted: ") { // of a run on a busy machine
			list = append(list, fmt.Sprintf("it says %q", text))
		}
	}
	if wide := value[int64](t, b, `document.documentElement.scrollWidth`); wide > width {
		list = append(list, fmt.Sprintf("it is %d px wide", wide))
	}
	if n := value[int](t, b, `document.querySelectorAll("h1").length`); n != 1 {
		list = append(list, fmt.Sprintf("it has %d headings of the first rank", n))
	}
	// The console has no pictures of its own: this would be markup that came as data.
	if n := value[int](t, b, `document.querySelectorAll("img, main script, [onerror]").length`); n != 0 {
		list = append(list, fmt.Sprintf("%d elements came with the data", n))
	}
	return list
}

// followExemplar goes by clicks from a dot in a chart to its trace, to the log lines of that, and
// from a line back to the trace.
func (l *lab) followExemplar(t *testing.T) {
	b := newBrowser(t, l.Console())
	b.window(t, 1280, 900, "light")
	click := func(selector string) {
		t.Helper()
		b.until(t, selector, fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
		value[bool](t, b, fmt.Sprintf(`(document.querySelector(%q).dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true, button: 0})), true)`, selector))
	}
	b.open(t, "/d/service-latency?from=now-15m&to=now&var-service=album-store") // the proxy answers some by itself
	// On the way to the content the page stays as it is.
	value[bool](t, b, `(window.kept = document.querySelector("[data-panel]"), document.querySelector("a.skip").click(), true)`)
	b.until(t, "the content", `location.hash === "#main" && window.kept.isConnected`)
	click("a.exemplar")
	b.until(t, "the trace of an exemplar", `location.pathname.startsWith("/trace/") && document.getElementById("main").dataset.loaded === "true"`)
	trace := value[string](t, b, `location.pathname.split("/")[2]`)
	if services := value[string](t, b, `document.getElementById("main").textContent`); !strings.Contains(services, "proxy-service") || !strings.Contains(services, "album-store") {
		t.Errorf("the page of trace %s lacks a service", trace)
	}
	click(fmt.Sprintf(`main a[href^="/logs?trace=%s"]`, trace))
	b.until(t, "the lines of the trace", fmt.Sprintf(`location.pathname === "/logs" && document.querySelector('main a[href^="/trace/%s"]') !== null`, trace))
	click(fmt.Sprintf(`main a[href^="/trace/%s"]`, trace))
	b.until(t, "the trace again", fmt.Sprintf(`location.pathname === "/trace/%s"`, trace))
	for _, p := range b.took() {
		t.Error(p)
	}
}

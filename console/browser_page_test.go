package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"soundcheck/console/server"
	"soundcheck/internal/browsertest"
)

// tracesPage opens pages of a console in a browser, and records the browser's console messages.
type tracesPage struct {
	t        *testing.T
	ctx      context.Context
	base     string
	backend  *tracesBackend
	mu       sync.Mutex
	messages []string
}

func newTracesPage(t *testing.T) *tracesPage {
	t.Helper()
	chromium := browsertest.Chromium(t)
	p := &tracesPage{t: t, backend: &tracesBackend{traces: testTraces()}}
	backend := httptest.NewServer(p.backend)
	t.Cleanup(backend.Close)
	at, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	console := server.New(server.Config{Prometheus: at, Jaeger: at, State: t.TempDir()})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/-/logs" || r.URL.Path == "/-/faults" {
			p.backend.ServeHTTP(w, r)
			return
		}
		console.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	p.base = front.URL
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox)...)
	t.Cleanup(cancel)
	p.ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	console2 := chromedp.Console(p.ctx)
	go func() {
		for m, err := range console2 {
			if err != nil {
				return
			}
			p.mu.Lock()
			p.messages = append(p.messages, fmt.Sprint(m.Type, " ", m.Text, " ", m.URL))
			p.mu.Unlock()
		}
	}()
	p.do(chromedp.EmulateViewport(1280, 900))
	return p
}

func (p *tracesPage) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// open navigates to a path, and waits for its first data.
func (p *tracesPage) open(path string) {
	p.t.Helper()
	// Via about:blank, because a changed fragment alone does not reload.
	p.do(chromedp.Navigate("about:blank"), chromedp.Navigate(p.base+path))
	p.until(`document.querySelector("#main")?.dataset.loaded === "true"`)
}

// until waits until an expression is true.
func (p *tracesPage) until(expression string) {
	p.t.Helper()
	for {
		_, err := chromedp.Run(p.ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(2*time.Minute)))
		if err == nil {
			return
		}
		// A navigation that ends now replaces the context of the poll.
		if strings.Contains(err.Error(), "Cannot find context") {
			continue
		}
		p.t.Fatalf("%s: %v\npage: %.800s", expression, err, p.eval(`document.querySelector("main")?.innerText`))
	}
}

// eval returns the value of an expression, which may await, as JSON.
func (p *tracesPage) eval(expression string) string {
	p.t.Helper()
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`(async () => {
		try { return JSON.stringify(await (`+expression+`)) ?? "null"; } catch (e) { return "error: " + e.message; }
	})()`, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// want compares the value of an expression with JSON.
func (p *tracesPage) want(expression, want string) {
	p.t.Helper()
	if got := p.eval(expression); got != want {
		p.t.Errorf("%s\n got %s\nwant %s", expression, got, want)
	}
}

// quiet fails on unexpected console messages of the browser.
func (p *tracesPage) quiet(expected string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.messages {
		if expected == "" || !strings.Contains(s, expected) {
			p.t.Errorf("the browser says: %s", s)
		}
	}
	p.messages = nil
}

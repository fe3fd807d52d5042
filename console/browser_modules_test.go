package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"soundcheck/console/server"
	"soundcheck/internal/browsertest"
)

// modulesPage is a browser on a page of the real handler, in which modules run. Tests share
// it, because it takes a second to start.
var modulesPage = struct {
	sync.Once
	ctx context.Context
	err error
}{}

func modules(t *testing.T) context.Context {
	t.Helper()
	chromium := browsertest.Chromium(t)
	p := &modulesPage
	p.Do(func() {
		nowhere := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		s := httptest.NewServer(server.New(server.Config{Prometheus: nowhere, Jaeger: nowhere}))
		p.ctx, _ = chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(chromedp.NoSandbox, chromedp.ExecPath(chromium)))
		if p.err = chromedp.Do(p.ctx, chromedp.Navigate(s.URL+"/dashboards")); p.err == nil {
			_, p.err = chromedp.Run(p.ctx, chromedp.Poll[bool](`document.getElementById("main")?.dataset.ready === "true"`, chromedp.WithPollingTimeout(2*time.Minute)))
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.ctx
}

// assets is the JavaScript expression of the URL of the modules.
const assets = `document.querySelector("script[type=module]").src.replace("app.js", "")`

// moduleCase is a JavaScript expression over a module, and the expression of its value.
type moduleCase struct{ module, expression, want string }

func testModules(t *testing.T, cases []moduleCase) {
	t.Helper()
	for _, tt := range cases {
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

// inBrowser evaluates an expression in which m is a module, and decodes its value into out.
func inBrowser(t *testing.T, module, expression string, out any) {
	t.Helper()
	ctx := modules(t)
	script := fmt.Sprintf(`import(%s + "%s").then(async (m) => JSON.stringify(%s) ?? "null")`, assets, module, expression)
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %s: %v", module, expression, err)
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%s: %s = %s: %v", module, expression, text, err)
	}
}

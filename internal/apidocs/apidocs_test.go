package apidocs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"soundcheck/internal/browsertest"
)

func get(t *testing.T, path, accept string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Encoding", accept)
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

func TestEncoding(t *testing.T) {
	t.Parallel()
	for accept, packed := range map[string]bool{
		"": false, "identity": false, "br": false, "gzip;q=0": false, "gzip; q=0.000, br": false,
		"gzip": true, "gzip, deflate, br": true, "br;q=1.0, GZIP;q=0.5": true,
	} {
		w := get(t, "/swagger-ui.css", accept)
		if got := w.Header().Get("Content-Encoding") == "gzip"; w.Code != 200 || got != packed {
			t.Errorf("Accept-Encoding %q: %d, packed %t, want 200, %t", accept, w.Code, got, packed)
		}
		if got := strings.Contains(w.Body.String(), ".swagger-ui"); got == packed {
			t.Errorf("Accept-Encoding %q: style sheet in clear: %t", accept, got)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
			t.Errorf("Accept-Encoding %q: header %v", accept, w.Header())
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]int{
		"/": 200, "/page.css": 200, "/favicon-32x32.png": 200, "/swagger-ui-bundle.js": 200,
		"/nope.js": 404, "/nope/": 404, "/../apidocs.go": 404, "/swagger-ui.js.map": 404,
	} {
		w := get(t, path, "gzip")
		if w.Code != want {
			t.Errorf("GET %s = %d, want %d", path, w.Code, want)
		}
		if !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("GET %s: policy %q", path, w.Header().Get("Content-Security-Policy"))
		}
	}
}

// In a browser the page shows a contract and sends a request of it, asks nobody else, and
// breaks no policy.
func TestInBrowser(t *testing.T) {
	chromium := browsertest.Chromium(t)
	mux := http.NewServeMux()
	mux.Handle("/v3/api-docs/", http.StripPrefix("/v3/api-docs", Handler()))
	mux.HandleFunc("/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write([]byte(`openapi: 3.0.3
info: {title: The contract, version: "1"}
servers: [{url: /}]
paths:
  /ping:
    get:
      operationId: ping
      tags: [all]
      responses: {"200": {description: the answer}}
`))
	})
	mux.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("this is pong")) })
	srv := httptest.NewServer(mux)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(chromedp.NoSandbox, chromedp.ExecPath(chromium)))
	defer cancel()
	var mu sync.Mutex
	var wrong []string
	err := errors.Join(chromedp.Listen(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			if u := ev.Request.URL; !strings.HasPrefix(u, srv.URL+"/") && !strings.HasPrefix(u, "data:") {
				wrong = append(wrong, "it asks for "+u)
			}
		case *log.EventEntryAdded:
			wrong = append(wrong, ev.Entry.Text)
		}
	}), chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, network.Enable, network.EnableParams{})
		_, err2 := cdp.Call(ctx, tab, log.Enable, cdp.Empty{})
		return errors.Join(err, err2)
	})), chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/v3/api-docs/")))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{
		`document.querySelector(".info .title")?.textContent.includes("The contract")`,
		click("#operations-all-ping .opblock-summary-control"), click(".try-out__btn"), click(".execute"),
		`document.querySelector(".live-responses-table")?.textContent.includes("this is pong")`,
	} {
		if _, err := chromedp.Run(ctx, chromedp.Poll[bool](step, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(20*time.Second))); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(wrong) > 0 {
		t.Errorf("the page did what it must not: %q", slices.Compact(wrong))
	}
}

// click clicks what the selector names once it is there.
func click(selector string) string {
	return fmt.Sprintf(`(() => { const e = document.querySelector(%q); e?.click(); return !!e; })()`, selector)
}

package apidocs

import (
	"context"
	"errors"
	"fmt"
	"io"
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
		"/": 200, "/index.html": 200, "/page.css": 200, "/favicon-32x32.png": 200, "/swagger-ui-bundle.js": 200,
		"/nope.js": 404, "/nope/": 404, "/../apidocs.go": 404, "/swagger-ui.js.map": 404,
		"": 404, "//": 404, "/page.css/": 404, "/swagger-ui.css/": 404, "/swagger-ui.css.gz": 404, "/embed.go": 404,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("GET %s = %d, want %d", path, w.Code, want)
		}
		if !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("GET %s: policy %q", path, w.Header().Get("Content-Security-Policy"))
		}
		if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("GET %s: X-Content-Type-Options %q", path, got)
		}
	}
}

// A file is sent once: a browser that has it is told so, in either encoding.
func TestCaching(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(Handler())
	defer srv.Close()
	do := func(method, path string, header ...string) (*http.Response, int) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "identity")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%s %s %q: %v", method, path, header, err)
		}
		return resp, len(body)
	}
	tags := map[string]string{}
	for _, path := range []string{"/", "/page.css", "/favicon-32x32.png", "/swagger-ui.css"} {
		for _, coding := range []string{"identity", "gzip"} {
			resp, n := do("GET", path, "Accept-Encoding", coding)
			tag := resp.Header.Get("ETag")
			if resp.StatusCode != 200 || n == 0 || resp.ContentLength != int64(n) || resp.Header.Get("Cache-Control") != "no-cache" || len(tag) < 10 {
				t.Errorf("GET %s as %s: %s, %d bytes, %v", path, coding, resp.Status, n, resp.Header)
			}
			if of := tags[tag]; of != "" && of != path || of != "" && path == "/swagger-ui.css" {
				t.Errorf("GET %s as %s has the tag of %s", path, coding, of)
			}
			tags[tag] = path
			if head, sent := do("HEAD", path, "Accept-Encoding", coding); head.StatusCode != 200 || sent != 0 || head.ContentLength != int64(n) || head.Header.Get("ETag") != tag {
				t.Errorf("HEAD %s as %s: %s, %d bytes, %v", path, coding, head.Status, sent, head.Header)
			}
			again, sent := do("GET", path, "Accept-Encoding", coding, "If-None-Match", `"x", W/`+tag)
			if h := again.Header; again.StatusCode != 304 || sent != 0 || h.Get("ETag") != tag || h.Get("Cache-Control") != "no-cache" || h.Get("Vary") != resp.Header.Get("Vary") {
				t.Errorf("GET %s as %s again: %s, %d bytes, %v", path, coding, again.Status, sent, h)
			}
			if other, sent := do("GET", path, "Accept-Encoding", coding, "If-None-Match", `"x"`); other.StatusCode != 200 || sent != n {
				t.Errorf("GET %s as %s with another's tag: %s, %d bytes", path, coding, other.Status, sent)
			}
			if other, _ := do("GET", path, "Accept-Encoding", coding, "If-Match", `"x"`); other.StatusCode != 412 {
				t.Errorf("GET %s as %s, if it is another: %s", path, coding, other.Status)
			}
			if part, sent := do("GET", path, "Accept-Encoding", coding, "Range", "bytes=1-3"); part.StatusCode != 206 || sent != 3 {
				t.Errorf("GET %s as %s in part: %s, %d bytes", path, coding, part.Status, sent)
			}
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		for _, path := range []string{"/", "/nope"} {
			if resp, _ := do(method, path); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %s, Allow %q", method, path, resp.Status, resp.Header.Get("Allow"))
			}
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

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
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
		if _, err := chromedp.Run(ctx, chromedp.Poll[bool](step, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(2*time.Minute))); err != nil {
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

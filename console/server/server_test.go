package server

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"soundcheck/internal/cli/clitest"
)

// closed is the URL of a closed port.
func closed(t *testing.T) *url.URL { return &url.URL{Scheme: "http", Host: clitest.ClosedAddr(t)} }

// console is a server with backends that echo the request, unless others are set.
func console(t *testing.T, c Config) http.Handler {
	t.Helper()
	for _, u := range []**url.URL{&c.Prometheus, &c.Jaeger} {
		if *u != nil {
			continue
		}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Set("Content-Security-Policy", "default-src *")
			json.NewEncoder(w).Encode(map[string]string{"asked": r.URL.RequestURI(), "cookie": r.Header.Get("Cookie")})
		}))
		t.Cleanup(srv.Close)
		*u, _ = url.Parse(srv.URL)
	}
	if c.State == "" {
		c.State = t.TempDir()
	}
	return New(c)
}

// do sends a request to a server, with Host 127.0.0.1 unless one is set.
func do(t *testing.T, h http.Handler, method, target, host string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.Host = "127.0.0.1:3300"
	if host != "" {
		r.Host = host
	}
	r.Header.Set("Cookie", "secret=1")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// The Host must be localhost or an IP address: a foreign DNS name can resolve to this
// machine.
func TestHost(t *testing.T) {
	t.Parallel()
	h := console(t, Config{})
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:3300": 200, "localhost": 200, "LOCALHOST:1": 200, "[::1]": 200, "[::1]:3300": 200, "::1": 200, "192.0.2.7:3300": 200,
		"evil.example": 421, "evil.example:3300": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:3300": 421, "localhost:3300@evil.example": 421,
		"[evil.example]:3300": 421, "127.0.0.1 ": 421, "": 200, // of do
	} {
		for _, path := range []string{"/", "/-/logs", "/api/services", readAssets().folder + "app.js"} {
			if resp, body := do(t, h, http.MethodGet, path, host); resp.StatusCode != want {
				t.Errorf("Host %q, %s: %d %s, want %d", host, path, resp.StatusCode, body, want)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	h := console(t, Config{})
	for path, kind := range map[string]string{"/": "text/html", "/runs/compare": "text/html", "/no/such/page": "text/html", readAssets().folder + "app.js": "text/javascript",
		readAssets().folder + "all.css": "text/css", readAssets().folder + "uPlot.min.js": "text/javascript", "/api/x": "application/json", "/-/lab": "application/json", "/-/none": "application/json"} {
		resp, body := do(t, h, http.MethodGet, path, "")
		policy := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q has no %s", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || len(resp.Header.Values("Content-Security-Policy")) != 1 {
			t.Errorf("%s: policy %q", path, resp.Header.Values("Content-Security-Policy"))
		}
		if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, kind) || body == "" {
			t.Errorf("%s is %q, want %s", path, got, kind)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", path, resp.Header)
		}
	}
	// The document holds nothing that the policy forbids.
	_, body := do(t, h, http.MethodGet, "/", "")
	for _, bad := range []string{"<script>", "<style", " style=", " onclick=", "http://", "https://"} {
		if strings.Contains(body, bad) {
			t.Errorf("the document has %s", bad)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	h := console(t, Config{})
	for method, want := range map[string]int{"POST": 405, "PUT": 403, "PATCH": 405, "OPTIONS": 405, "DELETE": 200} {
		if resp, _ := do(t, h, method, "/-/faults", ""); resp.StatusCode != want {
			t.Errorf("%s /-/faults = %d, want %d", method, resp.StatusCode, want)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		for _, path := range []string{"/", "/api/traces", "/-/prometheus/api/v1/query", "/-/runs", "/-/lab"} {
			if resp, _ := do(t, h, method, path, ""); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s = %d, want 405", method, path, resp.StatusCode)
			}
		}
	}
	if resp, _ := do(t, h, http.MethodHead, "/-/lab", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD = %d", resp.StatusCode)
	}
}

// Requests are proxied unchanged, without cookies. Paths that are not listed are not
// proxied.
func TestPassOn(t *testing.T) {
	t.Parallel()
	h := console(t, Config{})
	for path, want := range map[string]string{
		"/api/traces?service=a%20b&limit=2":                    "/api/traces?service=a%20b&limit=2",
		"/api/services/a%2Fb/operations":                       "/api/services/a%2Fb/operations",
		"/-/prometheus/api/v1/query?query=up%7Ba%3D%22b%22%7D": "/api/v1/query?query=up%7Ba%3D%22b%22%7D",
		"/-/prometheus/api/v1/label/a/values":                  "/api/v1/label/a/values",
		"/-/prometheus/api/v1/admin/tsdb/delete_series":        "",
		"/-/prometheus/api/v1/status/config":                   "",
		"/-/prometheus/api/v1/query/../status/config":          "",
		"/-/prometheus/-/quit":                                 "",
		"/-/prometheus/metrics":                                "",
		"/-/prometheus/api/v1/label/..%2fstatus%2fconfig":      "",
		"/api/..%2f..%2fmetrics":                               "",
		"/api/%2e%2e/metrics":                                  "",
	} {
		resp, body := do(t, h, http.MethodGet, path, "")
		var answer struct{ Asked, Cookie, Error string }
		if err := json.Unmarshal([]byte(body), &answer); want == "" && resp.StatusCode == http.StatusOK || want != "" && (err != nil || answer.Asked != want || answer.Cookie != "") {
			t.Errorf("%s = %d %s, want %q", path, resp.StatusCode, body, want)
		}
	}
}

// A page from elsewhere can lead to the console, but not have it work.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	h := console(t, Config{})
	for _, tt := range []struct {
		site, mode string
		want       int
	}{{"", "", 200}, {"same-origin", "cors", 200}, {"none", "navigate", 200}, {"cross-site", "navigate", 200},
		{"cross-site", "no-cors", 403}, {"cross-site", "cors", 403}, {"same-site", "no-cors", 403}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/-/prometheus/api/v1/query?query=up", nil)
		r.Host = "127.0.0.1:3300"
		r.Header.Set("Sec-Fetch-Site", tt.site)
		r.Header.Set("Sec-Fetch-Mode", tt.mode)
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			faults := r.Clone(t.Context())
			faults.Method, faults.URL.Path, faults.URL.RawQuery = method, "/-/faults", ""
			w := httptest.NewRecorder()
			want := tt.want
			if method == http.MethodDelete && tt.site == "cross-site" {
				want = http.StatusForbidden
			}
			if h.ServeHTTP(w, faults); w.Code != want {
				t.Errorf("%s of faults, Sec-Fetch-Site %q, Sec-Fetch-Mode %q: %d, want %d", method, tt.site, tt.mode, w.Code, want)
			}
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != tt.want {
			t.Errorf("Sec-Fetch-Site %q, Sec-Fetch-Mode %q: %d, want %d", tt.site, tt.mode, w.Code, tt.want)
		}
	}
}

func TestBackendUnavailable(t *testing.T) {
	t.Parallel()
	away := closed(t)
	h := console(t, Config{Prometheus: away, Jaeger: away})
	for path, who := range map[string]string{"/api/services": "Jaeger", "/-/prometheus/api/v1/query?query=up": "Prometheus"} {
		resp, body := do(t, h, http.MethodGet, path, "")
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != http.StatusBadGateway || !strings.HasPrefix(answer.Error, who+" is down at "+away.String()) || !strings.Contains(answer.Error, "make lab-up") {
			t.Errorf("%s = %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, _ := do(t, h, http.MethodGet, "/", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("the page itself: %d", resp.StatusCode)
	}
}

// Hints name the command of the platform that the lab runs on, and pages know it from the document.
func TestHintsInContainers(t *testing.T) {
	t.Parallel()
	away := closed(t)
	pods := []Container{{"otel-collector", "http://127.0.0.1:13133/"}, {"album-store", "http://lab-soundcheck-album-store.ns-1.svc.cluster.local:9080/readyz"},
		{"proxy-service", "http://lab-proxy.ns-1.svc:9070/readyz"}, {"jaeger", "http://lab-jaeger.ns-1.svc.cluster.local:14133/"}}
	_, native := do(t, console(t, Config{}), http.MethodGet, "/", "")
	for _, tt := range []struct {
		kubernetes bool
		containers []Container
		hint       string // at the end of an error
		attributes string // of the document
	}{
		{false, nil, "", ""},
		{true, nil, "", ""}, // a native lab in a pod
		{false, pods, "; check the containers with make compose-ps", `data-containers="compose" `},
		{true, pods, "; check the containers with make k8s-status", `data-containers="kubernetes" data-album-store="-n ns-1 deployment/lab-soundcheck-album-store" data-proxy-service="-n ns-1 deployment/lab-proxy" `},
		// Other URLs do not have the names of Deployments.
		{true, []Container{{"album-store", "http://album-store:9080/"}, {"proxy-service", "http://a.b.example:9070/"}}, "; check the containers with make k8s-status", `data-containers="kubernetes" `},
	} {
		c := Config{Prometheus: away, Jaeger: away, State: t.TempDir(), Containers: tt.containers, Kubernetes: tt.kubernetes}
		want := "Jaeger does not respond at " + away.String() + ": no such host" + tt.hint
		if got := c.backend("Jaeger", away).unavailable(t.Context(), errors.New("no such host")); got != want {
			t.Errorf("%+v: %s, want %s", tt, got, want)
		}
		if tt.hint == "" {
			tt.hint = ": is the lab up? (make lab-up)"
		}
		want = `{"error":"Prometheus is down at ` + away.String() + tt.hint + `"}`
		if resp, body := do(t, console(t, c), http.MethodGet, "/-/prometheus/api/v1/query?query=up", ""); resp.StatusCode != http.StatusBadGateway || strings.TrimSpace(body) != want {
			t.Errorf("%+v: %d %s, want %s", tt, resp.StatusCode, body, want)
		}
		if _, document := do(t, console(t, c), http.MethodGet, "/", ""); document != strings.Replace(native, "<html ", "<html "+tt.attributes, 1) {
			t.Errorf("%+v: the document begins with %.220s", tt, document)
		}
	}
}

// The document names the assets of its own build, which a browser keeps; those of another
// build are not there. Everything is compressed, and the document asked for again.
func TestAssets(t *testing.T) {
	t.Parallel()
	h := Leading(console(t, Config{}), "/traces")
	folder := readAssets().folder
	_, document := do(t, h, http.MethodGet, "/traces", "")
	for _, want := range []string{folder + "app.js", folder + "all.css", folder + "uPlot.min.js"} {
		if !strings.Contains(document, `"`+want+`"`) {
			t.Errorf("the document does not name %s", want)
		}
	}
	for path, want := range map[string]int{folder + "app.js": 200, folder + "pages/home.js": 200, folder + "all.css": 200, folder + "index.html": 404, folder + "web.go": 404, folder: 404,
		folder + "lib": 404, folder + "%2e%2e/web.go": 404, folder + "..%2fserver.go": 404, "/assets/app.js": 404, "/assets/": 404, "/assets/0123456789abcdef/app.js": 404,
		"/nope": 404, "/d/x/y": 404, "/runs/a/b": 404, "/d/x": 200, "/runs/compare": 200, "/map/": 200, "/assets//etc/passwd": 301, "/-/logs/../../etc": 307, "/traces": 200, "/traces/file": 200, "/traces/x": 404} {
		resp, body := do(t, h, http.MethodGet, path, "")
		if resp.StatusCode != want && !(want/100 == 3 && resp.StatusCode/100 == 3) {
			t.Errorf("%s = %d %.60q, want %d", path, resp.StatusCode, body, want)
		}
		if kept := strings.Contains(resp.Header.Get("Cache-Control"), "immutable"); kept != (want == 200 && strings.HasPrefix(path, folder)) {
			t.Errorf("%s: Cache-Control %q", path, resp.Header.Get("Cache-Control"))
		}
	}
	if resp, _ := do(t, h, http.MethodGet, "/", ""); resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "/traces" {
		t.Errorf("/ = %d to %q, want /traces", resp.StatusCode, resp.Header.Get("Location"))
	}
	_, css := do(t, h, http.MethodGet, folder+"all.css", "")
	for _, want := range []string{".uplot", ".tile", ".waterfall", ".panel", ".runlist", ".lines"} {
		if !strings.Contains(css, want) {
			t.Errorf("the style sheet has nothing of %s", want)
		}
	}
}

// Texts are compressed for who takes that, and the document is not sent twice.
func TestCompressed(t *testing.T) {
	t.Parallel()
	h := console(t, Config{})
	ask := func(path string, headers map[string]string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Host = "localhost"
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, path := range []string{"/-/dashboards/service-latency", "/api/traces?service=" + strings.Repeat("x", 2000), readAssets().folder + "app.js", readAssets().folder + "all.css"} {
		plain, packed := ask(path, nil), ask(path, map[string]string{"Accept-Encoding": "gzip, deflate, br"})
		if plain.Header().Get("Content-Encoding") != "" || packed.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(packed.Header().Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: encoded %q and %q, Vary %q", path, plain.Header().Get("Content-Encoding"), packed.Header().Get("Content-Encoding"), packed.Header().Get("Vary"))
			continue
		}
		r, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		size := packed.Body.Len()
		text, err := io.ReadAll(r)
		if err != nil || string(text) != plain.Body.String() || size >= len(text) {
			t.Errorf("%s: %d bytes in %d: %v", path, len(text), size, err)
		}
	}
	for _, encoding := range []string{"", "gzip"} {
		tag := ask("/", map[string]string{"Accept-Encoding": encoding}).Header().Get("ETag")
		if w := ask("/", map[string]string{"Accept-Encoding": encoding, "If-None-Match": tag}); w.Code != http.StatusNotModified {
			t.Errorf("asked again for %s (%q): %d, want 304", tag, encoding, w.Code)
		}
	}
}

// Package nginx_test runs the edge's configuration in the installed nginx, in front of the
// proxy's real handler. Files for nginx's OpenTelemetry module and Docker's name server are
// replaced: module.conf, otel.conf, upstream.conf.
package nginx_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli/clitest"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// edge is a running nginx.
type edge struct {
	url, health string

	mu    sync.Mutex
	lines []map[string]any // of the access log
}

// start runs nginx with our configuration in front of the upstream at addr.
func start(t *testing.T, addr string, changes ...string) *edge {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		if nginx, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Skip("there is no nginx: apt-get install nginx-core")
		}
	}
	dir := t.TempDir()
	// nginx inherits its sockets, as in a binary upgrade: no other process can take the
	// ports meanwhile.
	front, health := listen(t), listen(t)
	e := &edge{url: "http://" + front.addr, health: "http://" + health.addr}
	b, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	conf := string(b)
	pairs := append([]string{
		"listen 8070;", "listen " + strings.TrimPrefix(e.url, "http://") + ";",
		"~^8070 ", "~^" + e.url[strings.LastIndex(e.url, ":")+1:] + " ",
		"listen 127.0.0.1:8071;", "listen " + strings.TrimPrefix(e.health, "http://") + ";",
		" /tmp/", " " + dir + "/",
	}, changes...)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(conf, pairs[i]) {
			t.Fatalf("nginx.conf has no %q", pairs[i])
		}
		conf = strings.ReplaceAll(conf, pairs[i], pairs[i+1])
	}
	write(t, dir, "nginx.conf", conf)
	write(t, dir, "module.conf", "")
	write(t, dir, "otel.conf", `
		map $http_traceparent $otel_trace_id       { ~^00-(?<trace>[0-9a-f]+)- $trace; default 99999999999999999999999999999999; }
		map $http_traceparent $otel_parent_id      { ~^00-[0-9a-f]+-(?<parent>[0-9a-f]+)- $parent; default ""; }
		map $http_traceparent $otel_parent_sampled { ~-01$ 1; default 0; }
		map $otel_trace_id    $otel_span_id        { default 1111111111111111; }`)
	write(t, dir, "upstream.conf", "upstream edge_upstream { server "+addr+" max_fails=0; keepalive 4; }")

	global := "daemon off;"
	if os.Getuid() == 0 { // its processes would be another user's, who may not read the test's folder
		global += " user root;"
	}
	cmd := exec.CommandContext(t.Context(), nginx, "-c", filepath.Join(dir, "nginx.conf"), "-p", dir, "-g", global)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.ExtraFiles = []*os.File{front.file, health.file} // 3 and 4
	cmd.Env = append(os.Environ(), "NGINX=3;4;")
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	front.handedOver(t)
	health.handedOver(t)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			line := map[string]any{}
			if err := json.Unmarshal(s.Bytes(), &line); err != nil {
				t.Errorf("the log has the line %q: %v", s.Text(), err)
			}
			e.mu.Lock()
			e.lines = append(e.lines, line)
			e.mu.Unlock()
		}
	}()
	ended := make(chan error, 1)
	go func() { <-read; ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := <-ended; err != nil && t.Context().Err() == nil {
			t.Errorf("nginx: %v: %s", err, errors.String())
		}
	})
	until(t, func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v: %s", err, errors.String())
		default:
		}
		resp, err := http.Get(e.health)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	return e
}

// line returns the line of the log that do finds.
func (e *edge) line(t *testing.T, path string, status int) (found map[string]any) {
	t.Helper()
	until(t, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, l := range e.lines {
			if l["url.path"] == path && l["http.response.status_code"] == float64(status) {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("waited in vain")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// service is the proxy's handler, over albums in memory. It tells each request's headers.
func service(t *testing.T) (addr string, headers func() http.Header) {
	t.Helper()
	handler := albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Proxy: true})
	var mu sync.Mutex
	var last http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		last = r.Header.Clone()
		last.Set("Host", r.Host)
		mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), func() http.Header {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

// send returns the status, the headers and the body of the response.
func send(t *testing.T, method, url, body string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("traceparent", traceparent)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, b
}

func TestProxies(t *testing.T) {
	t.Parallel()
	addr, headers := service(t)
	e := start(t, addr)
	status, _, body := send(t, "GET", e.url+"/albums/1?secret=Coltrane", "")
	if !strings.Contains(string(body), `"id":1`) || status != 200 {
		t.Fatalf("%d %s, want the album", status, body)
	}
	h := headers()
	if h.Get("traceparent") != traceparent || h.Get("X-Forwarded-For") != "127.0.0.1" || "http://"+h.Get("Host") != e.url {
		t.Errorf("the proxy was sent %v", h)
	}
	line := e.line(t, "/albums/1", 200)
	if line["trace_id"] != traceID || line["http.request.method"] != "GET" || line["service.name"] != "edge" || line["upstream.address"] != addr {
		t.Errorf("the log has %v", line)
	}
	if text := fmt.Sprint(line); strings.Contains(text, "Coltrane") || strings.Contains(text, "remote") {
		t.Errorf("the log tells who asked, or what for: %v", line)
	}
	// The service's error responses pass unchanged: a 404 has the service's problem.
	if status, h, body := send(t, "GET", e.url+"/albums/99", ""); status != 404 || h.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(body), "errors") && !strings.Contains(string(body), "album") {
		t.Errorf("%d %s %s, want the service's problem", status, h.Get("Content-Type"), body)
	}
	if status, _, _ := send(t, "POST", e.url+"/albums", `{"title":"Blue Train","artist":"\u0022 Coltrane","price":9.99}`); status != 201 {
		t.Errorf("POST: %d, want 201", status)
	}
	// A path that would break a line that is not escaped.
	send(t, "GET", e.url+"/%22%0a%5c", "")
	if line := e.line(t, "/\"\n\\", 404); line["trace_id"] != traceID {
		t.Errorf("the log has %v", line)
	}
}

// Parent-based sampling: traces that start at the edge are sampled, probes are not.
func TestSampled(t *testing.T) {
	t.Parallel()
	addr, _ := service(t)
	e := start(t, addr)
	for _, tt := range []struct{ path, parent, want string }{
		{"/albums/1", "", "on"},
		{"/albums/2", traceparent, "on"},
		{"/albums/3", strings.TrimSuffix(traceparent, "1") + "0", "off"},
		{"/healthz", "", "off"},
		{"/metrics", traceparent, "off"},
		{"/metricsx", "", "on"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", e.url+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.parent != "" {
			req.Header.Set("traceparent", tt.parent)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if line := e.line(t, tt.path, resp.StatusCode); line["sampled"] != tt.want {
			t.Errorf("%s with the parent %q: %v, want %s", tt.path, tt.parent, line, tt.want)
		}
	}
}

// The edge has the proxy's body size limits and errors.
func TestBodies(t *testing.T) {
	t.Parallel()
	addr, _ := service(t)
	e := start(t, addr)
	for _, tt := range []struct {
		path  string
		bytes int
		edge  bool // refuses it
	}{
		{"/albums", albumhttp.DefaultMaxBody, false},
		{"/albums", albumhttp.DefaultMaxBody + 1, true},
		{"/albums/batch", albumhttp.DefaultMaxBody + 1, false},
		{"/albums/batch", 10 << 20, false},
		{"/albums/batch", 10<<20 + 1, true},
	} {
		sent := fmt.Sprintf("%s?n=%d", tt.path, tt.bytes)
		status, h, body := send(t, "POST", e.url+sent, `"`+strings.Repeat("x", tt.bytes-2)+`"`)
		var problem struct {
			Status  int
			TraceID string `json:"trace_id"`
		}
		if err := json.Unmarshal(body, &problem); err != nil || h.Get("Content-Type") != "application/problem+json" || problem.Status != status {
			t.Errorf("%s of %d bytes: %d %s %s, %v; want a problem", tt.path, tt.bytes, status, h.Get("Content-Type"), body, err)
		}
		if refused := status == 413; refused != tt.edge {
			t.Errorf("%s of %d bytes: %d", tt.path, tt.bytes, status)
		}
		if tt.edge && problem.TraceID != traceID {
			t.Errorf("the refusal has the trace %q", problem.TraceID)
		}
	}
}

// A proxy that is down gives 502, one that times out 504.
func TestProxyUnavailable(t *testing.T) {
	t.Parallel()
	e := start(t, clitest.ClosedAddr(t))
	status, h, body := send(t, "GET", e.url+"/albums", "")
	if status != 502 || h.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(body), traceID) {
		t.Errorf("%d %s %s, want a problem of 502 with the trace", status, h.Get("Content-Type"), body)
	}
	if line := e.line(t, "/albums", 502); line["trace_id"] != traceID {
		t.Errorf("the log has %v", line)
	}
	// Health is of the edge alone.
	if status, _, _ := send(t, "GET", e.health, ""); status != 200 {
		t.Errorf("health: %d", status)
	}
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/internal/cli"
)

// call runs labtool and returns stdout, stderr and the exit code.
func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), args, os.Getenv, &out, &errs)
	code = cli.Code("labtool", &errs, err) // which writes
	return out.String(), errs.String(), code
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"list"}, {"get"}, {"get", "a", "b"}, {"put", "a"}, {"smoke"}, {"cat"}, {"prepare"}} {
		if _, _, code := call(t, args...); code != 2 {
			t.Errorf("labtool %q exits with %d, want 2", args, code)
		}
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/down" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("Content-Type"), body)
	}))
	defer srv.Close()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"get", srv.URL}, "GET  "},
		{[]string{"put", srv.URL, `{"faults":[]}`}, `PUT application/json {"faults":[]}`},
		{[]string{"delete", srv.URL}, "DELETE  "},
	} {
		if out, _, code := call(t, tt.args...); out != tt.want || code != 0 {
			t.Errorf("labtool %q = %q, %d, want %q, 0", tt.args, out, code, tt.want)
		}
	}
	out, _, code := call(t, "get", srv.URL+"/down")
	if code != 1 || out != "" {
		t.Errorf("get of what is down = %q, %d, want nothing and 1", out, code)
	}
	srv.Close()
	if _, _, code := call(t, "get", srv.URL); code != 1 {
		t.Errorf("get of an unavailable service exits with %d, want 1", code)
	}
}

// The smoke test begins when the service has a backend.
func TestSmokeWaits(t *testing.T) { // not parallel: reachableWithin
	defer func(d time.Duration) { reachableWithin = d }(reachableWithin)
	reachableWithin = 5 * time.Minute
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= 3 {
			http.Error(w, "no store yet", http.StatusBadGateway)
		}
	}))
	defer srv.Close()
	if out, _, _ := call(t, "smoke", srv.URL); strings.Contains(out, "502") || !strings.Contains(out, " 1  GET  /albums/1 \n    200 OK: ok\n") {
		t.Errorf("it did not wait: %s", out)
	}
}

func init() { reachableWithin = 2 * time.Second }

// The exit code and the error are those of the smoke test; internal/smoke tests more.
func TestSmoke(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	out, stderr, code := call(t, "smoke", srv.URL+"/")
	if code != 1 || !strings.Contains(out, "    404 Not Found: WRONG, want [200]\n") || !strings.Contains(stderr, "9 of 10 responses were wrong: 1 (GET /albums/1): 404, want 200; ") {
		t.Errorf("exit code %d, %s%s", code, out, stderr)
	}
	for _, url := range []string{"localhost:9070", "http://127.0.0.1:1"} {
		if _, stderr, code := call(t, "smoke", url); code != 1 || !strings.Contains(stderr, "labtool: ") {
			t.Errorf("smoke %s exits with %d, %s", url, code, stderr)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "otlp.jsonl")
	if err := os.WriteFile(path, []byte("first\nsecond\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"cat", path}, "first\nsecond\n", 0},
		{[]string{"cat", path, "6"}, "second\n", 0},
		{[]string{"cat", path, "100"}, "", 0}, // it may have been rotated in between
		{[]string{"cat", path, "-1"}, "", 1},
		{[]string{"cat", path + "-none"}, "", 1},
		{[]string{"ls", dir}, `{"name":"otlp.jsonl","size":13}` + "\n", 0},
		{[]string{"ls", path + "-none"}, "", 1},
	} {
		if out, _, code := call(t, tt.args...); out != tt.want || code != tt.code {
			t.Errorf("labtool %q = %q, %d, want %q, %d", tt.args, out, code, tt.want, tt.code)
		}
	}
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	tools, data := t.TempDir(), t.TempDir()
	own := fmt.Sprintf("%s=%d:%d", data, os.Getuid(), os.Getgid())
	for range 2 { // at every start
		out, stderr, code := call(t, "prepare", tools, own)
		if code != 0 || !strings.Contains(out, data) {
			t.Fatalf("prepare = %q, %q, %d", out, stderr, code)
		}
	}
	entries, err := os.ReadDir(tools)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(tools, "labtool"))
	if err != nil || info.Mode() != 0o555 || len(entries) != 1 {
		t.Errorf("the folder of tools holds %v, labtool has mode %v: %v", entries, info.Mode(), err)
	}
	for _, bad := range []string{data, data + "=1", data + "=x:1", data + "=-1:1", data + "-none=1:1"} {
		if _, _, code := call(t, "prepare", tools, bad); code != 1 {
			t.Errorf("prepare %s exits with %d, want 1", bad, code)
		}
	}
}

func TestPrepareSetsOwners(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	data := t.TempDir()
	if _, stderr, code := call(t, "prepare", t.TempDir(), data+"=999:998"); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if info, err := os.Stat(data); err != nil || !owned(info, 999, 998) {
		t.Errorf("%s does not belong to 999:998: %v", data, err)
	}
}

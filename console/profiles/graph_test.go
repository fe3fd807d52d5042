package profiles

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/proc"
)

// TestMain is also the console that a Viewer starts to draw a graph.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == DrawCommand {
		if err := Draw(os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// dot makes a shell script the dot of this test; "": there is none.
func dot(t *testing.T, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(dir, "dot"), []byte("#!/bin/sh\ncd "+dir+"\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		dir += string(os.PathListSeparator) + os.Getenv("PATH")
	}
	t.Setenv("PATH", dir)
	return strings.Split(dir, string(os.PathListSeparator))[0]
}

func TestGraph(t *testing.T) {
	folder := t.TempDir()
	at := "/" + run + "/" + stored(t, folder, "shop", time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)) + "/"
	get := func(v *Viewer, ctx context.Context, path string) (int, string) {
		w := httptest.NewRecorder()
		v.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	for name, tt := range map[string]struct {
		script string
		wait   time.Duration
		code   int
		text   string
	}{
		"drawn":        {`cat >/dev/null; echo '<svg id="drawn"></svg>'`, time.Hour, 200, `<svg id="drawn">`},
		"no dot":       {"", time.Hour, 501, "dot is not installed"},
		"dot fails":    {"exit 3", time.Hour, 500, "Could not execute dot"},
		"dot is stuck": {"sleep 1000 & wait", 50 * time.Millisecond, 504, "did not draw the graph within 50ms, and was killed"},
	} {
		t.Run(name, func(t *testing.T) {
			dot(t, tt.script)
			v := NewViewer(folder)
			v.graphTimeout = tt.wait
			code, body := get(v, t.Context(), at+"graph?tf=route%3DGET")
			if code != tt.code || !strings.Contains(body, tt.text) {
				t.Errorf("%d %.2000s, want %d, %s", code, body, tt.code, tt.text)
			}
			if code != 200 && !strings.Contains(body, `<a href="flamegraph?tf=route%3DGET">`) {
				t.Errorf("no link to the flame graph: %s", body)
			}
		})
	}
}

// While dot hangs, the other pages work. When the client disconnects, dot ends with its children.
func TestStuckDot(t *testing.T) {
	folder := t.TempDir()
	at := "/" + run + "/" + stored(t, folder, "shop", time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)) + "/"
	dir := dot(t, "sleep 1000 &\necho $$ $! > pids.part; mv pids.part pids; wait")
	v := NewViewer(folder)
	v.graphTimeout = time.Hour
	ctx, disconnect := context.WithCancel(t.Context())
	defer disconnect()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		v.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, at+"graph", nil))
	}()
	var pids []string
	until(t, "dot runs", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "pids"))
		pids = strings.Fields(string(b))
		return err == nil
	})
	w := httptest.NewRecorder()
	if v.ServeHTTP(w, httptest.NewRequest(http.MethodGet, at+"flamegraph", nil)); w.Code != 200 {
		t.Errorf("the flame graph while dot hangs: %d %.200s", w.Code, w.Body)
	}
	disconnect()
	<-ended
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "process "+text+" has ended", func() bool { return dead(pid) })
	}
}

// If the console ends, so do dot and its children.
func TestGraphAlone(t *testing.T) {
	folder := t.TempDir()
	page := "/" + run + "/" + stored(t, folder, "shop", time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)) + "/graph"
	dir := dot(t, "sleep 1000 &\necho $$ $! > pids.part; mv pids.part pids; wait")
	cmd := exec.Command(os.Args[0], DrawCommand, folder, page)
	cmd.SysProcAttr = proc.Group()
	console, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it has ended, if all is well
		_ = cmd.Wait()
	}()
	var pids []string
	until(t, "dot runs", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "pids"))
		pids = strings.Fields(string(b))
		return err == nil
	})
	console.Close()
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "process "+text+" has ended", func() bool { return dead(pid) })
	}
}

// While other graphs are drawn, one waits; then the response says so.
func TestGraphWaits(t *testing.T) {
	folder := t.TempDir()
	page := "/" + run + "/" + stored(t, folder, "shop", time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)) + "/graph"
	dot(t, "exit 3")
	v := NewViewer(folder)
	v.graphTimeout = time.Millisecond
	for range cap(v.graphs) {
		v.graphs <- struct{}{}
	}
	w := httptest.NewRecorder()
	if v.ServeHTTP(w, httptest.NewRequest(http.MethodGet, page, nil)); w.Code != 503 || !strings.Contains(w.Body.String(), "Other graphs are being drawn") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	v.graphTimeout = time.Hour
	ctx, disconnect := context.WithCancel(t.Context())
	disconnect()
	v.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, page, nil)) // returns
}

// dead reports whether a process has ended, also if nobody has reaped it.
func dead(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 minutes: %s", what)
		}
	}
}

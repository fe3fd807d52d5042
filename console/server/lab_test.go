package server

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

func askLab(t *testing.T, h http.Handler) (a labResponse) {
	t.Helper()
	resp, body := do(t, h, http.MethodGet, "/-/lab", "")
	if err := json.Unmarshal([]byte(body), &a); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/-/lab = %d %s", resp.StatusCode, body)
	}
	return a
}

// hold takes a lab's lock, as its supervisor does.
func hold(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "lab.lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

func TestLab(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none")
	if a := askLab(t, console(t, Config{State: none})); a.Phase != "down" || a.Folder != none || a.Status != nil || a.Detail != "" {
		t.Errorf("no folder: %+v", a)
	}
	dir, err := os.MkdirTemp("", "lab") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := console(t, Config{State: dir})
	if a := askLab(t, h); a.Phase != "down" {
		t.Errorf("an empty folder: %+v", a)
	}
	saved := filepath.Join(dir, "state.json")
	if err := os.WriteFile(saved, []byte(`{"phase":"up"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if a := askLab(t, h); a.Phase != "killed" || !strings.Contains(a.Detail, "killed") {
		t.Errorf("a supervisor that is gone: %+v", a)
	}
	if err := os.WriteFile(saved, []byte(`{`), 0o644); err != nil {
		t.Fatal(err)
	}
	if a := askLab(t, h); a.Phase != "down" || !strings.Contains(a.Detail, "state.json") {
		t.Errorf("a state that cannot be read: %+v", a)
	}
	hold(t, dir)
	if a := askLab(t, h); a.Phase != "silent" || !strings.Contains(a.Detail, "does not respond") {
		t.Errorf("a supervisor that does not answer: %+v", a)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "lab.sock"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"phase":"up","port_offset":100,"stores":["http://h:9080"],"programs":[{"name":"console","state":"ready","version":"v1.2.3"}]}`))
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	if a := askLab(t, h); a.Phase != "up" || a.Status == nil || a.Status.PortOffset != 100 || !slices.Equal(a.Status.Stores, []string{"http://h:9080"}) || len(a.Status.Components) != 1 || a.Status.Components[0].Version != "v1.2.3" {
		t.Errorf("a lab: %+v", a)
	}
}

// The readiness of each container is probed.
func TestContainers(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	status.Store(http.StatusOK)
	asked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer asked.Close()
	c := Config{State: t.TempDir(), PortOffset: 7, Containers: []Container{{"jaeger", asked.URL + "/"}, {"album-store-1", asked.URL + "/readyz"}}}
	a := askLab(t, console(t, c))
	if a.Phase != "up" || !a.Containers || a.Status == nil || a.Status.PortOffset != 7 || len(a.Status.Components) != 2 ||
		a.Status.Components[0].Name != "jaeger" || a.Status.Components[1].Name != "album-store-1" || a.Status.Components[1].State != "ready" {
		t.Errorf("all ready: %+v", a)
	}
	// Where the runs are in the container is of no use outside.
	if _, body := do(t, console(t, c), http.MethodGet, "/-/runs", ""); !strings.Contains(body, `"folder":""`) {
		t.Errorf("/-/runs = %s", body)
	}
	status.Store(http.StatusServiceUnavailable)
	c.Containers[0].Ready = "http://127.0.0.1:1/" // tcpmux: nobody has it any more
	a = askLab(t, console(t, c))
	if a.Phase != "unready" || a.Status.Components[0].State != "unready" || !strings.Contains(a.Status.Components[0].Detail, "refused") ||
		a.Status.Components[1].State != "unready" || !strings.Contains(a.Status.Components[1].Detail, "/readyz: 503 Service Unavailable") {
		t.Errorf("none ready: %+v", a)
	}
}

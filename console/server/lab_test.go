package server

import (
	"encoding/json"
	"fmt"
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

// While the lab starts, a backend that does not respond yet is not down.
func TestStarting(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "lab") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	hold(t, dir)
	l, err := net.Listen("unix", filepath.Join(dir, "lab.sock"))
	if err != nil {
		t.Fatal(err)
	}
	var status atomic.Value
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, status.Load()) })}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	away := closed(t)
	const how = `; "go run ./lab status" shows the progress of the lab`
	for _, tt := range []struct {
		phase, prometheus string
		want              string
		containers        []Container
	}{
		{"starting", `"state":"building","packages_built":12,"packages":345`, "Prometheus is being built (12 of 345 packages)" + how, nil},
		{"starting", `"state":"building"`, "Prometheus is being built" + how, nil},
		{"starting", `"state":"downloading"`, "Prometheus is being downloaded" + how, nil},
		{"starting", `"state":"waiting"`, "Prometheus has not started yet" + how, nil},
		{"starting", `"state":"starting"`, "Prometheus is starting" + how, nil},
		{"starting", `"state":"restarting"`, "Prometheus is down at " + away.String(), nil},
		{"up", `"state":"waiting"`, "Prometheus is down at " + away.String(), nil},
		{"starting", `"state":"building"`, "Prometheus is down at " + away.String(), []Container{{"prometheus", away.String()}}},
	} {
		status.Store(fmt.Sprintf(`{"phase":%q,"programs":[{"name":"jaeger","state":"waiting"},{"name":"prometheus",%s}]}`, tt.phase, tt.prometheus))
		h := console(t, Config{State: dir, Prometheus: away, Jaeger: away, Containers: tt.containers})
		resp, body := do(t, h, http.MethodGet, "/-/prometheus/api/v1/query?query=up", "")
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != http.StatusBadGateway || !strings.HasPrefix(answer.Error, tt.want) {
			t.Errorf("%s, %s: %d %s, want %s", tt.phase, tt.prometheus, resp.StatusCode, body, tt.want)
		}
	}
	status.Store(`{"phase":"starting","programs":[{"name":"jaeger","state":"waiting"}]}`)
	for _, path := range []string{"/api/services", "/-/traces?service=a", "/-/map?since=now-5m"} {
		if _, body := do(t, console(t, Config{State: dir, Prometheus: away, Jaeger: away}), http.MethodGet, path, ""); !strings.Contains(body, "Jaeger has not started yet") {
			t.Errorf("%s: %s", path, body)
		}
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

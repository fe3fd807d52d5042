package stop

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

// A supervisor writes what it could not stop after it has released the state folder.
func TestLastError(t *testing.T) {
	exitTime = 5 * time.Minute
	state, err := os.MkdirTemp("", "lab") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	if err := os.Mkdir(filepath.Join(state, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `while [ ! -e stopped ]; do sleep 0.1; done; sleep 0.3; echo "lab: checkout left processes" > logs/`+supervisor.ErrName)
	cmd.Dir = state
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	id, err := proc.Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(state, "lab.sock"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(supervisor.Status{Supervisor: id})
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		if err := os.WriteFile(filepath.Join(state, "stopped"), nil, 0o644); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	srv := &http.Server{Handler: mux}
	go srv.Serve(l)
	defer srv.Close()
	var stderr strings.Builder
	if err := Lab(context.Background(), supervisor.NewClient(state), state, &stderr); err != nil || stderr.String() != "lab: checkout left processes\n" {
		t.Errorf("%v, %q", err, stderr.String())
	}
	if _, err := os.Stat(filepath.Join(state, "logs", supervisor.ErrName)); !os.IsNotExist(err) {
		t.Errorf("the error is still there: %v", err)
	}
}

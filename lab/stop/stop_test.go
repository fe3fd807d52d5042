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
	"syscall"
	"testing"
	"time"

	"soundcheck/internal/cli/clitest"
	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

// A supervisor writes what it could not stop after it has released the state folder.
func TestLastError(t *testing.T) { // not parallel: it sets the times
	exitTime, reportEvery = 5*time.Minute, time.Hour
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
	if err := Lab(context.Background(), supervisor.NewClient(state), id, state, &stderr); err != nil || stderr.String() != "lab: checkout left processes\n" {
		t.Errorf("%v, %q", err, stderr.String())
	}
	if _, err := os.Stat(filepath.Join(state, "logs", supervisor.ErrName)); !os.IsNotExist(err) {
		t.Errorf("the error is still there: %v", err)
	}
}

// A supervisor that owns the folder but does not respond is waited for, and that is shown.
func TestNoResponse(t *testing.T) { // not parallel: it sets the time
	reportEvery = 100 * time.Millisecond
	state, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	lock, err := proc.TryLock(filepath.Join(state, "lab.lock"), os.O_CREATE|os.O_RDWR, syscall.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	l, err := net.Listen("unix", filepath.Join(state, "lab.sock")) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	var stderr clitest.Output
	ended := make(chan error, 1)
	go func() { ended <- Lab(ctx, supervisor.NewClient(state), proc.ID{}, state, &stderr) }()
	await(t, &stderr, " s: still stopping\n")
	interrupt()
	if err := <-ended; err == nil || strings.Contains(err.Error(), "continues to stop") {
		t.Errorf("interrupted: %v", err)
	}
}

// What a supervisor that was killed has left, and does not end at once, is named.
func TestSweep(t *testing.T) { // not parallel: it sets the time
	reportEvery = 100 * time.Millisecond
	state := t.TempDir()
	var stderr clitest.Output
	if left, err := Sweep(state, &stderr); left || err != nil || stderr.String() != "" {
		t.Errorf("nothing left: %t, %v, %q", left, err, stderr.String())
	}
	cmd := exec.Command("sh", "-c", "trap '' TERM; : > deaf; while :; do sleep 0.1; done")
	cmd.Dir, cmd.SysProcAttr = state, proc.Group()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(state, "deaf")); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	id, err := proc.Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(supervisor.Status{Components: []supervisor.ComponentStatus{{Name: "checkout", From: supervisor.FromCommand, Process: id}, {Name: "ended"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "state.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		left, err := Sweep(state, &stderr)
		if !left {
			t.Error("nothing was left")
		}
		ended <- err
	}()
	await(t, &stderr, " s: still stopping checkout, SIGKILL 10 s after SIGTERM\n")
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// await waits until a line was written.
func await(t *testing.T, out *clitest.Output, line string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !strings.Contains(out.String(), line); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q, want %q", out.String(), line)
		}
	}
}

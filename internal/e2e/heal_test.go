package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

// wantNothingLeft fails if a process of the lab lives or a port is still taken.
func (l *lab) wantNothingLeft(t *testing.T, processes []proc.ID) {
	t.Helper()
	for _, id := range processes {
		if id.Alive() {
			t.Errorf("process %d still runs", id.PID)
		}
	}
	if err := supervisor.CheckPorts(l.Components()); err != nil {
		t.Error(err)
	}
}

// probe calls the proxy's /healthz, which needs no backend, until stop is closed, and returns the longest time from one
// response to the next. A stalled host delays one of them, whenever it stalls.
func (l *lab) probe(t *testing.T, stop <-chan struct{}) func() time.Duration {
	longest := make(chan time.Duration, 1)
	client := &http.Client{Timeout: 20 * time.Second}
	go func() {
		most, last, tick := time.Duration(0), time.Now(), time.NewTicker(10*time.Millisecond)
		defer func() { tick.Stop(); longest <- max(most, time.Since(last)) }()
		for {
			select {
			case <-stop:
				return
			case <-t.Context().Done():
				return
			case <-tick.C:
			}
			if resp, err := client.Get(l.Proxy() + "/healthz"); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			now := time.Now()
			most, last = max(most, now.Sub(last)), now
		}
	}()
	return func() time.Duration { return <-longest }
}

// killEach kills one program after the other. It returns the latency of the slowest response meanwhile, and probe's.
func (l *lab) killEach(t *testing.T) (slowest, control time.Duration, calls int) {
	t.Helper()
	stop := make(chan struct{})
	wait, probed := l.slowest(t, stop), l.probe(t, stop)
	for _, p := range l.status(t).Components {
		if err := syscall.Kill(p.Process.PID, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", p.Name, err)
		}
		eventually(t, p.Name+" is back", func() error {
			for _, now := range l.status(t).Components {
				if now.Name == p.Name && (now.Restarts != 1 || now.Process == p.Process) {
					return fmt.Errorf("%d restarts, pid %d", now.Restarts, now.Process.PID)
				}
			}
			return l.allReady(t)
		})
	}
	close(stop)
	slowest, calls = wait()
	return slowest, probed(), calls
}

// TestHeal kills each program during load. The lab recovers by itself, and a backend that is down blocks no caller.
func TestHeal(t *testing.T) {
	l := newLab(t)
	l.up(t)
	// What the slowest call takes here while nothing is wrong.
	undisturbed := make(chan struct{})
	wait := l.slowest(t, undisturbed)
	l.mustRun(t, 5*time.Minute, "lab", "smoke", "-url", l.Proxy())
	l.verify(t, "10s", "20")
	close(undisturbed)
	usual, _ := wait()
	slowest, control, calls := l.killEach(t)
	// A stalled host delays /healthz too; a backend that blocks callers does not.
	most := 2*time.Second + 3*max(usual, control)
	t.Logf("slowest of %d responses: %s; before that: %s; /healthz meanwhile: %s", calls, slowest, usual, control)
	if slowest > most {
		t.Errorf("a response took %s while programs were killed, want %s at most; before that it was %s, and %s for /healthz", slowest, most, usual, control)
	}

	// Telemetry flows again, through all that was killed.
	l.verify(t, "10s", "20")

	// The supervisor itself is killed: the services go on, and down still ends
	// everything, but for a process that is none of the lab's.
	st := l.status(t)
	if err := syscall.Kill(st.Supervisor.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the supervisor is gone", func() error {
		if st.Supervisor.Alive() {
			return errors.New("alive")
		}
		return nil
	})
	l.mustRun(t, 5*time.Minute, "lab", "smoke", "-url", l.Proxy())
	if _, _, code := l.run(t, 5*time.Minute, "lab", "status", "-state", l.State); code != 1 {
		t.Errorf("status without a supervisor: exit code %d, want 1", code)
	}
	l.mustRun(t, 5*time.Minute, "lab", "down", "-state", l.State)
	var processes []proc.ID
	for _, p := range st.Components {
		processes = append(processes, p.Process)
	}
	l.wantNothingLeft(t, processes)
	if _, err := os.Stat(l.State + "/state.json"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("state.json is still there: %v", err)
	}
}

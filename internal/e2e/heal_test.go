package e2e

import (
	"errors"
	"fmt"
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

// killEach kills one program after the other, and returns how long the slowest response took meanwhile.
func (l *lab) killEach(t *testing.T, restarts int) (slowest time.Duration, calls int) {
	t.Helper()
	stop := make(chan struct{})
	wait := l.slowest(t, stop)
	for _, p := range l.status(t).Components {
		if err := syscall.Kill(p.Process.PID, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", p.Name, err)
		}
		eventually(t, p.Name+" is back", func() error {
			for _, now := range l.status(t).Components {
				if now.Name == p.Name && (now.Restarts != restarts || now.Process == p.Process) {
					return fmt.Errorf("%d restarts, pid %d", now.Restarts, now.Process.PID)
				}
			}
			return l.allReady(t)
		})
	}
	close(stop)
	return wait()
}

// TestHeal kills each program during load. The lab comes back by itself, and no
// caller waits for a backend that is gone.
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
	const attempts = 3 // a machine that stands still delays a response once, a backend that is waited for each time
	for attempt := 1; ; attempt++ {
		slowest, calls := l.killEach(t, attempt)
		most := 2*time.Second + 3*usual
		t.Logf("attempt %d: slowest of %d responses: %s; before that: %s", attempt, calls, slowest, usual)
		if slowest <= most {
			break
		}
		if attempt == attempts {
			t.Errorf("a response took %s while programs were killed, want %s at most; before that it was %s", slowest, most, usual)
			break
		}
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

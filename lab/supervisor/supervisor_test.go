package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/plan"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("backend")
	l.add("store", "-ready-after", "300ms")
	l.add("proxy").Needs = []string{"store"}
	l.up()
	got := l.events()
	if slices.Index(got, "begin proxy") < slices.Index(got, "ready store") {
		t.Errorf("events %q: the proxy began before the store that it needs was ready", got)
	}
	st, err := NewClient(l.State).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Phase != Up || st.State != l.State || st.Supervisor.PID != os.Getpid() || !st.Supervisor.Alive() || st.StartedAt.IsZero() {
		t.Errorf("status %+v", st)
	}
	var sum int64
	for i, p := range st.Components {
		want := l.programs[i]
		if p.Name != want.Name || p.Address != want.Address || p.State != Ready || p.Detail != "" || !p.Process.Alive() ||
			p.Restarts != 0 || p.Since.IsZero() || p.Log != filepath.Join(l.Logs(), want.Name+".log") || p.Memory < 1<<20 {
			t.Errorf("status of %s: %+v", want.Name, p)
		}
		sum += p.Memory
	}
	if st.Memory <= sum {
		t.Errorf("memory %d of all with the supervisor, %d without", st.Memory, sum)
	}
	saved, err := Saved(l.State)
	if err != nil || saved == nil {
		t.Fatalf("Saved = %v, %v", saved, err)
	}
	for i, p := range saved.Components {
		if p.Process != st.Components[i].Process {
			t.Errorf("%s is saved as process %+v, want %+v", p.Name, p.Process, st.Components[i].Process)
		}
	}

	before := len(got)
	l.stop()
	if want := []string{"end proxy", "end store", "end backend"}; !slices.Equal(l.events()[before:], want) {
		t.Errorf("at the end %q, want %q", l.events()[before:], want)
	}
	if l.err != nil {
		t.Errorf("Run = %v", l.err)
	}
}

// A second supervisor does not affect the first one.
func TestSecondRun(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store")
	l.up()
	second := newLab(t)
	second.Lab = l.Lab
	second.add("other")
	if err := Run(t.Context(), second.Lab, second.programs, second.build, discard); !errors.Is(err, ErrRunning) {
		t.Errorf("a second Run = %v, want %v", err, ErrRunning)
	}
	if left, err := Sweep(l.State); left || !errors.Is(err, ErrRunning) {
		t.Errorf("Sweep beside a supervisor = %v, %v, want %v", left, err, ErrRunning)
	}
	if st := l.state("store", Ready); st.Restarts != 0 {
		t.Errorf("the store was restarted %d times", st.Restarts)
	}
	if got := l.events(); slices.Contains(got, "begin other") {
		t.Errorf("events %q: the second lab began", got)
	}
}

// Of many that start at the same moment one wins.
func TestRunConcurrent(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	results := make(chan error, 5)
	for range cap(results) {
		wg.Go(func() { results <- Run(ctx, l.Lab, l.programs, l.build, discard) })
	}
	for range cap(results) - 1 {
		if err := <-results; !errors.Is(err, ErrRunning) {
			t.Errorf("Run = %v, want %v", err, ErrRunning)
		}
	}
	eventually(t, "one is up", func() bool {
		st, err := NewClient(l.State).Status(t.Context())
		return err == nil && st.Phase == Up
	})
	cancel()
	wg.Wait()
	if err := <-results; err != nil {
		t.Errorf("Run of the one that won = %v", err)
	}
	if got, want := l.events(), []string{"begin store", "ready store", "end store"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// Concurrent calls of Running do not mistake each other for a supervisor.
func TestRunningConcurrent(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	touch(t, filepath.Join(l.State, lockName))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if running, err := Running(l.State); running || err != nil {
					t.Errorf("Running = %v, %v, want false", running, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if running, err := Running(filepath.Join(l.State, "nowhere")); running || err != nil {
		t.Errorf("Running where no folder is = %v, %v, want false", running, err)
	}
}

func TestStopByClient(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store")
	l.up()
	c, st, err := Connect(t.Context(), l.State)
	if err != nil || c == nil || st.Phase != Up {
		t.Fatalf("Connect = %v, %+v, %v", c, st, err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.ended(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if c, _, err := Connect(t.Context(), l.State); c != nil || err != nil {
		t.Errorf("Connect after the end = %v, %v, want no client", c, err)
	}
}

// TestStopAtAnyTime ends the lab in each of its states.
func TestStopAtAnyTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		state State
		args  []string
	}{
		{"while one starts", Started, []string{"-ready-after", "10m"}},
		{"while one waits for another", Waiting, nil},
		{"while one waits to be restarted", Restarting, nil},
		{"while one does not respond", Unready, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			l := newLab(t)
			unready := filepath.Join(l.State, "unready")
			l.add("other")
			l.add("one", append(tt.args, "-unready", unready, "-exit-file", filepath.Join(l.State, "exit"))...)
			switch tt.state {
			case Started:
				l.start()
			case Waiting:
				l.programs[0].Args = append(l.programs[0].Args, "-ready-after", "10m")
				l.programs[1].Needs = []string{"other"}
				l.start()
				l.state("other", Started)
			case Restarting:
				l.up()
				touch(t, filepath.Join(l.State, "exit"))
				kill(t, l.state("one", Ready))
			case Unready:
				l.up()
				touch(t, unready)
			}
			l.state("one", tt.state)
			before := time.Since(begun) // on this machine, with all that it has to do
			begun = time.Now()
			l.stop()
			if l.err != nil {
				t.Errorf("Run = %v", l.err)
			}
			if took := time.Since(begun); took > 20*time.Second+10*before {
				t.Errorf("the stop took %s, to get there %s", took, before)
			}
		})
	}
}

func kill(t *testing.T, p ComponentStatus) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatalf("kill %s: %v", p.Name, err)
	}
}

func TestPortsInUse(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store")
	l.add("collector")
	l.programs[1].Ports = append(l.programs[1].Ports, plan.Port{Number: freePort(t), Use: "OTLP/gRPC"})
	var want []string
	for i, use := range []string{"store needs it (HTTP)", "collector needs it (OTLP/gRPC)"} {
		port := l.programs[i].Ports[i].Number
		taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		want = append(want, fmt.Sprintf("port %d is in use, %s", port, use))
	}
	l.start()
	err := l.ended()
	wantError(t, err, append(want, "-port-offset")...)
	if free := fmt.Sprintf("port %d", l.programs[1].Ports[0].Number); strings.Contains(err.Error(), free) {
		t.Errorf("the error names %s, which is free", free)
	}
	if got := l.events(); len(got[0]) != 0 {
		t.Errorf("events %q: something began", got)
	}
}

// A port on all addresses is taken on 127.0.0.1 too.
func TestPortInUseOnAllAddresses(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	taken, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	wantError(t, CheckPorts([]plan.Component{{Name: "store", Ports: []plan.Port{{Number: port, Use: "HTTP"}}}}), fmt.Sprint(port))
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store")
	l.State = filepath.Join(l.State, strings.Repeat("long/", 20))
	l.start()
	wantError(t, l.ended(), l.State, "too long", "-state")
	// The longest allowed path works.
	l = newLab(t)
	l.add("store")
	l.State = filepath.Join(l.State, strings.Repeat("x", maxSocketPath-len(l.State)-1-len(socketName)-1))
	l.programs[0].Args = append(l.programs[0].Args, "-events", "")
	l.up()
}

// No goroutine outlives Run.
func TestNoGoroutineLeak(t *testing.T) { // not parallel: it looks at all goroutines
	l := newLab(t)
	l.add("store")
	l.add("proxy").Needs = []string{"store"}
	l.up()
	if err := NewClient(l.State).Restart(t.Context(), "store"); err != nil {
		t.Fatal(err)
	}
	kill(t, l.state("proxy", Ready))
	l.await("the proxy is back", func(st Status) bool { return st.program("proxy").Restarts == 1 })
	l.stop()
	var stacks strings.Builder
	defer func() {
		if t.Failed() {
			t.Log(stacks.String())
		}
	}()
	eventually(t, "no goroutine of the supervisor is left", func() bool {
		stacks.Reset()
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc([]string{"supervisor.Run(", "supervisor.(*", "build.(*", "net/http.(*", "exec.(*"},
			func(part string) bool { return strings.Contains(stacks.String(), part) })
	})
}

package supervisor

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
)

// superviseFleet makes the test program run a lab: the fleet that it reads.
const superviseFleet = "supervise-fleet"

type fleet struct {
	Lab        plan.Lab
	Components []plan.Component
	Builder    build.Builder
}

func supervise() int {
	var f fleet
	if err := gob.NewDecoder(os.Stdin).Decode(&f); err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := Run(ctx, f.Lab, f.Components, &f.Builder, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		slog.Error(err.Error())
		return 1
	}
	return 0
}

// upElsewhere runs the lab in a process of its own.
func (l *lab) upElsewhere(ready func(Status) bool) (supervisor *exec.Cmd, st Status) {
	l.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	var in, out bytes.Buffer
	if err := gob.NewEncoder(&in).Encode(fleet{l.Lab, l.programs, *l.build}); err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(exe, superviseFleet)
	cmd.Stdin, cmd.Stderr = &in, &out
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
		}
		if _, err := Sweep(l.State); err != nil {
			l.t.Error(err)
		}
		if l.t.Failed() {
			l.t.Logf("the other supervisor:\n%s", out.String())
		}
	})
	eventually(l.t, "the lab is ready", func() bool {
		var err error
		st, err = NewClient(l.State).Status(l.t.Context())
		return err == nil && ready(st) && l.written(st)
	})
	return cmd, st
}

// written reports whether the processes of st are written down. That comes a
// moment after they begin.
func (l *lab) written(st Status) bool {
	saved, err := Saved(l.State)
	if err != nil {
		l.t.Fatal(err)
	}
	return saved != nil && slices.EqualFunc(saved.Components, st.Components, func(a, b ComponentStatus) bool {
		return a.Process == b.Process && a.Build == b.Build
	})
}

// killHard ends the supervisor as a crash would.
func killHard(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
}

// foreign starts a process that is none of the lab's, and returns the identity of
// another that had the same number.
func foreign(t *testing.T) (id, former proc.ID) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = proc.Group()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	id, err := proc.Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return id, proc.ID{PID: id.PID, Start: "before/" + id.Start}
}

func TestSupervisorKilled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	l.hold("backend")
	built := l.add("backend")
	built.Target, built.BuildRank = backend, 1
	l.add("store").Target = service
	l.add("proxy").Target = service
	l.programs[2].Needs = []string{"store"}
	cmd, st := l.upElsewhere(func(st Status) bool {
		return st.program("proxy").State == Ready && st.program("backend").Build.Alive() && st.program("backend").Total > 0
	})
	killHard(t, cmd)

	// The folder is unlocked, although processes still run, and the status file
	// exists.
	if c, _, err := Connect(t.Context(), l.State); c != nil || err != nil {
		t.Errorf("Connect = %v, %v, want no client", c, err)
	}
	for _, p := range l.programs[1:] {
		if got := get(t, p.Address+"/version"); got != "1" {
			t.Errorf("%s answers %q, want 1", p.Name, got)
		}
	}
	saved, err := Saved(l.State)
	if err != nil || saved == nil {
		t.Fatalf("Saved = %v, %v", saved, err)
	}
	if got, want := saved.program("backend").Build, st.program("backend").Build; got != want {
		t.Errorf("saved: the go command is process %+v, want %+v", got, want)
	}

	other, former := foreign(t)
	saved.Components = append(saved.Components, ComponentStatus{Name: "foreign", Process: former, Build: former})
	b, err := json.Marshal(saved)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(l.State, stateName), string(b))
	write(t, filepath.Join(l.State, stateName+".new"), "{") // it was killed while it wrote
	if left, err := Sweep(l.State); !left || err != nil {
		t.Errorf("Sweep = %v, %v, want true", left, err)
	}
	for _, p := range st.Components {
		if p.Process.Alive() {
			t.Errorf("%s is alive after Sweep", p.Name)
		}
	}
	buildGone(t, st.program("backend"))
	if !other.Alive() {
		t.Error("Sweep ended a process that only has a number in common with one of the lab's")
	}
	l.wantNothingLeft()
	if left, err := Sweep(l.State); left || err != nil {
		t.Errorf("a second Sweep = %v, %v, want false", left, err)
	}
}

// The next Run ends what the killed one left, and takes its place and ports.
func TestRunAfterKilled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store")
	l.add("proxy").Needs = []string{"store"}
	cmd, before := l.upElsewhere(func(st Status) bool { return st.Phase == Up })
	killHard(t, cmd)
	l.up()
	for _, p := range before.Components {
		if p.Process.Alive() || l.state(p.Name, Ready).Process == p.Process {
			t.Errorf("%s of the killed lab is alive", p.Name)
		}
	}
}

// After a reboot the numbers are others'.
func TestRunAfterReboot(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store")
	other, former := foreign(t)
	b, err := json.Marshal(Status{Phase: Up, Components: []ComponentStatus{{Name: "store", State: Ready, Process: former}}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(l.State, stateName), string(b))
	l.up()
	l.stop()
	if !other.Alive() {
		t.Error("a process was ended that only has a number in common with one of the lab's")
	}
}

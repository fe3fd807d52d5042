package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/plan"
	"soundcheck/lab/probe"
	"soundcheck/lab/proc"
)

// command gives the lab a program of the user: a shell script, in which $program is a program that serves.
func (l *lab) command(script string, args ...string) *plan.Component {
	l.t.Helper()
	c := l.add("checkout", args...)
	words := append([]string{l.build.Path(program)}, c.Args...)
	c.Command, c.Target, c.Args, c.Dir = strings.ReplaceAll(script, "$program", strings.Join(words, " ")), plan.Component{}.Target, nil, l.t.TempDir()
	return c
}

// child waits until the script has written the PID of its child, and returns its ID.
func (l *lab) child(file string) (id proc.ID) {
	l.t.Helper()
	eventually(l.t, "the PID of the child", func() bool {
		b, _ := os.ReadFile(file)
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err == nil {
			id, err = proc.Identify(pid)
		}
		return err == nil
	})
	return id
}

// A leader that waits for a child, as go run does: the child is stopped with it, and what a crashed leader
// leaves does not keep the port.
func TestCommandGroup(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("backend")
	c := l.command("$program & echo $! > pid; wait")
	c.Needs = []string{"backend"}
	c.ProcessEnv = func() []string { return nil }
	l.up()
	st := l.state("checkout", Ready)
	if st.From != FromCommand || st.Address == "" {
		t.Errorf("%+v", st)
	}
	file := filepath.Join(c.Dir, "pid")
	first := l.child(file)
	if err := syscall.Kill(st.Process.PID, syscall.SIGKILL); err != nil { // the leader alone
		t.Fatal(err)
	}
	l.await("it is back", func(st Status) bool {
		p := st.program("checkout")
		return p.State == Ready && p.Restarts == 1
	})
	if first.Alive() {
		t.Error("the child of the crashed process is alive")
	}
	second := l.child(file)
	if err := NewClient(l.State).Restart(t.Context(), "checkout"); err != nil {
		t.Fatal(err)
	}
	if second.Alive() {
		t.Error("the child is alive after a restart")
	}
	third := l.child(file)
	l.stop()
	if third.Alive() {
		t.Error("the child is alive after the lab")
	}
	if got := strings.Join(l.events(), ","); strings.Count(got, "end checkout") != 3 || !strings.HasSuffix(got, "end checkout,end backend") {
		t.Errorf("events %s: want three children that end themselves, the last one before the backend", got)
	}
}

// What a killed supervisor has left is ended with its children.
func TestCommandSwept(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.command("$program & echo $! > pid; wait")
	l.up()
	id := l.child(filepath.Join(c.Dir, "pid"))
	st := l.state("checkout", Ready)
	if err := st.Process.End(commandGrace); err != nil { // as sweep does
		t.Fatal(err)
	}
	if id.Alive() {
		t.Error("the child is alive")
	}
}

func TestCommandFails(t *testing.T) { // not parallel: it sets the time
	set(t, &minUptime, time.Hour) // what exits takes long on a busy machine
	for name, tt := range map[string]struct {
		script string
		args   []string
		url    bool
		want   []string
	}{
		"exits":          {"echo bad luck; exit 3", nil, true, []string{"start checkout: it exited before it was ready (exit status 3)", "bad luck", "fix it or -with"}},
		"unknown":        {"no-such-program", nil, true, []string{"exit status 127", "no-such-program"}},
		"without a URL":  {"echo bad luck; exit 3", nil, false, []string{"it exited before it was ready (exit status 3)", "bad luck"}},
		"never listens":  {"echo waiting; exec sleep 600", nil, true, []string{"not ready within LIMIT", "connection refused", "-with-url", "-with-timeout", "waiting"}},
		"503":            {"exec $program", []string{"-ready-after", "1h"}, true, []string{"not ready within LIMIT", "responded 503"}},
		"writes nothing": {"exit 1", nil, true, []string{"it wrote nothing to"}},
	} {
		t.Run(name, func(t *testing.T) {
			for limit := time.Second; ; limit *= 2 { // longer if the program did not come so far
				l := newLab(t)
				c := l.command(tt.script, tt.args...)
				c.Timeout = limit
				if !tt.url {
					c.Ready = ""
				}
				if err := os.MkdirAll(l.Logs(), 0o755); err != nil {
					t.Fatal(err)
				}
				old := filepath.Join(l.Logs(), "checkout.log")
				if err := os.WriteFile(old, []byte("of an earlier process\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				l.start()
				err := fmt.Sprint(l.ended())
				want := []string{c.Dir}
				for _, part := range tt.want {
					want = append(want, strings.ReplaceAll(part, "LIMIT", limit.String()))
				}
				lacks := slices.DeleteFunc(want, func(part string) bool { return strings.Contains(err, part) })
				if len(lacks) > 0 && strings.Contains(err, "not ready within") && limit < time.Minute {
					continue
				}
				if len(lacks) > 0 || strings.Contains(err, "earlier process") {
					t.Errorf("the error is\n%s\nwithout %q, or with lines of an earlier process", err, lacks)
				}
				return
			}
		})
	}
}

// A program without a URL is ready when it has run for a moment.
func TestCommandWithoutURL(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.command("exec $program").Ready = ""
	l.up()
	begun := l.state("checkout", Ready).Since
	if took := time.Since(begun); took < minUptime {
		t.Errorf("ready after %s", took)
	}
}

// Whatever it responds is a response, it is not sampled, and there are no more requests after it.
func TestCommandProbe(t *testing.T) { // not parallel: it sets the time
	set(t, &probe.Timeout, 5*time.Minute) // no request is cut off
	var requests, connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if parent := r.Header.Get("Traceparent"); !strings.HasSuffix(parent, "-00") || len(parent) != 55 {
			t.Errorf("traceparent %q", parent)
		}
		http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	l := newLab(t)
	c := l.command("exec sleep 600")
	c.Ready, c.Ports = s.URL, nil
	l.up()
	eventually(t, "more probes", func() bool { return connections.Load() > 3 })
	if p := l.state("checkout", Ready); requests.Load() != 1 || p.Restarts != 0 {
		t.Errorf("%d requests, want 1, %+v", requests.Load(), p)
	}
	s.Close()
	l.await("it refuses connections", func(st Status) bool { return st.program("checkout").State == Unready })
}

// Each process has an environment of its own.
func TestCommandProcessEnv(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.command("echo instance $INSTANCE; exec $program")
	n := 0
	c.ProcessEnv = func() []string { n++; return []string{fmt.Sprint("INSTANCE=", n)} }
	l.up()
	if err := syscall.Kill(l.state("checkout", Ready).Process.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.await("it is back", func(st Status) bool {
		return st.program("checkout").Restarts == 1 && st.program("checkout").State == Ready
	})
	log, err := os.ReadFile(filepath.Join(l.Logs(), "checkout.log"))
	if err != nil || !strings.Contains(string(log), "instance 1\n") || !strings.Contains(string(log), "instance 2\n") {
		t.Errorf("log %q, %v", log, err)
	}
}

// A restart does not wait for a start that hangs: its user has fixed the program.
func TestCommandRestartWhileStarting(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.command("if [ -e hang ]; then exec sleep 600; fi; exec $program")
	c.Timeout = time.Hour
	l.up()
	hang := filepath.Join(c.Dir, "hang")
	if err := os.WriteFile(hang, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	client := NewClient(l.State)
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	before := l.state("checkout", Ready).Process
	go func() { first <- client.Restart(ctx, "checkout") }()
	hanging := l.await("the restart hangs", func(st Status) bool {
		p := st.program("checkout")
		return p.State == Started && p.Process != before
	}).program("checkout").Process
	leave() // the client is interrupted
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := os.Remove(hang); err != nil {
		t.Fatal(err)
	}
	if err := client.Restart(t.Context(), "checkout"); err != nil {
		t.Fatal(err)
	}
	if p := l.state("checkout", Ready); hanging.Alive() || p.Process == hanging || p.Restarts != 0 {
		t.Errorf("%+v; the process that hung is alive: %t", p, hanging.Alive())
	}
}

// The probes of a program that is not ready yet become fewer, so that its log and its metrics are not full of them.
func TestCommandProbeInterval(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer s.Close()
	for limit := 2 * time.Second; requests.Load() == 0; limit *= 2 { // longer if no probe came
		l := newLab(t)
		c := l.command("exec sleep 600")
		c.Ready, c.Ports, c.Timeout = s.URL, nil, limit
		l.start()
		wantError(t, l.ended(), "not ready within "+limit.String())
		// After 25, 75, 175, 375, 775, 1275 and 1775 ms at the earliest.
		if n := requests.Load(); n > 4+int64(limit/(500*time.Millisecond)) || n == 0 && limit > time.Minute {
			t.Fatalf("%d probes in %s", n, limit)
		}
	}
}

// Leader and group have one grace together, and a program that leaves its group is named.
func TestCommandStop(t *testing.T) { // not parallel: it sets the time
	set(t, &commandGrace, 6*time.Second)
	l := newLab(t)
	// The leader exits on SIGTERM after 5 s, its child in the group never.
	c := l.command("trap 'sleep 5; exit 0' TERM; setsid sleep 600 & echo $! > daemon; (trap '' TERM; : > deaf; while :; do sleep 1; done) & " +
		"until [ -e deaf ]; do sleep 0.1; done; echo $! > pid; while :; do sleep 1; done")
	c.Ready = ""
	l.up()
	daemon, child := l.child(filepath.Join(c.Dir, "daemon")), l.child(filepath.Join(c.Dir, "pid"))
	t.Cleanup(func() { syscall.Kill(daemon.PID, syscall.SIGKILL) })
	l.cancel()
	err := l.ended()
	if child.Alive() {
		t.Error("the child in the group is alive")
	}
	if runtime.GOOS == "linux" {
		wantError(t, err, "checkout left processes running, outside its process group", fmt.Sprintf("sleep (pid %d)", daemon.PID))
		if !daemon.Alive() {
			t.Error("a process outside the group was stopped")
		}
	}
	var exited, killed time.Time
	for line := range strings.Lines(l.log.String()) {
		var r struct {
			Time time.Time
			Msg  string
		}
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == "exited" {
			exited = r.Time
		} else if r.Msg == "its group killed" {
			killed = r.Time
		}
	}
	if after := killed.Sub(exited); exited.IsZero() || killed.IsZero() || after >= commandGrace {
		t.Errorf("the group was killed %s after its leader had exited, with a grace of %s from SIGTERM", after, commandGrace)
	}
}

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("backend")
	l.add("store")
	l.add("proxy").Needs = []string{"store"}
	l.up()
	for n := 1; n <= 3; n++ {
		before := l.state("store", Ready)
		kill(t, before)
		st := l.await("the store is back", func(st Status) bool {
			p := st.program("store")
			return p.State == Ready && p.Restarts == n
		})
		if p := st.program("store"); p.Process == before.Process || !p.Process.Alive() {
			t.Errorf("after restart %d: process %+v, before %+v", n, p.Process, before.Process)
		}
		for _, name := range []string{"backend", "proxy"} {
			if p := st.program(name); p.State != Ready || p.Restarts != 0 {
				t.Errorf("%s is %s, restarted %d times, want an undisturbed one", name, p.State, p.Restarts)
			}
		}
	}
}

// The pauses between restarts double up to a limit.
func TestBackoffGrows(t *testing.T) { // not parallel: it sets the times
	set(t, &minBackoff, 10*time.Millisecond)
	set(t, &maxBackoff, 50*time.Millisecond)
	set(t, &settled, time.Hour)
	const ms = time.Millisecond
	wantBackoffs(t, 10*ms, 20*ms, 40*ms, 50*ms, 50*ms)
}

// The backoff is reset after a long uptime.
func TestBackoffResets(t *testing.T) { // not parallel: it sets the times
	set(t, &minBackoff, 10*time.Millisecond)
	set(t, &settled, time.Nanosecond)
	const ms = time.Millisecond
	wantBackoffs(t, 10*ms, 10*ms, 10*ms)
}

func set(t *testing.T, v *time.Duration, to time.Duration) {
	old := *v
	t.Cleanup(func() { *v = old }) // after the lab of the test has ended
	*v = to
}

func wantBackoffs(t *testing.T, want ...time.Duration) {
	t.Helper()
	l := newLab(t)
	l.add("store")
	l.up()
	for n := range want {
		kill(t, l.state("store", Ready))
		l.await("the store is restarted", func(st Status) bool {
			return st.program("store").Restarts == n+1 && st.program("store").State == Ready
		})
	}
	var got []time.Duration
	for _, r := range l.log.records("restarting") {
		got = append(got, r.Backoff)
	}
	if !slices.Equal(got, want) {
		t.Errorf("pauses %s, want %s", got, want)
	}
	l.stop() // before the times are what they were
}

func TestEndsBeforeReady(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("backend")
	l.add("store", "-lines", "40", "-exit", "3")
	l.add("proxy").Needs = []string{"store"}
	l.start()
	err := l.ended()
	wantError(t, err, "start store: it exited before it was ready", filepath.Join(l.Logs(), "store.log"), "line 26 of store", "line 40 of store")
	if strings.Contains(err.Error(), "line 25 of store") {
		t.Errorf("the error shows more than the log's last 15 lines:\n%v", err)
	}
	if got := l.events(); slices.Contains(got, "begin proxy") {
		t.Errorf("events %q: what needs the store began", got)
	}
}

func TestNeverReady(t *testing.T) { // not parallel: it sets the time
	for limit := 200 * time.Millisecond; ; limit *= 2 { // longer if the program did not come so far
		set(t, &readyTimeout, limit)
		l := newLab(t)
		l.add("store", "-ready-after", "1h", "-lines", "1")
		l.start()
		if err := l.ended(); strings.Contains(fmt.Sprint(err), "line 1 of store") || limit > time.Minute {
			wantError(t, err, "start store: ", l.programs[0].Ready+" did not respond with 200 within "+limit.String(), "line 1 of store")
			return
		}
	}
}

// A program that never printed anything is not given another's words.
func TestEmptyLog(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store", "-exit", "1")
	l.start()
	wantError(t, l.ended(), "start store: ", filepath.Join(l.Logs(), "store.log")+" is empty")
}

func TestBinaryMissing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("backend")
	l.add("store")
	l.programs[1].Setup = func() error { return errors.New("no configuration") }
	l.start()
	wantError(t, l.ended(), "start store: no configuration")
}

// Setup precedes every start.
func TestSetup(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	times := 0
	p := l.add("store")
	p.Setup = func() error {
		times++
		return os.WriteFile(filepath.Join(l.State, fmt.Sprint("setup", times)), nil, 0o644)
	}
	l.up()
	kill(t, l.state("store", Ready))
	l.await("the store is back", func(st Status) bool {
		return st.program("store").Restarts == 1 && st.program("store").State == Ready
	})
	l.stop()
	if times != 2 {
		t.Errorf("Setup was called %d times, want 2", times)
	}
}

// A component whose probe fails is shown, not killed.
func TestUnready(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	unready := filepath.Join(l.State, "unready")
	l.add("store", "-unready", unready)
	l.up()
	before := l.state("store", Ready)
	touch(t, unready)
	p := l.state("store", Unready)
	if p.Process != before.Process || p.Restarts != 0 {
		t.Errorf("unready, it is process %+v after %d restarts, want %+v", p.Process, p.Restarts, before.Process)
	}
	if want := l.programs[0].Ready + " responded 503"; !strings.HasPrefix(p.Detail, want) {
		t.Errorf("detail %q, want %q…", p.Detail, want)
	}
	remove(t, unready)
	if p = l.state("store", Ready); p.Process != before.Process || p.Restarts != 0 || p.Detail != "" {
		t.Errorf("ready again, it is %+v", p)
	}
}

func TestIgnoresTerm(t *testing.T) { // not parallel: it sets the time
	for grace := 200 * time.Millisecond; ; grace *= 2 { // longer if the others took as long to end
		if set(t, &stopGrace, grace); ignoresTerm(t, grace > time.Minute) {
			return
		}
	}
}

// ignoresTerm reports whether only what ignores SIGTERM was killed.
func ignoresTerm(t *testing.T, last bool) bool {
	t.Helper()
	l := newLab(t)
	l.add("stubborn", "-ignore-term")
	l.add("store")
	l.up()
	// Of a restart as well.
	before := l.state("stubborn", Ready)
	if err := NewClient(l.State).Restart(t.Context(), "stubborn"); err != nil {
		t.Error(err)
	}
	if before.Process.Alive() {
		t.Error("the old process is alive after the restart")
	}
	l.stop()
	if l.err != nil {
		t.Errorf("Run = %v", l.err)
	}
	got := l.log.records("killed")
	if len(got) > 2 && !last {
		return false
	}
	if len(got) != 2 || got[0].Component != "stubborn" {
		t.Errorf("killed: %+v, want the stubborn one twice", got)
	}
	if got := l.events(); !slices.Contains(got, "end store") || slices.Contains(got, "end stubborn") {
		t.Errorf("events %q: want the store to end in order, the stubborn one to be killed", got)
	}
	return true
}

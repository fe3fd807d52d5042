package supervisor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"soundcheck/lab/build"
)

// sources gives the lab a repository of its own: the program in its root, and in
// the folder backend another module with the same.
func (l *lab) sources() {
	l.t.Helper()
	root := filepath.Join(l.State, "repository")
	for _, dir := range []string{root, filepath.Join(root, "backend")} {
		if err := os.CopyFS(dir, os.DirFS(programs.Root)); err != nil {
			l.t.Fatal(err)
		}
	}
	l.build = &build.Builder{Root: root, Bin: filepath.Join(l.State, "bin"), Logs: l.Logs()}
}

var (
	service = build.Target{Name: "service", Module: ".", Package: ".", Sources: []string{"main.go"}}
	backend = build.Target{Name: "backend", Module: "backend", Package: ".", Sources: []string{"main.go"}}
)

// change replaces text in the program's source.
func (l *lab) change(module, old, new string) {
	l.t.Helper()
	path := filepath.Join(l.build.Root, module, "main.go")
	b, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	changed := strings.Replace(string(b), old, new, 1)
	if changed == string(b) {
		l.t.Fatalf("no %q in %s", old, path)
	}
	write(l.t, path, changed)
}

// hold makes builds of a module wait until release.
func (l *lab) hold(module string) (release func()) {
	l.t.Helper()
	path := filepath.Join(l.build.Root, module) + ".hold"
	touch(l.t, path)
	return func() { remove(l.t, path) }
}

func TestRestartByClient(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store")
	l.add("proxy").Needs = []string{"store"}
	l.up()
	c := NewClient(l.State)
	before := l.state("store", Ready)
	if err := c.Restart(t.Context(), "store"); err != nil {
		t.Fatal(err)
	}
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p := st.program("store"); p.State != Ready || p.Process == before.Process || p.Restarts != 0 || before.Process.Alive() {
		t.Errorf("after Restart the store is %+v, was %+v; want another process, ready, not counted", p, before)
	}
	if got, want := l.events()[4:], []string{"end store", "begin store", "ready store"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	wantError(t, c.Restart(t.Context(), "nobody"), `no component "nobody"`)
}

// Several clients that restart the same program do not disturb each other.
func TestRestartConcurrent(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	l.add("store").Target = service
	l.up()
	l.change("", `version = "1"`, `version = "2"`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := NewClient(l.State).Restart(t.Context(), "store"); err != nil {
				t.Errorf("Restart = %v", err)
			}
		})
	}
	wg.Wait()
	if p := l.state("store", Ready); p.Restarts != 0 {
		t.Errorf("%d restarts are counted, want 0", p.Restarts)
	}
	if got := get(t, l.programs[0].Address+"/version"); got != "2" {
		t.Errorf("version %q answers, want 2", got)
	}
	if n := len(l.log.records("ready")); n != 5 {
		t.Errorf("the store was ready %d times, want 5: at first, and for each client", n)
	}
}

func TestRestartNotReady(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store", "-ready-after", "1h")
	l.start()
	l.state("store", Started)
	wantError(t, NewClient(l.State).Restart(t.Context(), "store"), "store has not been ready yet")
}

func TestRestartBuilds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	l.add("store", "-exit-file", filepath.Join(l.State, "exit")).Target = service
	l.up()
	c := NewClient(l.State)
	version := func(want string) {
		t.Helper()
		if got := get(t, l.programs[0].Address+"/version"); got != want {
			t.Errorf("version %q answers, want %q", got, want)
		}
	}
	version("1")
	l.change("", `version = "1"`, `version = "2"`)
	if err := c.Restart(t.Context(), "store"); err != nil {
		t.Fatal(err)
	}
	version("2")

	// A build that fails does not affect the running process.
	before := l.state("store", Ready)
	l.change("", `version = "2"`, `version = missing`)
	wantError(t, c.Restart(t.Context(), "store"), "build service: ", l.build.Log(service), "undefined: missing")
	if p := l.state("store", Ready); p.Process != before.Process || p.Restarts != 0 || p.Detail != "" {
		t.Errorf("after a build that failed the store is %+v, want %+v", p, before)
	}
	version("2")

	// One that ends at once is restarted, until it does not any more.
	l.change("", `version = missing`, `version = "3"`)
	touch(t, filepath.Join(l.State, "exit"))
	wantError(t, c.Restart(t.Context(), "store"), "start store: it exited before it was ready", "exit exists")
	l.await("restarts are counted", func(st Status) bool { return st.program("store").Restarts > 1 })
	remove(t, filepath.Join(l.State, "exit"))
	if err := c.Restart(t.Context(), "store"); err != nil { // needs not wait for the end of the pause
		t.Error(err)
	}
	version("3")
}

// A component that exits while it is rebuilt is restarted from its old binary.
func TestDiesWhileBuilt(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	l.add("store").Target = service
	l.up()
	before := l.state("store", Ready)
	l.change("", `version = "1"`, `version = missing`)
	release := l.hold("")
	restarted := make(chan error, 1)
	go func() { restarted <- NewClient(l.State).Restart(t.Context(), "store") }()
	p := l.state("store", Building)
	if p.Process != before.Process {
		t.Errorf("while it is built the store is process %+v, want %+v", p.Process, before.Process)
	}
	kill(t, p)
	l.await("the store is back", func(st Status) bool {
		p := st.program("store")
		version, err := tryGet(t, l.programs[0].Address+"/version") // it may not listen yet
		return p.Restarts == 1 && p.Process.Alive() && err == nil && version == "1"
	})
	if p := l.state("store", Building); p.Restarts != 1 {
		t.Errorf("still being built, the store is %+v", p)
	}
	release()
	wantError(t, <-restarted, "undefined: missing")
	if p := l.state("store", Ready); p.Restarts != 1 {
		t.Errorf("in the end the store is %+v", p)
	}
}

// buildGone fails if the go command runs that is named in the status.
func buildGone(t *testing.T, p ComponentStatus) {
	t.Helper()
	if p.Build.PID == 0 || p.Build.Alive() {
		t.Errorf("the go command that builds %s is process %+v, want one that is gone", p.Name, p.Build)
	}
}

// holdRestart requests a restart, and returns when its build runs.
func (l *lab) holdRestart(ctx context.Context) (p ComponentStatus, restarted chan error) {
	l.t.Helper()
	l.change("", `version = "1"`, `version = "2"`)
	l.hold("")
	restarted = make(chan error, 1)
	go func() { restarted <- NewClient(l.State).Restart(ctx, "store") }()
	st := l.await("the build runs", func(st Status) bool {
		p := st.program("store")
		return p.State == Building && p.Total > 0 && p.Build.Alive()
	})
	return st.program("store"), restarted
}

func TestStopDuringRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	l.add("store").Target = service
	l.up()
	p, restarted := l.holdRestart(t.Context())
	if err := NewClient(l.State).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantError(t, <-restarted, "the lab is stopping")
	if err := l.ended(); err != nil {
		t.Errorf("Run = %v", err)
	}
	buildGone(t, p)
}

// A client that leaves takes its build along, and nothing else.
func TestClientLeavesDuringRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	l.add("store").Target = service
	l.up()
	before := l.state("store", Ready)
	ctx, leave := context.WithCancel(t.Context())
	p, restarted := l.holdRestart(ctx)
	leave()
	if err := <-restarted; !errors.Is(err, context.Canceled) {
		t.Errorf("Restart = %v, want %v", err, context.Canceled)
	}
	if after := l.state("store", Ready); after.Process != before.Process {
		t.Errorf("the store is process %+v, want %+v", after.Process, before.Process)
	}
	buildGone(t, p) // for it is shown as ready only after that
}

// A supervisor that holds the folder but hangs is named.
func TestConnectTimeout(t *testing.T) { // not parallel: it sets the time
	set(t, &respondTimeout, 0)
	l := newLab(t)
	lock, err := acquire(l.State)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	_, _, err = Connect(t.Context(), l.State)
	wantError(t, err, l.State, "does not respond")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Connect(ctx, l.State); !errors.Is(err, context.Canceled) {
		t.Errorf("Connect = %v, want %v", err, context.Canceled)
	}
}

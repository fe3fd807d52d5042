package supervisor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/plan"
)

// The services respond while the backends are still being built.
func TestServesWhileBuilt(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	release := l.hold("backend")
	b := l.add("backend")
	b.Target, b.BuildRank = backend, 1
	l.add("store").Target = service
	l.add("proxy").Target = service
	l.programs[2].Needs = []string{"store"}
	l.start()
	st := l.await("the services are ready, the backend is being built", func(st Status) bool {
		p := st.program("backend")
		return st.program("proxy").State == Ready && st.program("store").State == Ready && p.State == Building && p.Total > 0
	})
	if p := st.program("backend"); st.Phase != Starting || p.Process.PID != 0 || p.Since.Before(st.StartedAt) || p.Done > p.Total {
		t.Errorf("meanwhile: phase %s, backend %+v", st.Phase, p)
	}
	if got := get(t, l.programs[2].Address+"/version"); got != "1" {
		t.Errorf("the proxy answers %q, want 1", got)
	}
	release()
	l.await("the lab is up", func(st Status) bool { return st.Phase == Up })
	if n := len(l.log.records("built")); n != 2 {
		t.Errorf("%d builds, want 2: programs of one target are built once", n)
	}
	l.stop()

	// The second time there is nothing to build.
	again := newLab(t)
	again.Lab, again.build, again.programs = l.Lab, l.build, l.programs
	release = l.hold("backend")
	defer release()
	again.up()
	if got := again.log.records("built"); len(got) != 0 {
		t.Errorf("built anew: %+v", got)
	}
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	l.add("backend").Target = backend
	l.add("store").Target = service
	l.change("backend", `version = "1"`, `version = missing`)
	release := l.hold("backend")
	l.programs[0].BuildRank = 1
	l.start()
	l.state("store", Ready)
	release()
	wantError(t, l.ended(), "build backend: ", l.build.Log(backend), "main.go", "undefined: missing")
	if got, want := l.events(), []string{"begin store", "ready store", "end store"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

func TestStopDuringBuild(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	l.hold("backend")
	l.add("backend").Target = backend
	l.add("store").Target = service
	l.start()
	st := l.await("the build runs", func(st Status) bool {
		return st.program("backend").Build.Alive() && st.program("backend").Total > 0
	})
	l.stop()
	if l.err != nil {
		t.Errorf("Run = %v", l.err)
	}
	buildGone(t, st.program("backend"))
	half, err := filepath.Glob(filepath.Join(l.build.Bin, "backend*"))
	if err != nil || len(half) != 0 {
		t.Errorf("left in the folder of the programs: %v, %v", half, err)
	}
}

// The longest build runs beside the others, once the services are built.
func TestBuildBeside(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sources()
	if err := os.CopyFS(filepath.Join(l.build.Root, "other"), os.DirFS(programs.Root)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"other", "backend"} { // the main package of each is its own
		write(t, filepath.Join(l.build.Root, dir, "go.mod"), "module "+dir+"\n\ngo 1.26\n")
	}
	service1, other1, longest := l.hold(""), l.hold("other"), l.hold("backend")
	l.add("longest")
	l.add("other")
	l.add("service").Target = service
	l.programs[0].Target, l.programs[0].BuildRank = backend, plan.Beside
	l.programs[1].Target, l.programs[1].BuildRank = build.Target{Name: "other", Module: "other", Package: ".", Sources: []string{"main.go"}}, 1
	l.start()
	st := l.await("the service is built", func(st Status) bool { return st.program("service").Build.Alive() && st.program("service").Total > 0 })
	for _, name := range []string{"longest", "other"} {
		if p := st.program(name); p.State != Waiting {
			t.Errorf("while the service is built, %s is %s, want %s", name, p.State, Waiting)
		}
	}
	service1()
	st = l.await("both backends are built", func(st Status) bool {
		return st.program("longest").Total > 0 && st.program("other").Total > 0 && st.program("longest").Build.Alive() && st.program("other").Build.Alive() &&
			st.program("service").State == Ready
	})
	if a, b := st.program("longest").Total, st.program("other").Total; a != 1 || b != 1 {
		t.Errorf("%d and %d packages to compile, want only the main package of each", a, b)
	}
	other1()
	longest()
	l.await("the lab is up", func(st Status) bool { return st.Phase == Up && st.BuildsLeft == 0 })
}

func TestBuildsLeft(t *testing.T) {
	t.Parallel()
	s := &Supervisor{buildsBegun: time.Now().Add(-time.Minute)}
	if got := s.left(); got != 0 {
		t.Errorf("without builds: %s", got)
	}
	job := func(packages, compiled int64, done bool) *job {
		j := &job{progress: new(build.Progress), packages: packages, done: done}
		j.progress.Done.Store(compiled)
		return j
	}
	// 20 were in the compiler's cache. 100 of 300 in a minute: two more for the rest.
	s.jobs = append(s.jobs, job(80, 60, true), job(120, 20, false), job(100, 0, false))
	if got := s.left().Round(time.Second); got != 2*time.Minute {
		t.Errorf("after 100 of 300 packages in a minute: %s, want 2m0s", got)
	}
	s.jobs = append(s.jobs, job(0, 0, false))
	if got := s.left(); got != 0 {
		t.Errorf("before all packages are counted: %s, want none", got)
	}
}

// A build that waits for its packages to be listed ends with the lab.
func TestStopDuringList(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if err := Prepare(l.Lab); err != nil {
		t.Fatal(err)
	}
	s := &Supervisor{lab: l.Lab, build: l.build, log: discard}
	j := &job{runner: newRunner(s, plan.Component{Name: "backend", Target: backend}), listed: make(chan struct{}), progress: new(build.Progress)}
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error)
	go func() { ended <- s.buildOne(ctx, j) }()
	eventually(t, "the build waits", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return j.runner.progress != nil
	})
	cancel(errStopRequested)
	if err := <-ended; !errors.Is(err, errStopRequested) {
		t.Errorf("buildOne = %v, want %v", err, errStopRequested)
	}
}

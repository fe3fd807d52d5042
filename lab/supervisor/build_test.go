package supervisor

import (
	"path/filepath"
	"slices"
	"testing"
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

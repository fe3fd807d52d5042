package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"soundcheck/lab/plan"
)

// An exercise restarts what it changes, and its end restarts that without the change.
func TestExercise(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, name := range []string{"prometheus", plan.StoreName, plan.ProxyName} {
		l.add(name)
	}
	l.up()
	c := NewClient(l.State)
	before := l.await("up", func(st Status) bool { return st.Phase == Up })
	if err := c.EndExercise(t.Context()); err != nil {
		t.Errorf("the end of none: %v", err)
	}
	e := plan.Exercise{Name: "one", Changes: map[string]plan.Change{plan.StoreName: {Args: []string{"-lines", "3"}}}}
	if err := c.BeginExercise(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	st := l.await("ready", func(st Status) bool { return st.Exercise == "one" && !st.ExerciseAt.IsZero() })
	for name, restarted := range map[string]bool{"prometheus": false, plan.StoreName: true, plan.ProxyName: true} {
		if now := st.program(name); now.State != Ready || now.Process != before.program(name).Process != restarted || now.Restarts != 0 {
			t.Errorf("%s: %+v, was %+v", name, now, before.program(name))
		}
	}
	lines := func() int {
		b, err := os.ReadFile(filepath.Join(l.Logs(), plan.StoreName+".log"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(b), "line ")
	}
	if got := lines(); got != 3 {
		t.Errorf("%d lines, want those of the changed store", got)
	}
	if st, err := Saved(l.State); err != nil || st.Exercise != "one" {
		t.Errorf("saved: %+v, %v", st, err)
	}
	wantError(t, c.BeginExercise(t.Context(), e), "the exercise one is active")
	if err := c.EndExercise(t.Context()); err != nil {
		t.Fatal(err)
	}
	st = l.await("ended", func(st Status) bool { return st.Exercise == "" && st.ExerciseAt.IsZero() })
	if got := lines(); got != 3 || st.program(plan.StoreName).State != Ready {
		t.Errorf("%d lines after the end, want no more; %+v", got, st.program(plan.StoreName))
	}
	if _, err := os.Stat(filepath.Join(l.State, "data", "exercise")); err == nil {
		t.Error("the data of the exercise are still there")
	}
}

// A lab that stops ends its exercise.
func TestExerciseEndsWithLab(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add(plan.StoreName)
	l.add(plan.ProxyName)
	l.up()
	if err := NewClient(l.State).BeginExercise(t.Context(), plan.Exercise{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(l.State, "data", "exercise")
	if _, err := os.Stat(data); err != nil {
		t.Error(err)
	}
	l.stop()
	if _, err := os.Stat(data); err == nil {
		t.Error("the data of the exercise are still there")
	}
	l.up()
	if st := l.await("up", func(st Status) bool { return st.Phase == Up }); st.Exercise != "" {
		t.Errorf("the next lab has the exercise %s", st.Exercise)
	}
}

// An exercise that cannot begin leaves the lab as it was.
func TestExerciseFails(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add(plan.StoreName)
	l.add(plan.ProxyName)
	l.up()
	c := NewClient(l.State)
	for text, e := range map[string]plan.Exercise{
		"has no name": {},
		"changes jaeger, which is no component of this lab": {Name: "x", Changes: map[string]plan.Change{"jaeger": {}}},
		"start proxy-service: it exited":                    {Name: "x", Changes: map[string]plan.Change{plan.ProxyName: {Args: []string{"-exit", "1"}}}},
		"build loadgen":                                     {Name: "x", Loads: []plan.Load{{To: plan.ProxyName}}},
	} {
		wantError(t, c.BeginExercise(t.Context(), e), text)
		st := l.await("ready", func(st Status) bool {
			return st.program(plan.StoreName).State == Ready && st.program(plan.ProxyName).State == Ready
		})
		if st.Exercise != "" || len(st.Components) != 2 {
			t.Errorf("%s: %+v", text, st)
		}
	}
}

func TestExerciseNeedsSQLite(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.DB = "memory"
	l.add(plan.StoreName)
	l.up()
	wantError(t, NewClient(l.State).BeginExercise(t.Context(), plan.Exercise{Name: "x"}), "needs an album store with SQLite, and this lab has memory")
}

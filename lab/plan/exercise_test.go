package plan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCanExercise(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]Lab{
		"":                               {},
		"and this lab has memory":        {DB: "memory"},
		"and this lab has postgres://h/": {DB: "postgres://h/d"},
		"and this lab calls http://s":    {Stores: []string{"http://s"}},
	} {
		err := l.CanExercise()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", l, err, want)
		}
	}
	if err := (Lab{DB: "sqlite:/x"}).CanExercise(); err != nil {
		t.Error(err)
	}
}

// Both services hide their faults and have an own database, whatever the exercise changes.
func TestExerciseBegin(t *testing.T) {
	t.Parallel()
	l := Lab{State: t.TempDir(), Offset: 100}
	e := Exercise{Name: "x", Changes: map[string]Change{
		SecondStoreName: {Env: []string{"SOUNDCHECK_STORE_FAULT=db-delay=1s"}},
		ProxyName:       {Args: []string{"-retries", "0"}},
	}, Loads: []Load{{To: ProxyName, Args: []string{"-rate", "5"}}, {To: SecondStoreName}}}
	old := filepath.Join(l.exerciseData(), "albums.db")
	if err := os.MkdirAll(filepath.Dir(old), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := e.Begin(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the data of the previous exercise are still there")
	}
	for name, want := range map[string][]string{
		StoreName:       {"SOUNDCHECK_STORE_FAULT_HIDDEN=true", "SOUNDCHECK_STORE_DB=sqlite:" + old},
		SecondStoreName: {"SOUNDCHECK_STORE_FAULT_HIDDEN=true", "SOUNDCHECK_STORE_DB=sqlite:" + filepath.Join(l.exerciseData(), "albums-2.db"), "SOUNDCHECK_STORE_FAULT=db-delay=1s"},
		ProxyName:       {"SOUNDCHECK_PROXY_FAULT_HIDDEN=true"},
	} {
		for _, kv := range want {
			if !slices.Contains(all[name].Env, kv) {
				t.Errorf("%s has %q, want %s", name, all[name].Env, kv)
			}
		}
	}
	if got, want := strings.Join(all[ProxyName].Args, " "), "-store http://127.0.0.1:9180,http://127.0.0.1:9182 -retries 0"; got != want {
		t.Errorf("arguments of the proxy %q, want %q", got, want)
	}
	var got []string
	for _, c := range e.Components(l) {
		got = append(got, c.Name+" "+c.Target.Name+" "+c.Address)
	}
	want := []string{"album-store-2 album-store-sqlite http://127.0.0.1:9182", "exercise-load loadgen http://127.0.0.1:9170", "exercise-load-2 loadgen http://127.0.0.1:9182"}
	if !slices.Equal(got, want) {
		t.Errorf("components %q, want %q", got, want)
	}
	if err := e.End(l); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(l.exerciseData()); err == nil {
		t.Error("the data are still there")
	}
}

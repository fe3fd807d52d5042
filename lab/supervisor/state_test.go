package supervisor

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// What the last supervisor wrote down may be cut short, if the power went.
func TestStateFile(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "\x00\x00\x00\x00"} {
		l := newLab(t)
		l.add("store")
		write(t, filepath.Join(l.State, stateName), content)
		l.up()
		l.stop()
	}
	l := newLab(t)
	l.add("store")
	path := filepath.Join(l.State, stateName)
	write(t, path, `{"phase": "up", "prog`)
	err := Run(t.Context(), l.Lab, l.programs, l.build, discard)
	wantError(t, err, path, "process list")
	if got := l.events(); len(got[0]) != 0 {
		t.Errorf("events %q: something began", got)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The file is complete at any moment: a kill leaves a readable file.
func TestStateFileIsAtomic(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.add("store")
	l.add("proxy").Needs = []string{"store"}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			b, err := os.ReadFile(filepath.Join(l.State, stateName))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil || json.Unmarshal(b, new(Status)) != nil {
				t.Errorf("%v\n%s", err, b)
				return
			}
		}
	})
	l.up()
	kill(t, l.state("store", Ready))
	l.await("the store is back", func(st Status) bool {
		return st.program("store").Restarts == 1 && st.program("store").State == Ready
	})
	l.stop()
	close(stop)
	wg.Wait()
}

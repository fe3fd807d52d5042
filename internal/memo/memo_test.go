package memo

import (
	"sync"
	"testing"
)

func TestMap(t *testing.T) {
	var m Map[int, int]
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for k := range 3 * maxValues / 2 {
				if v := m.Get(k, func(k int) int { return 2 * k }); v != 2*k {
					t.Errorf("%d: %d", k, v)
				}
			}
		})
	}
	group.Wait()
	if n := len(*m.values.Load()); n != maxValues {
		t.Errorf("%d values are stored, want %d", n, maxValues)
	}
	created := false
	if m.Get(1, func(int) int { created = true; return 0 }); created {
		t.Error("a stored value is created again")
	}
	if n := testing.AllocsPerRun(100, func() { m.Get(1, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

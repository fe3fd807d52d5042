package fakealbum

import (
	"math"
	"reflect"
	"testing"
)

// As many are broken as the share says, in every way there is, the same ones every time,
// and those of a smaller share among those of a larger.
func TestBroken(t *testing.T) {
	t.Parallel()
	const n = 20000
	c := Catalogue{Seed: 3, Unicode: Unicode}
	seen := map[string]int{}
	for _, share := range []float64{0, 0.02, 0.5, 1} {
		count := 0
		for i := range uint64(n) {
			b, broken := c.Broken(i, share)
			if !broken {
				continue
			}
			count++
			seen[b.What]++
			if again, _ := c.Broken(i, 1); !reflect.DeepEqual(b, again) {
				t.Fatalf("album %d is broken in two ways: %+v, %+v", i, b, again)
			}
		}
		if got := float64(count) / n; math.Abs(got-share) > 0.01 {
			t.Errorf("%v of the albums are broken, want %v ± 0.01", got, share)
		}
	}
	for _, way := range ways {
		if seen[way.what] == 0 {
			t.Errorf("no album is broken so: %s", way.what)
		}
	}
}

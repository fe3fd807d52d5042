package service

import "testing"

func TestGCPercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: 750, 1 << 20: 750, 8 << 20: 750, 16 << 20: 350, 32 << 20: 150, 64 << 20: 100, 1 << 40: 100,
	} {
		if got := gcPercent(live); got != want {
			t.Errorf("gcPercent(%d MB) = %d, want %d", live>>20, got, want)
		}
	}
}

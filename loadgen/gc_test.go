package main

import (
	"testing"
	"time"
)

// A run that allocates little collects as usual, and a fast one rarely.
func TestGCPercent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		live, allocated uint64
		in              time.Duration
		want            int
	}{
		{20 << 20, 12 << 20, time.Second, 120},
		{20 << 20, 1 << 20, time.Second, minGC},
		{20 << 20, 96 << 20, time.Second, maxGC},
		{20 << 20, 12 << 20, 0, maxGC},
		{0, 0, time.Second, maxGC},
	} {
		if got := gcPercent(tt.live, tt.allocated, tt.in); got != tt.want {
			t.Errorf("%d MiB live, %d MiB in %v: %d%%, want %d%%", tt.live>>20, tt.allocated>>20, tt.in, got, tt.want)
		}
	}
}

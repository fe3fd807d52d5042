package gc

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

const mib = 1 << 20

// A program that allocates little collects as usual, and a fast one rarely.
func TestPercent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		live, allocated uint64
		since           time.Duration
		want            int
	}{
		{20 * mib, 12 * mib, time.Second, 120},
		{20 * mib, 1 * mib, time.Second, 100},
		{20 * mib, 200 * mib, time.Second, 320},
		{2 * mib, 200 * mib, time.Second, maxPercent},
		{1 * mib, 10 * mib, time.Second, 525}, // the heap is at least 21 MiB then
		{200 * mib, 200 * mib, time.Second, 100},
		{20 * mib, 12 * mib, 0, 100},
		{0, 0, time.Second, 100},
	} {
		if got := percent(tt.live, tt.allocated, tt.since, interval); got != tt.want {
			t.Errorf("%d MiB live, %d MiB in %v: %d%%, want %d%%", tt.live/mib, tt.allocated/mib, tt.since, got, tt.want)
		}
	}
}

// The runtime's goal for the heap follows the rate of allocations.
func TestPace(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	start(20 * time.Second) // longer than interval: a busy machine allocates less per second
	live := make([]byte, 8*mib)
	goal := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	var sink []byte
	for deadline := time.Now().Add(5 * time.Minute); goal() < 60*mib; {
		sink = make([]byte, 64<<10)
		if time.Now().After(deadline) {
			t.Fatalf("the goal is %d MiB while allocations are fast, want at least 60", goal()/mib)
		}
	}
	for deadline := time.Now().Add(5 * time.Minute); goal() > 24*mib; time.Sleep(500 * time.Millisecond) {
		runtime.GC()
		if time.Now().After(deadline) {
			t.Fatalf("the goal is %d MiB without allocations, want at most 24", goal()/mib)
		}
	}
	runtime.KeepAlive(live)
	runtime.KeepAlive(sink)
}

// After End the runtime collects more often than by default, unless GOGC is in the environment.
func TestEnd(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer ended.Store(false)
	t.Setenv("GOGC", "100")
	End()
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("with GOGC in the environment: %d%%, want 100%%", got)
	}
	t.Setenv("GOGC", "")
	End()
	if got := debug.SetGCPercent(100); got != endPercent {
		t.Errorf("%d%%, want %d%%", got, endPercent)
	}
}

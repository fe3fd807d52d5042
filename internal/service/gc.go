package service

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// minHeap is how large the heap may grow before garbage is collected, whatever
// lives. What lives of a service is often a few megabytes, and a request makes as
// much garbage as a large service's: with the runtime's own pace, which goes by
// what lives, it would be collected dozens of times a second under load.
const minHeap = 64 << 20

// paceGC keeps the pace of garbage collection by minHeap until ctx ends, unless
// GOGC says how. A heap that is larger is left to the runtime's own pace.
func paceGC(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for percent := 0; ; {
		metrics.Read(live)
		if p := gcPercent(live[0].Value.Uint64()); p != percent {
			percent = p
			debug.SetGCPercent(percent)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// gcPercent returns the GOGC with which a heap of which so much lives grows to
// minHeap, in steps of 50; at least the runtime's own 100, at most 800.
func gcPercent(live uint64) int {
	percent := uint64(800)
	if live > 0 {
		percent = min(minHeap*100/live, 800)
	}
	return int(max(percent/50*50, 150) - 50)
}

package service

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// minHeap is the heap size below which no garbage collection starts. The live heap of a service is
// often a few megabytes, while its requests allocate as much as those of a large service. The
// runtime's default pace depends on the live heap, and would collect dozens of times per second
// under load.
const minHeap = 64 << 20

// paceGC adjusts the GC percentage to minHeap until ctx ends, unless GOGC is set. A larger heap
// has the runtime's default.
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

// gcPercent returns the GOGC with which a heap with live bytes grows to minHeap, in steps of 50,
// from the runtime's default of 100 to 800.
func gcPercent(live uint64) int {
	percent := uint64(800)
	if live > 0 {
		percent = min(minHeap*100/live, 800)
	}
	return int(max(percent/50*50, 150) - 50)
}

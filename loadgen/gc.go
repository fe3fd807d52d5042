package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Limits of GOGC, in percent, and the least time between two collections that it aims at.
const (
	minGC      = 100
	maxGC      = 400
	gcInterval = 2 * time.Second
)

// collectRarely makes garbage collections rare: each one delays requests. After each it sets GOGC from
// the rate of allocations, so that a slow run does not use the memory that a fast one needs.
func collectRarely() {
	debug.SetGCPercent(minGC)
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	percent, before, last := minGC, uint64(0), time.Now()
	type token struct{ _ [16]byte }
	var collected func(*token)
	collected = func(*token) { // the finalizer of something that each collection finds unused
		metrics.Read(samples)
		live, allocs, now := samples[0].Value.Uint64(), samples[1].Value.Uint64(), time.Now()
		if want := gcPercent(live, allocs-before, now.Sub(last)); want != percent {
			percent = want
			debug.SetGCPercent(percent)
		}
		before, last = allocs, now
		runtime.SetFinalizer(new(token), collected)
	}
	runtime.SetFinalizer(new(token), collected)
}

// gcPercent returns GOGC for a heap of live bytes, if so many were allocated since the last collection.
func gcPercent(live, allocated uint64, in time.Duration) int {
	if live == 0 || in <= 0 {
		return maxGC
	}
	perInterval := float64(allocated) * float64(gcInterval) / float64(in)
	return min(max(int(100*perInterval/float64(live)), minGC), maxGC)
}

// Package gc paces garbage collection, which delays requests: a program that allocates much collects rarely and
// uses more memory, an idle one as usual.
package gc

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	interval    = 2 * time.Second // target time between two collections; shorter if it needs more than maxHeadroom
	maxHeadroom = 64 << 20        // bytes that are allocated between two collections of a small heap
	maxPercent  = 1600            // of GOGC
	minHeap     = 4 << 20         // the runtime's smallest heap at 100%; it grows with GOGC
)

var once sync.Once // of Pace

// Pace sets GOGC after each collection from the rate of allocations. It does nothing if GOGC is in the environment.
// GOMEMLIMIT holds as ever.
func Pace() {
	if os.Getenv("GOGC") == "" {
		once.Do(func() { start(interval) })
	}
}

// ended is set by End.
var ended atomic.Bool

// endPercent is GOGC after End.
const endPercent = 50

// End ends what Pace began, and makes collections more frequent than by default: work that nobody times, such as
// a report, needs little memory rather than little CPU. It does nothing if GOGC is in the environment.
func End() {
	if os.Getenv("GOGC") == "" && !ended.Swap(true) {
		debug.SetGCPercent(endPercent)
	}
}

// start sets GOGC after each collection, for a target time between two of them.
func start(interval time.Duration) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	current, before, last := 100, uint64(0), time.Now()
	type token struct{ _ [16]byte }
	var collected func(*token)
	collected = func(*token) { // the finalizer of what each collection finds unused
		metrics.Read(samples)
		live, allocs, now := samples[0].Value.Uint64(), samples[1].Value.Uint64(), time.Now()
		if want := percent(live, allocs-before, now.Sub(last), interval); want != current && !ended.Load() {
			current = want
			debug.SetGCPercent(want)
			if ended.Load() { // meanwhile
				debug.SetGCPercent(endPercent)
			}
		}
		before, last = allocs, now
		runtime.SetFinalizer(new(token), collected)
	}
	runtime.SetFinalizer(new(token), collected)
}

// percent returns GOGC for live bytes and an interval between collections, if so many bytes were allocated in the time
// since the last one. Steps of 10 spare changes.
func percent(live, allocated uint64, since, interval time.Duration) int {
	if live == 0 || since <= 0 {
		return 100
	}
	headroom := min(float64(allocated)*float64(interval)/float64(since), maxHeadroom)
	most := int(100 * (float64(live) + headroom) / minHeap)
	return max(min(int(10*headroom/float64(live))*10, most, maxPercent), 100)
}

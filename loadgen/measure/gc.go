package measure

import (
	"fmt"
	"math"
	"runtime/metrics"
)

// GC is the number of garbage-collection pauses of the generator, and the longest one in
// seconds (upper bound).
type GC struct {
	Pauses  uint64  `json:"pauses"`
	Longest float64 `json:"longest"`
}

// String returns the pauses as text.
func (g GC) String() string {
	if g.Pauses == 0 {
		return "no generator pauses"
	}
	return fmt.Sprintf("%d generator pauses, max %.2f ms", g.Pauses, 1000*g.Longest)
}

// Pauses are counts of the process's garbage-collection pauses, by duration.
type Pauses []uint64

// ReadPauses returns the pauses so far.
func ReadPauses() Pauses { return readPauses().Counts }

func readPauses() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64Histogram()
}

// Since returns the pauses since before was read.
func (before Pauses) Since() (gc GC) {
	h := readPauses()
	for i, n := range h.Counts {
		if n -= before[i]; n == 0 {
			continue
		}
		gc.Pauses += n
		if gc.Longest = h.Buckets[i+1]; math.IsInf(gc.Longest, 0) {
			gc.Longest = h.Buckets[i]
		}
	}
	return gc
}

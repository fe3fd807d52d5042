package measure

import (
	"fmt"
	"math"
	"runtime/metrics"
)

// GC is how often the generator's memory was collected, and the longest pause in seconds,
// at most.
type GC struct {
	Pauses  uint64  `json:"pauses"`
	Longest float64 `json:"longest"`
}

// String says how the generator was held up.
func (g GC) String() string {
	if g.Pauses == 0 {
		return "no pauses of the generator"
	}
	return fmt.Sprintf("%d pauses of the generator, %.2f ms at most", g.Pauses, 1000*g.Longest)
}

// Pauses are those of the process's garbage collections, by length.
type Pauses []uint64

// ReadPauses returns the pauses so far.
func ReadPauses() Pauses { return readPauses().Counts }

func readPauses() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64Histogram()
}

// Since returns the pauses after those before.
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

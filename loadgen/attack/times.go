package attack

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// times are durations from 1 µs to maxTime, to three digits; the longest is exact.
type times struct {
	h       *hdrhistogram.Histogram
	longest time.Duration
}

// maxTime is longer than an attack with its last timeout can be.
const maxTime = 25 * time.Hour

func newTimes() *times {
	return &times{h: hdrhistogram.New(1, maxTime.Microseconds(), 3)}
}

func (t *times) add(d time.Duration) {
	// In range, so there is no error.
	_ = t.h.RecordValue(min(max(d, time.Microsecond), maxTime).Microseconds())
	t.longest = max(t.longest, d)
}

func (t *times) count() int64 { return t.h.TotalCount() }

// quantile returns the duration that q of all are not longer than; 0 if there is none.
func (t *times) quantile(q float64) time.Duration {
	// A bucket is told by its upper end, which can be beyond the longest.
	return min(time.Duration(t.h.ValueAtQuantile(100*q))*time.Microsecond, t.longest)
}

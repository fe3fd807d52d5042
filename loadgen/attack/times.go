package attack

import (
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// times are durations from 1 ns to maxTime, to three digits; the longest is exact.
type times struct {
	h       *hdrhistogram.Histogram
	longest time.Duration
}

// maxTime is longer than an attack with its last timeout can be.
const maxTime = 25 * time.Hour

// digits of every histogram: a percentile is at most 0.1% off.
const digits = 3

func newTimes() *times {
	return &times{h: hdrhistogram.New(1, int64(maxTime), digits)}
}

// inRange is a duration that a histogram can hold.
func inRange(d time.Duration) int64 { return int64(min(max(d, 1), maxTime)) }

func (t *times) add(d time.Duration) {
	_ = t.h.RecordValue(inRange(d)) // in range, so there is no error
	t.longest = max(t.longest, d)
}

func (t *times) count() int64 { return t.h.TotalCount() }

// merge adds what u has.
func (t *times) merge(u *times) {
	t.h.Merge(u.h)
	t.longest = max(t.longest, u.longest)
}

// quantile returns the duration that q of all are not longer than; 0 if there is none.
func (t *times) quantile(q float64) time.Duration {
	// A bucket is told by its upper end, which can be beyond the longest.
	return min(time.Duration(t.h.ValueAtPercentile(percentile(q, t.count()))), t.longest)
}

// percentile returns what to ask a histogram of n for to get the nearest rank: the
// smallest time that q of all are not above. HdrHistogram itself rounds the rank, so that
// p99 of 60 would be the last but one.
func percentile(q float64, n int64) float64 {
	return 100 * math.Ceil(q*float64(n)-whole) / float64(max(n, 1))
}

// above returns how many durations are not below d.
func (t *times) above(d time.Duration) int64 {
	n := int64(0)
	for _, b := range t.h.Distribution() {
		if b.From >= int64(d) {
			n += b.Count
		}
	}
	return n
}

// Histogram is a distribution of times as report.json holds it: HdrHistogram's V2
// encoding in base64, of values in nanoseconds, and the longest time in seconds.
type Histogram struct {
	Encoded string  `json:"hdr"`
	Longest float64 `json:"longest"`
}

func (t *times) encode() (Histogram, error) {
	b, err := t.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return Histogram{}, err
	}
	return Histogram{string(b), t.longest.Seconds()}, nil
}

func (h Histogram) decode() (*times, error) {
	d, err := hdrhistogram.Decode([]byte(h.Encoded))
	if err != nil {
		return nil, fmt.Errorf("a histogram cannot be read: %w", err)
	}
	t := newTimes()
	t.longest = seconds(h.Longest)
	if dropped := t.h.Merge(d); dropped > 0 {
		return nil, fmt.Errorf("a histogram holds %d times beyond %s", dropped, maxTime)
	}
	return t, nil
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

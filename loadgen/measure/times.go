package measure

import (
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Times is a histogram of durations from 1 ns to maxTime, with three significant digits. The
// longest is exact.
type Times struct {
	hist    *hdrhistogram.Histogram
	longest time.Duration
}

// maxTime is longer than the longest run with its last timeout.
const maxTime = 25 * time.Hour

// digits are the significant digits of each histogram: percentiles are within 0.1%.
const digits = 3

// NewTimes returns an empty histogram.
func NewTimes() *Times {
	return &Times{hist: hdrhistogram.New(1, int64(maxTime), digits)}
}

// inRange clamps a duration to the histogram's range.
func inRange(d time.Duration) int64 { return int64(min(max(d, 1), maxTime)) }

// Add counts a duration.
func (t *Times) Add(d time.Duration) {
	_ = t.hist.RecordValue(inRange(d)) // in range, so there is no error
	t.longest = max(t.longest, d)
}

// Count returns the number of durations.
func (t *Times) Count() int64 { return t.hist.TotalCount() }

// HDR returns the histogram, in nanoseconds.
func (t *Times) HDR() *hdrhistogram.Histogram { return t.hist }

// Merge adds u.
func (t *Times) Merge(u *Times) {
	t.hist.Merge(u.hist)
	t.longest = max(t.longest, u.longest)
}

// Quantile returns a quantile; 0: no durations.
func (t *Times) Quantile(q float64) time.Duration { return quantile(t.hist, t.longest, q) }

// rankError is the max error of a computed rank.
const rankError = 1e-6

// percentile returns the percentile argument for the nearest rank of n: the smallest value
// with at least q of all at or below it. HdrHistogram itself rounds the rank, so that p99 of
// 60 values would be the second largest.
func percentile(q float64, n int64) float64 {
	return 100 * math.Ceil(q*float64(n)-rankError) / float64(max(n, 1))
}

// Above returns the number of durations of at least d.
func (t *Times) Above(d time.Duration) int64 {
	n := int64(0)
	for _, b := range t.hist.Distribution() {
		if b.From >= int64(d) {
			n += b.Count
		}
	}
	return n
}

// Histogram is the JSON of a Times: HdrHistogram's V2 encoding in base64, with values in
// nanoseconds, and the longest time in seconds.
type Histogram struct {
	Encoded string  `json:"hdr"`
	Longest float64 `json:"longest"`
}

// Encode returns the JSON form.
func (t *Times) Encode() (Histogram, error) {
	b, err := t.hist.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return Histogram{}, err
	}
	return Histogram{string(b), t.longest.Seconds()}, nil
}

// Decode is the inverse of Encode.
func (h Histogram) Decode() (*Times, error) {
	p, err := h.DecodePacked()
	if err != nil {
		return nil, err
	}
	t := NewTimes()
	t.MergePacked(p)
	return t, nil
}

// Packed has the values of a Times in less memory, to be merged.
type Packed struct {
	hist    *hdrhistogram.PackedHistogram
	longest time.Duration
}

// DecodePacked decodes a histogram. Its size does not depend on the range in the header,
// which for a broken histogram can be large.
func (h Histogram) DecodePacked() (*Packed, error) {
	d, err := decodePacked(h.Encoded)
	if err != nil {
		return nil, err
	}
	return &Packed{d, Seconds(h.Longest)}, nil
}

// decodePacked decodes a histogram with the range and precision of this package, or to it.
func decodePacked(encoded string) (*hdrhistogram.PackedHistogram, error) {
	d, err := hdrhistogram.DecodePacked([]byte(encoded))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	own := NewInterval().Served
	if d.LowestTrackableValue() == own.LowestTrackableValue() && d.HighestTrackableValue() == own.HighestTrackableValue() && d.SignificantFigures() == digits && d.TotalCount() < math.MaxInt64 {
		return d, nil
	}
	if dropped := own.Merge(d); dropped > 0 {
		return nil, fmt.Errorf("histogram with %d times beyond %s", dropped, maxTime)
	}
	return own, nil
}

// Count returns the number of durations.
func (p *Packed) Count() int64 { return p.hist.TotalCount() }

// MergePacked adds p.
func (t *Times) MergePacked(p *Packed) {
	p.hist.MergeInto(t.hist)
	t.longest = max(t.longest, p.longest)
}

// Seconds returns a time in seconds as a duration.
func Seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// Summary is a distribution of times, in seconds. Percentiles are at most 0.1% above the
// exact ones.
type Summary struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// Summary returns the summary.
func (t *Times) Summary() Summary { return summary(t.hist, t.longest) }

// histogram is either type of HdrHistogram's.
type histogram interface {
	TotalCount() int64
	Mean() float64
	ValueAtPercentile(float64) int64
}

// quantile returns a quantile; 0: no durations.
func quantile(h histogram, longest time.Duration, q float64) time.Duration {
	// The value of a bucket is its upper bound, which can be beyond the longest.
	return min(time.Duration(h.ValueAtPercentile(percentile(q, h.TotalCount()))), longest)
}

func summary(h histogram, longest time.Duration) Summary {
	q := func(q float64) float64 { return quantile(h, longest, q).Seconds() }
	return Summary{Count: h.TotalCount(), Mean: h.Mean() / 1e9, P50: q(0.5), P90: q(0.9), P99: q(0.99), P999: q(0.999), Max: longest.Seconds()}
}

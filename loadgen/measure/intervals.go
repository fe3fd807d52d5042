package measure

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// MaxIntervals bounds the memory of a long run: beyond it, pairs of intervals are merged.
const MaxIntervals = 600

// Intervals count requests by scheduled time.
type Intervals struct {
	Width time.Duration
	List  []*Interval // contiguous, from the end of the warm-up
}

// Interval counts the requests of one part of the run.
type Interval struct {
	Classes [4]int                        // requests, in the order of Classes
	Served  *hdrhistogram.PackedHistogram // response times of good and late requests, in ns
	Longest time.Duration                 // of them
}

// NewInterval returns an empty interval.
func NewInterval() *Interval {
	return &Interval{Served: hdrhistogram.NewPacked(1, int64(maxTime), digits)}
}

// Add counts a request by its scheduled time since the end of the warm-up.
func (s *Intervals) Add(scheduled time.Duration, class Class, response time.Duration) {
	s.at(scheduled).Add(class, response)
}

// at returns the interval of a scheduled time.
func (s *Intervals) at(scheduled time.Duration) *Interval {
	scheduled = max(scheduled, 0)
	for scheduled >= MaxIntervals*s.Width {
		s.double()
	}
	for n := int(scheduled / s.Width); len(s.List) <= n; {
		s.List = append(s.List, NewInterval())
	}
	return s.List[scheduled/s.Width]
}

// Add counts a request with its response time.
func (i *Interval) Add(class Class, response time.Duration) {
	i.Classes[slices.Index(Classes, class)]++
	if class == Good || class == Late {
		_ = i.Served.RecordValue(inRange(response)) // in range, so there is no error
		i.Longest = max(i.Longest, response)
	}
}

// Merge adds j.
func (i *Interval) Merge(j *Interval) {
	for k := range i.Classes {
		i.Classes[k] += j.Classes[k]
	}
	i.Served.Merge(j.Served)
	i.Longest = max(i.Longest, j.Longest)
}

// double makes the intervals twice as wide.
func (s *Intervals) double() {
	s.Width *= 2
	var list []*Interval
	for pair := range slices.Chunk(s.List, 2) {
		if len(pair) == 2 {
			pair[0].Merge(pair[1])
		}
		list = append(list, pair[0])
	}
	s.List = list
}

// Quantile returns a quantile of the served requests' response times; 0: no requests.
func (i *Interval) Quantile(q float64) time.Duration { return quantile(i.Served, i.Longest, q) }

// Summary returns the distribution of the served requests' response times.
func (i *Interval) Summary() Summary { return summary(i.Served, i.Longest) }

// Merge adds other intervals. It widens the narrower ones to the width of the others.
func (s *Intervals) Merge(other *Intervals) {
	if len(other.List) == 0 {
		return
	}
	if s.Width == 0 {
		s.Width = other.Width
	}
	for s.Width < other.Width {
		s.double()
	}
	for other.Width < s.Width {
		other.double()
	}
	for n, i := range other.List {
		if n == len(s.List) {
			s.List = append(s.List, NewInterval())
		}
		s.List[n].Merge(i)
	}
}

package measure

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// MaxIntervals bounds what a long run remembers: then two become one.
const MaxIntervals = 600

// Intervals are what became of the requests that were due in each part of the time.
type Intervals struct {
	Width time.Duration
	List  []*Interval // one after the other, from the end of the warm-up
}

// Interval is what became of the requests of one part of the time.
type Interval struct {
	Classes [4]int                        // requests, in the order of Classes
	Served  *hdrhistogram.PackedHistogram // response times of good and late requests, in ns
	Longest time.Duration                 // of them
}

// NewInterval returns one without requests.
func NewInterval() *Interval {
	return &Interval{Served: hdrhistogram.NewPacked(1, int64(maxTime), digits)}
}

// Add takes in a request that was due at a time from the end of the warm-up.
func (s *Intervals) Add(due time.Duration, class Class, response time.Duration) {
	due = max(due, 0)
	for due >= MaxIntervals*s.Width {
		s.double()
	}
	for n := int(due / s.Width); len(s.List) <= n; {
		s.List = append(s.List, NewInterval())
	}
	s.List[due/s.Width].Add(class, response)
}

// Add takes in a request with its response time.
func (i *Interval) Add(class Class, response time.Duration) {
	i.Classes[slices.Index(Classes, class)]++
	if class == Good || class == Late {
		_ = i.Served.RecordValue(inRange(response)) // in range, so there is no error
		i.Longest = max(i.Longest, response)
	}
}

// Merge adds what j has.
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

// Quantile returns the response time that q of the served requests are not above; 0 if
// there is none.
func (i *Interval) Quantile(q float64) time.Duration { return quantile(i.Served, i.Longest, q) }

// Summary returns the distribution of the served requests' response times.
func (i *Interval) Summary() Summary { return summary(i.Served, i.Longest) }

// Merge adds other intervals. It makes the narrower ones as wide as the wider ones.
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

package attack

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxIntervals bounds what a long attack remembers: then two become one.
const maxIntervals = 600

// intervals are what became of the requests that were due in each part of the time.
type intervals struct {
	width time.Duration
	list  []*interval
}

type interval struct {
	classes [4]int // in the order of classes
	served  *hdrhistogram.PackedHistogram
	longest time.Duration
}

func newInterval() *interval {
	return &interval{served: hdrhistogram.NewPacked(1, int64(maxTime), digits)}
}

func (s *intervals) add(due time.Duration, class Class, response time.Duration) {
	due = max(due, 0)
	for due >= maxIntervals*s.width {
		s.double()
	}
	for n := int(due / s.width); len(s.list) <= n; {
		s.list = append(s.list, newInterval())
	}
	s.list[due/s.width].add(class, response)
}

func (i *interval) add(class Class, response time.Duration) {
	i.classes[slices.Index(classes, class)]++
	if class == Good || class == Late {
		_ = i.served.RecordValue(inRange(response)) // in range, so there is no error
		i.longest = max(i.longest, response)
	}
}

func (i *interval) merge(j *interval) {
	for k := range i.classes {
		i.classes[k] += j.classes[k]
	}
	i.served.Merge(j.served)
	i.longest = max(i.longest, j.longest)
}

// double makes the intervals twice as wide.
func (s *intervals) double() {
	s.width *= 2
	var list []*interval
	for pair := range slices.Chunk(s.list, 2) {
		if len(pair) == 2 {
			pair[0].merge(pair[1])
		}
		list = append(list, pair[0])
	}
	s.list = list
}

func (i *interval) quantile(q float64) time.Duration {
	return min(time.Duration(i.served.ValueAtPercentile(percentile(q, i.served.TotalCount()))), i.longest)
}

func (i *interval) summary() Summary {
	q := func(q float64) float64 { return i.quantile(q).Seconds() }
	return Summary{Count: i.served.TotalCount(), Mean: i.served.Mean() / 1e9, P50: q(0.5), P90: q(0.9), P99: q(0.99), P999: q(0.999), Max: i.longest.Seconds()}
}

// Interval is what became of the requests that were due in a part of the time.
type Interval struct {
	At       float64       `json:"at"` // seconds from the beginning, after the warm-up
	Seconds  float64       `json:"seconds"`
	Asked    float64       `json:"rate_asked"` // in its middle; of the closed model 0
	Classes  map[Class]int `json:"classes"`
	Response Summary       `json:"response_time"`       // of served requests
	HDR      string        `json:"histogram,omitempty"` // of their times; only in files
}

// report returns the intervals of a plan whose requests count after the warm-up.
func (s *intervals) report(plan Plan, warmUp time.Duration) []Interval {
	list := []Interval{}
	for n, i := range s.list {
		at := time.Duration(n) * s.width
		r := Interval{At: at.Seconds(), Seconds: s.width.Seconds(), Asked: plan.Rate(warmUp + at + s.width/2), Classes: map[Class]int{}, Response: i.summary()}
		for k, class := range classes {
			if i.classes[k] > 0 {
				r.Classes[class] = i.classes[k]
			}
		}
		if b, err := i.served.Encode(); err == nil { // there is none but for a broken geometry
			r.HDR = string(b)
		}
		list = append(list, r)
	}
	return list
}

// window is what was answered in the last second, for whoever looks on.
type window struct {
	requests int
	served   *interval
	lag      time.Duration // longest
	begun    time.Time
}

// Window is what was answered in the last second or so.
type Window struct {
	Seconds  float64
	Requests int
	P50, P99 time.Duration // response times of served requests
	Lag      time.Duration // longest
}

func newWindow() *window { return &window{served: newInterval(), begun: time.Now()} }

func (w *window) close() Window {
	return Window{time.Since(w.begun).Seconds(), w.requests, w.served.quantile(0.5), w.served.quantile(0.99), w.lag}
}

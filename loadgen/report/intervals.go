package report

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"soundcheck/loadgen/measure"
)

// Interval counts the requests scheduled in a part of the run: times in seconds, rates in
// req/s.
type Interval struct {
	At         float64               `json:"at"` // start, since the end of the warm-up
	Seconds    float64               `json:"seconds"`
	RateTarget float64               `json:"rate_target"` // in its middle; 0 in the closed model
	Classes    map[measure.Class]int `json:"classes"`
	Response   measure.Summary       `json:"response_time"`       // of served requests
	HDR        string                `json:"histogram,omitempty"` // of response times; only in files
}

// intervalsOf converts intervals. Rate is the target rate, in req/s, at a time since the end
// of the warm-up.
func intervalsOf(s *measure.Intervals, rate func(time.Duration) float64) []Interval {
	list := []Interval{}
	for n, i := range s.List {
		at := time.Duration(n) * s.Width
		r := Interval{At: at.Seconds(), Seconds: s.Width.Seconds(), RateTarget: rate(at + s.Width/2), Classes: map[measure.Class]int{}, Response: i.Summary()}
		for k, class := range measure.Classes {
			if i.Classes[k] > 0 {
				r.Classes[class] = i.Classes[k]
			}
		}
		if b, err := i.Served.Encode(); err == nil { // it fails only for a broken geometry
			r.HDR = string(b)
		}
		list = append(list, r)
	}
	return list
}

// Decode reads the histogram of response times, in ns; empty if the interval has none.
func (i Interval) Decode() (*hdrhistogram.PackedHistogram, error) {
	if i.HDR == "" {
		return measure.NewInterval().Served, nil
	}
	h, err := hdrhistogram.DecodePacked([]byte(i.HDR))
	if err != nil {
		return nil, fmt.Errorf("decode the histogram of the interval at %s s: %w", short(i.At), err)
	}
	return h, nil
}

// measured converts the intervals of a file back to measurements.
func measured(list []Interval) (*measure.Intervals, error) {
	s := &measure.Intervals{}
	if len(list) > measure.MaxIntervals {
		return nil, fmt.Errorf("%d intervals, at most %d", len(list), measure.MaxIntervals)
	}
	for _, i := range list {
		if i.Seconds < minInterval.Seconds() || i.Seconds > maxInterval.Seconds() || i.Seconds != list[0].Seconds {
			return nil, fmt.Errorf("interval at %s s with a width of %g s", short(i.At), i.Seconds)
		}
		served, err := i.Decode()
		if err != nil {
			return nil, err
		}
		s.Width = measure.Seconds(i.Seconds)
		j := &measure.Interval{Served: served, Longest: measure.Seconds(i.Response.Max)}
		for k, class := range measure.Classes {
			j.Classes[k] = i.Classes[class]
		}
		s.List = append(s.List, j)
	}
	return s, nil
}

// Limits of the width of intervals.
const (
	minInterval = time.Millisecond
	maxInterval = 25 * time.Hour
)

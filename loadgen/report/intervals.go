package report

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"soundcheck/loadgen/measure"
)

// Interval is what became of the requests that were due in a part of the time: times in
// seconds, rates in requests a second.
type Interval struct {
	At       float64               `json:"at"` // seconds from the beginning, after the warm-up
	Seconds  float64               `json:"seconds"`
	Asked    float64               `json:"rate_asked"` // in its middle; of the closed model 0
	Classes  map[measure.Class]int `json:"classes"`
	Response measure.Summary       `json:"response_time"`       // of served requests
	HDR      string                `json:"histogram,omitempty"` // of their times; only in files
}

// intervalsOf returns intervals with the rate that was planned at a time from the end of the
// warm-up, in requests a second.
func intervalsOf(s *measure.Intervals, rate func(time.Duration) float64) []Interval {
	list := []Interval{}
	for n, i := range s.List {
		at := time.Duration(n) * s.Width
		r := Interval{At: at.Seconds(), Seconds: s.Width.Seconds(), Asked: rate(at + s.Width/2), Classes: map[measure.Class]int{}, Response: i.Summary()}
		for k, class := range measure.Classes {
			if i.Classes[k] > 0 {
				r.Classes[class] = i.Classes[k]
			}
		}
		if b, err := i.Served.Encode(); err == nil { // there is none but for a broken geometry
			r.HDR = string(b)
		}
		list = append(list, r)
	}
	return list
}

// Decode reads the histogram of response times, in ns. An interval without one has none.
func (i Interval) Decode() (*hdrhistogram.PackedHistogram, error) {
	if i.HDR == "" {
		return measure.NewInterval().Served, nil
	}
	h, err := hdrhistogram.DecodePacked([]byte(i.HDR))
	if err != nil {
		return nil, fmt.Errorf("the histogram of the interval at %s s cannot be read: %w", short(i.At), err)
	}
	return h, nil
}

// measured returns the intervals of a report that was in a file as they were measured.
func measured(list []Interval) (*measure.Intervals, error) {
	s := &measure.Intervals{}
	for _, i := range list {
		served, err := i.Decode()
		if err != nil {
			return nil, err
		}
		s.Width = measure.Seconds(i.Seconds)
		j := measure.NewInterval()
		j.Served.Merge(served)
		j.Longest = measure.Seconds(i.Response.Max)
		for k, class := range measure.Classes {
			j.Classes[k] = i.Classes[class]
		}
		s.List = append(s.List, j)
	}
	return s, nil
}

package measure

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Part has requests of one second of a run, or users of a flow, in JSON. A worker sends parts while it runs,
// so that a coordinator has the numbers of all workers.
type Part struct {
	Scenario string  `json:"scenario,omitempty"` // or flow; "": all requests
	Second   int     `json:"second"`             // scheduled, since the end of the warm-up
	Classes  [4]int  `json:"classes"`            // requests, in the order of Classes
	Served   string  `json:"served,omitempty"`   // response times as in Histogram; "": none
	Longest  float64 `json:"longest,omitempty"`  // of them, in seconds
}

// second identifies a part.
type second struct {
	scenario string
	n        int
}

// CountParts makes the collector count for TakeParts.
func (c *Collector) CountParts() { c.live = map[second]*Interval{} }

// AddPart counts a request of a scenario ("": all), or a user of a flow, for TakeParts.
func (c *Collector) AddPart(scenario string, scheduled time.Duration, class Class, response time.Duration) {
	if c.live == nil {
		return
	}
	key := second{scenario, int(max(scheduled, 0) / time.Second)}
	if c.live[key] == nil {
		c.live[key] = NewInterval()
	}
	c.live[key].Add(class, response)
}

// TakeParts returns the requests since the last call: all, those of the scenarios with
// intervals of their own, and users. It needs CountParts.
func (c *Collector) TakeParts() []Part {
	var parts []Part
	order := func(a, b second) int { return cmp.Or(cmp.Compare(a.scenario, b.scenario), cmp.Compare(a.n, b.n)) }
	for _, key := range slices.SortedFunc(maps.Keys(c.live), order) {
		i := c.live[key]
		p := Part{Scenario: key.scenario, Second: key.n, Classes: i.Classes, Longest: i.Longest.Seconds()}
		if i.Served.TotalCount() > 0 {
			if b, err := i.Served.Encode(); err == nil { // it fails only for a broken geometry
				p.Served = string(b)
			}
		}
		parts = append(parts, p)
	}
	clear(c.live)
	return parts
}

// maxScenarios limits the memory of a Sum.
const maxScenarios = 100

// Sum adds up the parts of several workers. It is for one goroutine.
type Sum struct {
	cells     map[string]*Cell // by scenario; "": all
	intervals map[string]*Intervals
	window    *window
}

// NewSum returns an empty sum.
func NewSum() *Sum {
	return &Sum{cells: map[string]*Cell{"": NewCell()}, intervals: map[string]*Intervals{"": {Width: time.Second}}, window: newWindow()}
}

// Decoded are parts that were checked.
type Decoded struct {
	parts  []Part
	served []*Packed
}

// DecodeParts checks parts and decodes their response times: most of the work of Add, and apart from the sum.
func DecodeParts(parts []Part) (Decoded, error) {
	d := Decoded{parts, make([]*Packed, len(parts))}
	for i, p := range parts {
		var err error
		if d.served[i], err = p.decode(); err != nil {
			return Decoded{}, fmt.Errorf("part of scenario %q, second %d: %w", p.Scenario, p.Second, err)
		}
	}
	return d, nil
}

// Add adds the parts of a worker, all or none of them.
func (s *Sum) Add(parts []Part) error {
	d, err := DecodeParts(parts)
	if err != nil {
		return err
	}
	return s.AddDecoded(d)
}

// AddDecoded adds the parts of a worker, all or none of them.
func (s *Sum) AddDecoded(d Decoded) error {
	scenarios := map[string]bool{}
	for _, p := range d.parts {
		if s.cells[p.Scenario] == nil {
			scenarios[p.Scenario] = true
		}
	}
	if n := len(s.cells) - 1 + len(scenarios); n > maxScenarios {
		return fmt.Errorf("parts of %d scenarios, at most %d", n, maxScenarios)
	}
	for i, p := range d.parts {
		s.add(p, d.served[i])
	}
	return nil
}

// decode checks a part, and returns its response times.
func (p Part) decode() (*Packed, error) {
	if last := int(maxTime / time.Second); p.Second < 0 || p.Second > last {
		return nil, fmt.Errorf("the second is out of range: 0 to %d", last)
	}
	for k, n := range p.Classes {
		if n < 0 || n > maxRequests {
			return nil, fmt.Errorf("%d %s requests", n, Classes[k])
		}
	}
	d := &Packed{hist: NewInterval().Served}
	if p.Served != "" {
		var err error
		if d, err = (Histogram{p.Served, p.Longest}).DecodePacked(); err != nil {
			return nil, err
		}
	}
	if n := int64(p.Classes[0] + p.Classes[1]); d.Count() != n { // good and late
		return nil, fmt.Errorf("%d response times of %d served requests", d.Count(), n)
	}
	return d, nil
}

// maxRequests is more than a worker sends in a second.
const maxRequests = math.MaxInt32

func (s *Sum) add(p Part, served *Packed) {
	cell := s.cells[p.Scenario]
	if cell == nil {
		cell = NewCell()
		s.cells[p.Scenario], s.intervals[p.Scenario] = cell, &Intervals{Width: time.Second}
	}
	i := &Interval{Classes: p.Classes, Served: served.hist, Longest: served.longest}
	for k, n := range p.Classes {
		if n > 0 {
			cell.Classes[Classes[k]] += n
		}
		if p.Scenario == "" {
			s.window.requests += n
		}
	}
	cell.Served.MergePacked(served)
	s.intervals[p.Scenario].at(time.Duration(p.Second) * time.Second).Merge(i)
	if p.Scenario == "" {
		s.window.served.Merge(i)
	}
}

// Of returns the requests of a scenario ("": all), as Collector.Of does, without statuses
// and service times. The cell is nil for a scenario without requests.
func (s *Sum) Of(scenario string) (*Cell, []*Interval) {
	if s.cells[scenario] == nil {
		return nil, nil
	}
	return s.cells[scenario], s.intervals[scenario].List
}

// Window returns the requests since the last call, without send delay.
func (s *Sum) Window() Window {
	w := s.window.close()
	s.window = newWindow()
	return w
}

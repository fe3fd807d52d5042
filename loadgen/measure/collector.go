package measure

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"soundcheck/loadgen/explain"
)

// What a generator that keeps up with its plan does not exceed: how much later than
// scheduled it sends requests, at p99.
const (
	MaxLag      = 2 * time.Millisecond
	maxLagShare = 0.05 // of the response time, if that is more
)

// LagLimit is how late, in seconds, a generator that keeps up sends requests whose
// response times, in seconds, are so long.
func LagLimit(response float64) float64 { return max(MaxLag.Seconds(), maxLagShare*response) }

// Results are the measurements of a run, or of several together.
type Results struct {
	All       *Cell
	Scenarios map[string]*Cell // by name
	Service   *Times           // from when requests were sent to the end of their responses
	Lag       *Times           // from when requests were due until they were sent
	Intervals *Intervals
}

// NewResults returns those of no requests.
func NewResults() *Results {
	return &Results{All: NewCell(), Scenarios: map[string]*Cell{}, Service: NewTimes(), Lag: NewTimes(), Intervals: &Intervals{}}
}

// Merge adds other results.
func (r *Results) Merge(s *Results) {
	r.All.merge(s.All)
	r.Service.Merge(s.Service)
	r.Lag.Merge(s.Lag)
	for name, c := range s.Scenarios {
		if r.Scenarios[name] == nil {
			r.Scenarios[name] = NewCell()
		}
		r.Scenarios[name].merge(c)
	}
	r.Intervals.Merge(s.Intervals)
}

// Request is what is measured of one request.
type Request struct {
	Scenario string
	Class    Class
	Status   int           // HTTP; 0: no response came
	Due      time.Duration // from the end of the warm-up
	Response time.Duration // from when it was due to the end of its response
	Service  time.Duration // from when it was sent to the end of its response
	Lag      time.Duration // from when it was due until it was sent
	Delayed  bool          // it is late only because it was sent late
	TraceID  string        // "": its trace is not sampled
	// From the start of its trace: when a connection was there, and when the first byte of
	// the response came; both 0 if that is not known.
	Connected, FirstByte time.Duration
}

// Collector takes in requests. One goroutine uses it.
type Collector struct {
	*Results
	parts    map[string]*Intervals // by scenario
	samplers map[string]*sampler
	window   *window
}

// NewCollector returns one for requests of some scenarios, in intervals of a width, with
// intervals of their own for those in parts. The sample follows from the seed.
func NewCollector(scenarios, parts []string, width time.Duration, seed uint64) *Collector {
	c := &Collector{Results: NewResults(), parts: map[string]*Intervals{}, samplers: map[string]*sampler{}, window: newWindow()}
	c.Intervals.Width = width
	for _, name := range parts {
		c.parts[name] = &Intervals{Width: time.Second}
	}
	for _, name := range scenarios {
		c.Scenarios[name] = NewCell()
		c.samplers[name] = &sampler{rng: rand.New(rand.NewPCG(seed, 4))}
	}
	return c
}

// Add takes in a request.
func (c *Collector) Add(r Request) {
	row := c.Scenarios[r.Scenario]
	served := r.Class == Good || r.Class == Late
	for _, cell := range []*Cell{c.All, row} {
		cell.Add(r.Class, r.Status, r.Response)
		if served {
			cell.addService(r.Service, r.Delayed)
		}
	}
	c.Intervals.Add(r.Due, r.Class, r.Response)
	if p := c.parts[r.Scenario]; p != nil {
		p.Add(r.Due, r.Class, r.Response)
	}
	c.window.requests++
	c.window.served.Add(r.Class, r.Response)
	c.window.lag = max(c.window.lag, r.Lag)
	c.Service.Add(r.Service)
	c.Lag.Add(r.Lag)
	if served {
		c.samplers[r.Scenario].add(explain.Request{TraceID: r.TraceID, Response: r.Response, Lag: r.Lag, Connected: r.Connected, FirstByte: r.FirstByte})
	}
}

// AddUnsent takes in a request that was due at a time from the end of the warm-up, and could
// not be sent.
func (c *Collector) AddUnsent(due time.Duration) {
	c.All.Classes[Failed]++
	c.All.Statuses[0]++
	c.Intervals.Add(due, Failed, 0)
}

// Of returns the requests of a scenario, "" for all, and the same by time. The cell is nil
// if there can be none.
func (c *Collector) Of(scenario string) (*Cell, []*Interval) {
	if scenario != "" {
		return c.Scenarios[scenario], c.parts[scenario].List
	}
	return c.All, c.Intervals.List
}

// Window returns what was added since the last call.
func (c *Collector) Window() Window {
	w := c.window.close()
	c.window = newWindow()
	return w
}

// Groups returns the served requests to be explained, by scenario: the slowest, and
// typical ones.
func (c *Collector) Groups() []explain.Group {
	var groups []explain.Group
	for _, name := range slices.Sorted(maps.Keys(c.samplers)) {
		if g, ok := c.samplers[name].group(name, c.Scenarios[name].Served.Quantile(0.5)); ok {
			groups = append(groups, g)
		}
	}
	return groups
}

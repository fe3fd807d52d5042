package measure

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"soundcheck/loadgen/explain"
)

// Limits of the p99 send delay of a valid run.
const (
	MaxSendDelay      = 2 * time.Millisecond
	maxSendDelayShare = 0.05 // of the response time, if larger
)

// SendDelayLimit returns the limit of the p99 send delay for a p99 response time, both in
// seconds.
func SendDelayLimit(response float64) float64 {
	return max(MaxSendDelay.Seconds(), maxSendDelayShare*response)
}

// Results are the measurements of one or more runs.
type Results struct {
	All       *Cell
	Scenarios map[string]*Cell // by name
	Statuses  map[int]*Times   // response times by HTTP status
	Protocols map[string]int   // responses by HTTP version
	Service   *Times           // sent → end of the response
	SendDelay *Times           // scheduled → sent
	FirstByte *Times           // sent → first byte of the response, of the last attempt
	Body      *Times           // first byte → end of the response
	Received  uint64           // bytes of response bodies
	Sent      uint64           // bytes of request bodies
	Opened    *Connections
	Flow      *Cell // users of a flow; they are not requests
	Intervals *Intervals
}

// Connections are those that were opened.
type Connections struct {
	Count             int
	DNS, Connect, TLS *Times // name resolution, if any; TCP handshake, with DNS; TLS handshake, if any
}

// NewConnections returns none.
func NewConnections() *Connections { return &Connections{0, NewTimes(), NewTimes(), NewTimes()} }

// Add counts a connection. Times are 0 if there was nothing to do.
func (c *Connections) Add(dns, connect, tls time.Duration) {
	c.Count++
	c.Connect.Add(connect)
	if dns > 0 {
		c.DNS.Add(dns)
	}
	if tls > 0 {
		c.TLS.Add(tls)
	}
}

// NewResults returns empty results.
func NewResults() *Results {
	return &Results{All: NewCell(), Scenarios: map[string]*Cell{}, Statuses: map[int]*Times{}, Protocols: map[string]int{}, Service: NewTimes(), SendDelay: NewTimes(), FirstByte: NewTimes(), Body: NewTimes(), Opened: NewConnections(), Flow: NewCell(), Intervals: &Intervals{}}
}

// Status returns the response times of an HTTP status.
func (r *Results) Status(code int) *Times {
	t := r.Statuses[code]
	if t == nil {
		t = NewTimes()
		r.Statuses[code] = t
	}
	return t
}

// Merge adds s.
func (r *Results) Merge(s *Results) {
	r.All.merge(s.All)
	r.Service.Merge(s.Service)
	r.SendDelay.Merge(s.SendDelay)
	r.FirstByte.Merge(s.FirstByte)
	r.Body.Merge(s.Body)
	r.Flow.merge(s.Flow)
	for name, c := range s.Scenarios {
		if r.Scenarios[name] == nil {
			r.Scenarios[name] = NewCell()
		}
		r.Scenarios[name].merge(c)
	}
	for code, t := range s.Statuses {
		r.Status(code).Merge(t)
	}
	for name, n := range s.Protocols {
		r.Protocols[name] += n
	}
	r.Intervals.Merge(s.Intervals)
}

// Request is the measurement of one request.
type Request struct {
	Scenario  string
	Class     Class
	Status    int           // HTTP; 0: no response
	Protocol  string        // of the response, as in HTTP/1.1; "": no response
	Scheduled time.Duration // since the end of the warm-up
	Response  time.Duration // scheduled → end of the response
	Service   time.Duration // sent → end of the response
	SendDelay time.Duration // scheduled → sent
	Delayed   bool          // late only because of send delay
	TraceID   string        // "": not sampled
	SpanID    string        // of the topmost span; "": the root of the trace
	Shared    bool          // other requests may have the same trace
	// Since the start of the trace: connection ready, first byte of the response; 0: unknown.
	Connected, FirstByte time.Duration
	// Of the last attempt: sent → first byte, first byte → end of the response. Both are 0 if no byte came.
	TTFB, Body     time.Duration
	Received, Sent uint64 // bytes of the bodies of response and request
}

// Collector counts requests. It is for one goroutine.
type Collector struct {
	*Results
	parts    map[string]*Intervals // by scenario
	samplers map[string]*sampler
	window   *window
	live     map[second]*Interval // of TakeParts; nil: off
}

// NewCollector returns a collector for scenarios, with intervals of a width. The scenarios in
// parts get intervals too. The seed is that of the sample.
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

// Add counts a request.
func (c *Collector) Add(r Request) {
	row := c.Scenarios[r.Scenario]
	served := r.Class == Good || r.Class == Late
	for _, cell := range []*Cell{c.All, row} {
		cell.Add(r.Class, r.Status, r.Response)
		if served {
			cell.addService(r.Service, r.Delayed)
		}
	}
	if r.Status != 0 {
		c.Status(r.Status).Add(r.Response)
	}
	if r.Protocol != "" {
		c.Protocols[r.Protocol]++
	}
	c.Intervals.Add(r.Scheduled, r.Class, r.Response)
	if p := c.parts[r.Scenario]; p != nil {
		p.Add(r.Scheduled, r.Class, r.Response)
	}
	c.AddPart("", r.Scheduled, r.Class, r.Response)
	if c.parts[r.Scenario] != nil {
		c.AddPart(r.Scenario, r.Scheduled, r.Class, r.Response)
	}
	c.window.requests++
	c.window.served.Add(r.Class, r.Response)
	c.window.sendDelay = max(c.window.sendDelay, r.SendDelay)
	c.Service.Add(r.Service)
	c.SendDelay.Add(r.SendDelay)
	c.Received += r.Received
	c.Results.Sent += r.Sent
	if r.TTFB > 0 {
		c.FirstByte.Add(r.TTFB)
		c.Body.Add(r.Body)
	}
	if served && !r.Shared {
		c.samplers[r.Scenario].add(explain.Request{TraceID: r.TraceID, SpanID: r.SpanID, Response: r.Response, SendDelay: r.SendDelay, Connected: r.Connected, FirstByte: r.FirstByte})
	}
}

// AddUnsent counts a request that could not be sent, by its scheduled time since the end of
// the warm-up.
func (c *Collector) AddUnsent(scheduled time.Duration) {
	c.All.Classes[Failed]++
	c.All.Statuses[0]++
	c.Intervals.Add(scheduled, Failed, 0)
	c.AddPart("", scheduled, Failed, 0)
}

// Of returns the requests of a scenario ("": all), in total and by interval. The cell is nil
// for a scenario that is not sent.
func (c *Collector) Of(scenario string) (*Cell, []*Interval) {
	if scenario != "" {
		return c.Scenarios[scenario], c.parts[scenario].List
	}
	return c.All, c.Intervals.List
}

// Window returns the requests since the last call.
func (c *Collector) Window() Window {
	w := c.window.close()
	c.window = newWindow()
	return w
}

// Groups returns the served requests for tail-latency attribution, by scenario: the slowest
// and typical ones.
func (c *Collector) Groups() []explain.Group {
	var groups []explain.Group
	for _, name := range slices.Sorted(maps.Keys(c.samplers)) {
		if g, ok := c.samplers[name].group(name, c.Scenarios[name].Served.Quantile(0.5)); ok {
			groups = append(groups, g)
		}
	}
	return groups
}

// Candidates returns the requests from which the groups of several processes are picked.
func (c *Collector) Candidates() []explain.Group {
	var list []explain.Group
	for _, name := range slices.Sorted(maps.Keys(c.samplers)) {
		if g := c.samplers[name].candidates(name, c.Scenarios[name].Served.Quantile(0.5)); len(g.Slow) > 0 {
			list = append(list, g)
		}
	}
	return list
}

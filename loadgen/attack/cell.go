package attack

import "time"

// Class is what became of a request.
type Class string

// The classes. Good and late requests were served: answered with the status that
// their scenario expects.
const (
	Good   Class = "good"
	Late   Class = "late"   // served, but not within the time of the objectives
	Shed   Class = "shed"   // refused by a service that has too much to do: 429 or 503
	Failed Class = "failed" // any other status, or no answer
)

var classes = []Class{Good, Late, Shed, Failed}

// cell collects requests: those of a scenario, or all.
type cell struct {
	classes  map[Class]int
	statuses map[int]int // 0: no answer
	served   *times      // response times of good and late ones
	shed     *times
	failed   *times

	// Of good and late requests too, to tell the target's part from the generator's. They
	// are not in files.
	service *times
	delayed int // late ones that were late only because they were sent late
}

func newCell() *cell {
	return &cell{classes: map[Class]int{}, statuses: map[int]int{}, served: newTimes(), shed: newTimes(), failed: newTimes(), service: newTimes()}
}

func (c *cell) merge(d *cell) {
	for class, n := range d.classes {
		c.classes[class] += n
	}
	for status, n := range d.statuses {
		c.statuses[status] += n
	}
	c.served.merge(d.served)
	c.shed.merge(d.shed)
	c.failed.merge(d.failed)
}

func (c *cell) add(class Class, status int, response time.Duration) {
	c.classes[class]++
	c.statuses[status]++
	switch class {
	case Shed:
		c.shed.add(response)
	case Failed:
		c.failed.add(response)
	default:
		c.served.add(response)
	}
}

// addService notes how long a served request took from when it was sent, and whether it
// would have been in time had it not been sent late.
func (c *cell) addService(service time.Duration, delayed bool) {
	c.service.add(service)
	if delayed {
		c.delayed++
	}
}

func (c *cell) requests() int {
	n := 0
	for _, k := range c.classes {
		n += k
	}
	return n
}

// Summary is a distribution of times, in seconds. Percentiles are at most 0.1% above
// the exact ones.
type Summary struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func (t *times) summary() Summary {
	q := func(q float64) float64 { return t.quantile(q).Seconds() }
	return Summary{Count: t.count(), Mean: t.h.Mean() / 1e9, P50: q(0.5), P90: q(0.9), P99: q(0.99), P999: q(0.999), Max: t.longest.Seconds()}
}

package measure

import "time"

// Cell collects requests: those of a scenario, or all.
type Cell struct {
	Classes  map[Class]int
	Statuses map[int]int // by HTTP status; 0: no response
	Served   *Times      // response times of good and late ones
	Shed     *Times
	Failed   *Times

	// Of good and late requests too, to tell the target's part from the generator's. They
	// are not in files.
	Service *Times
	Delayed int // late ones that were late only because they were sent late
}

// NewCell returns one without requests.
func NewCell() *Cell {
	return &Cell{Classes: map[Class]int{}, Statuses: map[int]int{}, Served: NewTimes(), Shed: NewTimes(), Failed: NewTimes(), Service: NewTimes()}
}

func (c *Cell) merge(d *Cell) {
	for class, n := range d.Classes {
		c.Classes[class] += n
	}
	for status, n := range d.Statuses {
		c.Statuses[status] += n
	}
	c.Served.Merge(d.Served)
	c.Shed.Merge(d.Shed)
	c.Failed.Merge(d.Failed)
}

// Add takes in a request with its HTTP status, 0 if no response came, and its response
// time.
func (c *Cell) Add(class Class, status int, response time.Duration) {
	c.Classes[class]++
	c.Statuses[status]++
	switch class {
	case Shed:
		c.Shed.Add(response)
	case Failed:
		c.Failed.Add(response)
	default:
		c.Served.Add(response)
	}
}

// addService notes how long a served request took from when it was sent, and whether it
// would have been in time had it not been sent late.
func (c *Cell) addService(service time.Duration, delayed bool) {
	c.Service.Add(service)
	if delayed {
		c.Delayed++
	}
}

// Requests is how many there are.
func (c *Cell) Requests() int {
	n := 0
	for _, k := range c.Classes {
		n += k
	}
	return n
}

package measure

import "time"

// Cell counts the requests of a scenario, or all.
type Cell struct {
	Classes  map[Class]int
	Statuses map[int]int // by HTTP status; 0: no response
	Served   *Times      // response times of good and late ones
	Shed     *Times
	Failed   *Times

	// Of good and late requests too, to separate the target from the generator. Not in files.
	Service *Times
	Delayed int // requests late only because of send delay
}

// NewCell returns an empty cell.
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

// Add counts a request with its HTTP status (0: no response) and its response time.
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

// addService adds a served request's service time. Delayed: it is late only because of send
// delay.
func (c *Cell) addService(service time.Duration, delayed bool) {
	c.Service.Add(service)
	if delayed {
		c.Delayed++
	}
}

// Requests returns the number of requests.
func (c *Cell) Requests() int {
	n := 0
	for _, k := range c.Classes {
		n += k
	}
	return n
}

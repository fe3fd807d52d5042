package measure

import "time"

// Window counts the requests completed in about the last second.
type Window struct {
	Seconds   float64
	Requests  int
	P50, P99  time.Duration // response times of served requests
	SendDelay time.Duration // longest
}

// window is an open Window.
type window struct {
	requests  int
	served    *Interval
	sendDelay time.Duration // longest
	start     time.Time
}

func newWindow() *window { return &window{served: NewInterval(), start: time.Now()} }

func (w *window) close() Window {
	return Window{time.Since(w.start).Seconds(), w.requests, w.served.Quantile(0.5), w.served.Quantile(0.99), w.sendDelay}
}

package measure

import "time"

// Window is what was answered in the last second or so.
type Window struct {
	Seconds  float64
	Requests int
	P50, P99 time.Duration // response times of served requests
	Lag      time.Duration // longest
}

// window collects it.
type window struct {
	requests int
	served   *Interval
	lag      time.Duration // longest
	start    time.Time
}

func newWindow() *window { return &window{served: NewInterval(), start: time.Now()} }

func (w *window) close() Window {
	return Window{time.Since(w.start).Seconds(), w.requests, w.served.Quantile(0.5), w.served.Quantile(0.99), w.lag}
}

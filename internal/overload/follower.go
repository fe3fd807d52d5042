package overload

import (
	"math"
	"slices"
	"time"
)

// Bounds of an adaptive limit. minLimit requests may be in flight whatever their latency.
const (
	minLimit     = 16
	initialLimit = 32
	maxLimit     = 1024
)

// The limit is adjusted once per window. A window is long enough that a pause of the disk
// or the scheduler touches a minority of its requests, and twice as long as they take:
// in a shorter one only the fastest would end.
const (
	followWindow  = 500 * time.Millisecond
	followSamples = 48   // per window, at least; the median of fewer may differ by more than significant by chance
	maxSamples    = 1024 // per window; the rest is ignored
	growth        = 1.25 // of the limit per window
	shrinkage     = 0.5  // of the limit per window, at most
	significant   = 0.9  // two medians that differ by this factor differ significantly
)

// follower adjusts a limit to the latency.
//
// The signal is that of TCP Vegas. Requests that queue behind each other have a higher
// latency than the unloaded service, so limit × (1 − unloaded/latency) of them are queued.
// A few may be: alpha to beta, apart from a tenth of the latency that may be chance.
//
// The difficulty is the unloaded latency. A moving average over minutes (failsafe-go's
// adaptive limiter v0.9.8, Netflix's Gradient2) takes every slowdown for overload. A disk
// whose commits went from 3 to 300 ms brought the limit down to its minimum, and half of
// the requests that the store could have served were shed for minutes, while the CPU was
// idle. Requests that arrived in bursts, from clients on a busy host, had the same effect.
//
// Queueing ends when few requests are in flight; a slow disk stays slow. So the unloaded
// latency is measured while at most minLimit requests are in flight, as in Envoy's adaptive
// concurrency filter. Envoy lowers the concurrency for that once a minute. Here every
// window with so few requests is a measurement, and a limit that comes down because of a
// high latency gets there by itself. A latency that is still high at minLimit is no
// queueing: the limit grows again by a quarter per window. A disk that becomes slow costs
// some seconds of shedding, not minutes (TestSlowIsNotOverload).
//
// The limit changes only in windows in which a request had to wait for a permit: a limit
// that is not reached has no influence on the latency.
type follower struct {
	unloaded float64 // latency in seconds; 0: not measured yet

	// Of the current window:
	begun     time.Time
	saturated bool          // a request had to wait for a permit
	latencies []float64     // seconds, of requests that began in the window
	sum       float64       // of latencies
	changed   time.Time     // when the number in flight last changed
	idle      time.Duration // with nothing in flight, at most a window
	busy      float64       // integral of the number in flight over time, in seconds
}

func newFollower(now time.Time) *follower {
	return &follower{begun: now, changed: now, latencies: make([]float64, 0, maxSamples)}
}

// observe notes how many requests were in flight until now. Of the time in which there
// were none a window contains no more than its length: after minutes of it any burst would
// have a small mean in flight, and an overloaded latency would be taken for the unloaded
// one. It contains some, because clients that send in bursts overload nothing.
func (f *follower) observe(now time.Time, inFlight int) {
	if inFlight == 0 {
		idle := now.Sub(f.changed)
		counted := min(idle, followWindow-f.idle)
		f.idle += counted
		f.begun = f.begun.Add(idle - counted)
	}
	f.busy += now.Sub(f.changed).Seconds() * float64(inFlight)
	f.changed = now
}

// record notes a request that began at start and has ended. It returns the limit.
func (f *follower) record(now, start time.Time, limit int) int {
	// A request that began before the limit changed shows the effect of the old limit.
	if len(f.latencies) < maxSamples && !start.Before(f.begun) {
		f.latencies = append(f.latencies, now.Sub(start).Seconds())
		f.sum += f.latencies[len(f.latencies)-1]
	}
	length := now.Sub(f.begun)
	if n := len(f.latencies); length < followWindow || n < followSamples || length.Seconds() < 2*f.sum/float64(n) {
		return limit
	}
	slices.Sort(f.latencies)
	limit = f.next(limit, f.latencies[len(f.latencies)/2], f.busy/length.Seconds())
	f.begun, f.saturated, f.latencies, f.sum, f.busy, f.idle = now, false, f.latencies[:0], 0, 0, 0
	return limit
}

// next returns the limit after a window with this median latency in seconds and this mean
// number of requests in flight.
func (f *follower) next(limit int, latency, inFlight float64) int {
	latency = max(latency, 1e-6)
	switch {
	case inFlight < minLimit+1:
		f.unloaded = latency
	case f.unloaded > 0 && latency < significant*f.unloaded: // load does not make requests faster
		f.unloaded = latency
	}
	switch {
	case !f.saturated:
		return limit
	case f.unloaded == 0:
		return minLimit // to measure it
	}
	alpha := 2 * math.Log10(float64(limit))
	beta := 2 * alpha
	next := float64(limit)
	switch queued := next * (1 - f.unloaded/(significant*latency)); {
	case queued > beta:
		next = max(next-queued+alpha, shrinkage*next)
	case queued < alpha/2:
		next = math.Ceil(growth * next)
	case queued < alpha:
		next++
	}
	return int(min(max(next, minLimit), maxLimit))
}

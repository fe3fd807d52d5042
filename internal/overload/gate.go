package overload

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"
)

// gate bounds how many requests of a class are in flight. The others wait in a queue,
// first in first out, whose length is bounded in number and in time: a request that
// would wait too long is shed at once rather than after the wait.
type gate struct {
	limiter  *limiter
	maxQueue int64
	maxWait  time.Duration

	waiting atomic.Int64
	// service is how long a request is in flight, in seconds: a moving average, as the
	// bits of a float64.
	service atomic.Uint64
	// standing is since when somebody has been waiting, in nanoseconds since 1970;
	// 0: nobody waits.
	standing atomic.Int64
}

// patience is how many times maxWait a request may wait in a queue that has just formed.
// No request waits longer.
const patience = 10

// permit is the right to be in flight.
type permit struct{ start time.Time }

// Bounds of the classes that are apart from reads and writes.
const (
	maxBatches = 16
	maxStreams = 64
)

func newGate(o Options, class Class) *gate {
	g := &gate{maxQueue: int64(o.Queue), maxWait: o.QueueWait}
	switch {
	case class == Batch:
		g.limiter = newLimiter(o.Concurrency.atMost(maxBatches))
	case class == Stream:
		g.limiter = newLimiter(o.Concurrency.atMost(maxStreams))
	case o.Concurrency.Adaptive:
		g.limiter = newAdaptiveLimiter()
	default:
		g.limiter = newLimiter(o.Concurrency.share(class, o.WriteShare))
	}
	return g
}

// try returns a permit if nobody has to wait for one.
func (g *gate) try() (permit, bool) {
	ok := g.limiter.try()
	return permit{time.Now()}, ok
}

// queue waits for a permit.
func (g *gate) queue(ctx context.Context) (permit, *Shed) {
	ahead := g.enter()
	defer g.leave()
	if ahead > g.maxQueue {
		return permit{}, &Shed{QueueFull, retryLater}
	}
	limit, _ := g.limiter.state()
	expected := time.Duration(float64(ahead) / float64(limit) * g.serviceTime() * float64(time.Second))
	if deadline, ok := ctx.Deadline(); ok && expected > time.Until(deadline) {
		return permit{}, &Shed{DeadlineExceeded, retryLater}
	}
	if expected > g.allowedWait(time.Now()) {
		return permit{}, &Shed{QueueFull, retryLater}
	}
	// Its turn can come later than expected, because requests end in clusters. Only
	// who waits much too long is shed after all: a late no is the worst answer.
	switch err := g.limiter.acquire(ctx, patience*g.maxWait); {
	case errors.Is(err, context.DeadlineExceeded):
		return permit{}, &Shed{DeadlineExceeded, retryLater}
	case errors.Is(err, context.Canceled):
		return permit{}, &Shed{ClientGone, retryLater}
	case err != nil:
		return permit{}, &Shed{QueueTimeout, retryLater}
	}
	p := permit{time.Now()}
	if err := ctx.Err(); err != nil { // its turn came, too late
		g.limiter.release(p.start, false)
		reason := ClientGone
		if errors.Is(err, context.DeadlineExceeded) {
			reason = DeadlineExceeded
		}
		return permit{}, &Shed{reason, retryLater}
	}
	return p, nil
}

// enter returns how many wait, with the caller.
func (g *gate) enter() int64 {
	n := g.waiting.Add(1)
	if n == 1 {
		g.standing.Store(time.Now().UnixNano())
	}
	return n
}

func (g *gate) leave() { g.waiting.Add(-1) }

// allowedWait is how long a request may expect to wait. A queue that has been empty a
// moment ago is a burst: whoever sent it has stood still for some time, and it is served
// soon. A queue that does not become empty is overload: then a long queue would only make
// all of them late. It is the rule of CoDel, in the form of "Fail at Scale" (Maurer, ACM
// Queue 13/8, 2015). Without it, a machine that lets its programs run only every few
// hundred milliseconds sheds what then comes at once, though nobody had to wait before.
func (g *gate) allowedWait(now time.Time) time.Duration {
	if burst := patience * g.maxWait; now.UnixNano()-g.standing.Load() < int64(burst) {
		return burst
	}
	return g.maxWait
}

// release gives p back. Record says that how long it was held is like what is to be
// expected.
func (g *gate) release(p permit, record bool) {
	if record {
		g.learn(time.Since(p.start).Seconds())
	}
	g.limiter.release(p.start, record)
}

// learn notes how long a request was in flight. Of two that end at once one may be
// lost: it is an average.
func (g *gate) learn(seconds float64) {
	const weight = 0.05
	old := g.service.Load()
	average := math.Float64frombits(old)
	if old == 0 {
		average = seconds
	}
	g.service.CompareAndSwap(old, math.Float64bits(average+weight*(seconds-average)))
}

func (g *gate) serviceTime() float64 { return math.Float64frombits(g.service.Load()) }

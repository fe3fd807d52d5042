package overload

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// gate limits the requests of a class in flight. Further requests wait in a first-in, first-out
// queue that is limited in length and in time. A request that would wait too long is shed at
// once, not after the wait.
type gate struct {
	limiter  *limiter
	maxQueue int64
	maxWait  time.Duration

	waiting atomic.Int64
	queued  sync.Mutex // orders enter: queuedSince is set before the next request reads it
	// service is the moving average of the service time in seconds, as the bits of a float64.
	service atomic.Uint64
	// queuedSince is when the queue last became non-empty, in nanoseconds since 1970; 0: never.
	queuedSince atomic.Int64
}

// burstFactor is the maximum wait in a queue that has just formed, as a multiple of maxWait. No
// request waits longer.
const burstFactor = 10

// permit is a slot of an admitted request.
type permit struct{ start time.Time }

// Concurrency limits of batches and streams.
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

// tryAcquire returns a permit if one is free and the queue is empty.
func (g *gate) tryAcquire() (permit, bool) {
	ok := g.limiter.tryAcquire()
	return permit{time.Now()}, ok
}

// queue waits for a permit.
func (g *gate) queue(ctx context.Context) (permit, *Shed) {
	ahead := g.enter()
	defer g.leave()
	if ahead > g.maxQueue {
		return permit{}, &Shed{Reason: QueueFull, After: retryLater}
	}
	limit, _ := g.limiter.state()
	expected := time.Duration(float64(ahead) / float64(limit) * g.serviceTime() * float64(time.Second))
	if deadline, ok := ctx.Deadline(); ok && expected > time.Until(deadline) {
		return permit{}, &Shed{Reason: DeadlineExceeded, After: retryLater}
	}
	if expected > g.allowedWait(time.Now()) {
		return permit{}, &Shed{Reason: QueueFull, After: retryLater}
	}
	// The wait can be longer than expected, because requests end in clusters. A queued request
	// is shed only after a much longer wait: late shedding is worst for the client.
	switch err := g.limiter.acquire(ctx, burstFactor*g.maxWait); {
	case errors.Is(err, context.DeadlineExceeded):
		return permit{}, &Shed{DeadlineExceeded, retryLater, true}
	case errors.Is(err, context.Canceled):
		return permit{}, &Shed{ClientGone, retryLater, true}
	case err != nil:
		return permit{}, &Shed{QueueTimeout, retryLater, true}
	}
	p := permit{time.Now()}
	if err := ctx.Err(); err != nil { // admitted too late
		g.limiter.release(p.start, false)
		reason := ClientGone
		if errors.Is(err, context.DeadlineExceeded) {
			reason = DeadlineExceeded
		}
		return permit{}, &Shed{reason, retryLater, true}
	}
	return p, nil
}

// enter returns the queue length, the caller included. Subsequent requests see when the queue formed.
func (g *gate) enter() int64 {
	g.queued.Lock()
	defer g.queued.Unlock()
	n := g.waiting.Add(1)
	if n == 1 {
		g.queuedSince.Store(time.Now().UnixNano())
	}
	return n
}

func (g *gate) leave() { g.waiting.Add(-1) }

// allowedWait is the maximum expected wait. A queue that was empty a moment ago is a burst that
// drains soon. A queue that does not become empty is overload: a long queue would only delay all
// requests. It is the rule of CoDel, in the form of "Fail at Scale" (Maurer, ACM Queue 13/8,
// 2015). Without it, a busy host that schedules a process only every few hundred milliseconds
// sheds the requests that arrived in between.
func (g *gate) allowedWait(now time.Time) time.Duration {
	if burst := burstFactor * g.maxWait; now.UnixNano()-g.queuedSince.Load() < int64(burst) {
		return burst
	}
	return g.maxWait
}

// release returns p. Record is whether its duration is representative.
func (g *gate) release(p permit, record bool) {
	if record {
		g.updateServiceTime(time.Since(p.start).Seconds())
	}
	g.limiter.release(p.start, record)
}

// updateServiceTime adds a request to the average. Concurrent updates may be lost.
func (g *gate) updateServiceTime(seconds float64) {
	const weight = 0.05
	old := g.service.Load()
	average := math.Float64frombits(old)
	if old == 0 {
		average = seconds
	}
	g.service.CompareAndSwap(old, math.Float64bits(average+weight*(seconds-average)))
}

func (g *gate) serviceTime() float64 { return math.Float64frombits(g.service.Load()) }

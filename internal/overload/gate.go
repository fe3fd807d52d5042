package overload

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
)

// gate bounds how many requests of a class are in work. The others wait in a queue,
// first in first out, whose length is bounded in number and in time: a request that
// would wait too long is refused at once rather than after the wait.
type gate struct {
	limiter  adaptivelimiter.AdaptiveLimiter[any]
	maxQueue int64
	maxWait  time.Duration

	waiting atomic.Int64
	// service is how long a request is in work, in seconds: a moving average, as the
	// bits of a float64.
	service atomic.Uint64
}

// patience is how many times its longest expected wait a request waits at most.
const patience = 10

type permit struct {
	adaptivelimiter.Permit
	start time.Time
}

// Bounds of the classes that are apart from reads and writes.
const (
	maxBatches = 16
	maxStreams = 64
)

// How a limit follows the latency. Every followWindow the median of what requests
// took is compared with a baseline: in the manner of TCP Vegas, the difference tells
// how many of those in work really wait for each other; the limit is one at a time
// brought to where a few do.
//
// The baseline follows what requests take, too, over some minutes: a service that has
// become slower for good is not taken for overloaded for ever, and an overload that
// lasts for hours lets the limit grow slowly. Until then minLimit keeps it going.
//
// Where the library would also go by how limit and throughput correlate it has too few
// samples to do so (fewer than 10): with them the limit swung between a third and three
// times of what was right (failsafe-go v0.9.8; see TestAdaptiveFindsTheLimit).
const (
	minLimit     = 16
	initialLimit = 32
	maxLimit     = 1024

	followWindow   = 250 * time.Millisecond
	followSamples  = 10   // in a window, at least
	followBaseline = 1000 // windows
	followQuantile = 0.5
	headroom       = 2.0 // the limit is at most this times the most in work lately
	headroomMemory = time.Minute
	noCorrelation  = 1
	longestFollow  = 30 * time.Second
)

func newGate(o Options, class Class) *gate {
	g := &gate{maxQueue: int64(o.Queue), maxWait: o.QueueWait}
	b := adaptivelimiter.NewBuilder[any]()
	switch n := o.Concurrency.share(class, o.WriteShare); {
	case class == Batch:
		n = o.Concurrency.atMost(maxBatches)
		b = b.WithLimits(n, n, n)
	case class == Stream:
		n = o.Concurrency.atMost(maxStreams)
		b = b.WithLimits(n, n, n)
	case o.Concurrency.Adaptive:
		b = b.WithLimits(minLimit, maxLimit, initialLimit).
			WithMaxLimitFactor(headroom).WithMaxLimitStabilizationWindow(headroomMemory).
			WithRecentWindow(followWindow, longestFollow, followSamples).WithRecentQuantile(followQuantile).
			WithBaselineWindow(followBaseline).WithCorrelationWindow(noCorrelation)
	default:
		b = b.WithLimits(n, n, n)
	}
	g.limiter = b.Build()
	return g
}

// try returns a permit if nobody has to wait for one.
func (g *gate) try() (permit, bool) {
	p, ok := g.limiter.TryAcquirePermit()
	return permit{p, time.Now()}, ok
}

// queue waits for a permit.
func (g *gate) queue(ctx context.Context) (permit, *Shed) {
	ahead := g.waiting.Add(1)
	defer g.waiting.Add(-1)
	if ahead > g.maxQueue {
		return permit{}, &Shed{QueueFull, retryLater}
	}
	expected := time.Duration(float64(ahead) / float64(max(g.limiter.Limit(), 1)) * g.serviceTime() * float64(time.Second))
	if deadline, ok := ctx.Deadline(); ok && expected > time.Until(deadline) {
		return permit{}, &Shed{DeadlineExceeded, retryLater}
	}
	if expected > g.maxWait {
		return permit{}, &Shed{QueueFull, retryLater}
	}
	// Its turn can come later than expected, because requests end in clusters. Only
	// who waits much too long is refused after all: a late no is the worst answer.
	p, err := g.limiter.AcquirePermitWithMaxWait(ctx, patience*g.maxWait)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return permit{}, &Shed{DeadlineExceeded, retryLater}
	case errors.Is(err, context.Canceled):
		return permit{}, &Shed{ClientGone, retryLater}
	case err != nil:
		return permit{}, &Shed{QueueTimeout, retryLater}
	}
	if err := ctx.Err(); err != nil { // its turn came, too late
		p.Drop()
		reason := ClientGone
		if errors.Is(err, context.DeadlineExceeded) {
			reason = DeadlineExceeded
		}
		return permit{}, &Shed{reason, retryLater}
	}
	return permit{p, time.Now()}, nil
}

// release gives p back. Record says that how long it was held is like what is to be
// expected.
func (g *gate) release(p permit, record bool) {
	if !record {
		p.Drop()
		return
	}
	g.learn(time.Since(p.start).Seconds())
	p.Record()
}

// learn notes how long a request was in work. Of two that end at once one may be
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

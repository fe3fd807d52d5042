package attack

import (
	"context"
	"math"
	"runtime"
	"time"
)

// maxDue is for how many requests the pacer remembers when they were due: more than
// can be on their way from it to the transport.
const maxDue = 1 << 17

// pacer says when each request is due, and holds it back until then.
type pacer struct {
	ctx  context.Context
	plan Plan
	// closed: a request is due when a worker is free for it.
	closed bool
	start  time.Time // when the plan begins; zero: at once
	// How long before its time the runtime's timers are left; 0 where they are right.
	napMax time.Duration

	began time.Time // set by the first call of Pace, which comes before any request
	over  time.Time // when Pace ended the attack; zero: something else did
	timer *time.Timer
	rng   rng     // of Poisson arrivals
	sum   float64 // of their gaps, in requests of an even plan
	// When the last requests were due, counted from began, by number modulo maxDue. The
	// worker that reads one has taken up a request that was paced after it was written.
	due     [maxDue]time.Duration
	entries []entry // of a replay, in the same way
	err     error   // of reading them
	arm     func(due time.Duration) int
	picks   []pick // of an attack with arms, in the same way as due
	counts  []uint64
}

// pick is which of the arms a request goes to, and its number among those that do: the
// same number is the same request in each arm.
type pick struct {
	arm int
	n   uint64
}

func newPacer(ctx context.Context, c Config) *pacer {
	p := &pacer{ctx: ctx, plan: c.Plan, closed: c.Workers > 0, start: c.StartAt, napMax: napMax, rng: newRNG(c.Seed, 3)}
	if c.fakeTime {
		p.napMax = 0
	}
	if p.plan.Replay != nil {
		p.entries = make([]entry, maxDue)
	}
	if c.arm != nil {
		p.arm, p.picks, p.counts = c.arm, make([]pick, maxDue), make([]uint64, len(c.arms))
	}
	return p
}

// next returns when the request after those before it is due, counted from the
// beginning, and whether there is one. It follows from the plan alone: a request that
// is late must not delay those after it.
func (p *pacer) next(hits uint64) (time.Duration, bool) {
	if p.plan.Replay != nil {
		if hits >= p.plan.Planned() {
			return 0, false
		}
		e, err := p.plan.Replay.read()
		p.err = err
		p.entries[hits%maxDue] = e
		return e.Due, err == nil
	}
	n := p.plan.global(hits)
	if p.plan.Max > 0 && n >= p.plan.Max {
		return 0, false
	}
	if p.plan.Arrivals == Poisson {
		gaps := p.plan.shards()
		if hits == 0 {
			gaps = n + 1
		}
		for range gaps {
			p.sum += p.rng.ExpFloat64()
		}
		return p.plan.time(p.sum)
	}
	return p.plan.time(float64(n))
}

// Rate implements vegeta.Pacer.
func (p *pacer) Rate(elapsed time.Duration) float64 {
	if p.closed {
		return math.Inf(1)
	}
	return p.plan.Rate(elapsed)
}

// Pace implements vegeta.Pacer. It waits by itself and always returns 0, because
// vegeta's own wait neither ends with the attack nor hits the time well.
func (p *pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	stop := p.pace(elapsed, hits)
	if stop {
		p.over = time.Now()
	}
	return 0, stop
}

// pace returns when a request is due, or that there is none any more.
func (p *pacer) pace(elapsed time.Duration, hits uint64) (stop bool) {
	if p.began.IsZero() {
		now := time.Now()
		if p.began = now.Add(-elapsed); !p.start.IsZero() {
			p.began = now.Add(p.start.Sub(now)) // with a monotonic clock, which a time of day has not
		}
	}
	if p.ctx.Err() != nil {
		return true
	}
	if p.closed {
		return elapsed >= p.plan.Duration() || p.plan.Max > 0 && hits >= p.plan.Max
	}
	due, more := p.next(hits)
	if !more {
		return true
	}
	p.due[hits%maxDue] = due
	if p.arm != nil {
		arm := p.arm(due)
		p.picks[hits%maxDue] = pick{arm, p.counts[arm]}
		p.counts[arm]++
	}
	return !p.sleepUntil(p.began.Add(due))
}

// dueAt returns when request seq is due, one of the last maxDue; in the closed model
// the zero time.
func (p *pacer) dueAt(seq uint64) time.Time {
	if p.closed {
		return time.Time{}
	}
	return p.began.Add(p.due[seq%maxDue])
}

// pick returns what request seq is, one of the last maxDue.
func (p *pacer) pick(seq uint64) pick {
	if p.arm == nil {
		return pick{n: p.plan.global(seq)}
	}
	return p.picks[seq%maxDue]
}

// sleepUntil reports whether t came before ctx ended. The runtime's timers wake
// up to a millisecond late, so the last stretch is left to nap.
func (p *pacer) sleepUntil(t time.Time) bool {
	if d := time.Until(t) - p.napMax; d > 0 {
		if p.timer == nil {
			p.timer = time.NewTimer(d)
		} else {
			p.timer.Reset(d)
		}
		select {
		case <-p.timer.C:
		case <-p.ctx.Done():
			p.timer.Stop()
			return false
		}
	}
	if time.Until(t) > 0 {
		// The worker that got the last request may wait for this goroutine's processor,
		// which a nap would keep for up to 10 ms while the others are busy.
		runtime.Gosched()
	}
	for d := time.Until(t); d > 0; d = time.Until(t) { // a signal cuts a nap short
		nap(d)
	}
	return true
}

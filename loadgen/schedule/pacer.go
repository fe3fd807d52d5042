package schedule

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"time"
)

// Window is for how many requests the pacer remembers when they were due: more than can be
// on their way from it to the network.
const Window = 1 << 17

// Pacing is what a pacer follows.
type Pacing struct {
	Plan    Plan
	Closed  bool      // a request is due when a worker is free for it
	StartAt time.Time // when the plan begins; zero: at once
	Seed    uint64    // of Poisson arrivals
	// Arm, if not nil, returns which of the targets a request goes to that is due at a
	// time from the beginning of the plan; Arms is how many there are.
	Arm  func(due time.Duration) int
	Arms int
	// ExactTimers are those of a test's clock, which need no help.
	ExactTimers bool
}

// Pacer says when each request is due, and holds it back until then. It implements
// vegeta.Pacer: one goroutine calls Pace and Rate. What it says of a request, and when the
// plan began, can be asked by whoever has taken up a request that was paced.
type Pacer struct {
	ctx context.Context
	Pacing
	napMax time.Duration // how long before its time the runtime's timers are left; 0 where they are exact

	began time.Time // set by the first call of Pace, which comes before any request
	ended time.Time // when Pace ended the run; zero: something else did
	timer *time.Timer
	rng   *rand.Rand // of Poisson arrivals
	sum   float64    // of their gaps, in requests of an even plan
	// When the last requests were due, counted from began, by number modulo Window. The
	// worker that reads one has taken up a request that was paced after it was written.
	due    [Window]time.Duration
	err    error  // of reading a recording
	picks  []Pick // with arms, in the same way as due
	counts []uint64
}

// Pick is which of the arms a request goes to, and its number among those that do: the
// same number is the same request in each arm.
type Pick struct {
	Arm    int
	Number uint64
}

// NewPacer returns a pacer whose waits end with ctx.
func NewPacer(ctx context.Context, c Pacing) *Pacer {
	p := &Pacer{ctx: ctx, Pacing: c, napMax: napMax, rng: rand.New(rand.NewPCG(c.Seed, 3))}
	if c.ExactTimers {
		p.napMax = 0
	}
	if c.Arm != nil {
		p.picks, p.counts = make([]Pick, Window), make([]uint64, c.Arms)
	}
	return p
}

// Began returns when the plan began; zero: it has not.
func (p *Pacer) Began() time.Time { return p.began }

// Over returns when the plan was over; zero: something else ended the run.
func (p *Pacer) Ended() time.Time { return p.ended }

// Err returns why a recording ended before its end.
func (p *Pacer) Err() error { return p.err }

// Next returns when the request after those before it is due, counted from the
// beginning, and whether there is one. It follows from the plan alone: a request that
// is late must not delay those after it.
func (p *Pacer) Next(hits uint64) (time.Duration, bool) {
	if p.Plan.Replay != nil {
		if hits >= p.Plan.Planned() {
			return 0, false
		}
		due, err := p.Plan.Replay.Next()
		p.err = err
		return due, err == nil
	}
	n := p.Plan.global(hits)
	if p.Plan.Max > 0 && n >= p.Plan.Max {
		return 0, false
	}
	if p.Plan.Arrivals == Poisson {
		gaps := p.Plan.shards()
		if hits == 0 {
			gaps = n + 1
		}
		for range gaps {
			p.sum += p.rng.ExpFloat64()
		}
		return p.Plan.time(p.sum)
	}
	return p.Plan.time(float64(n))
}

// Rate implements vegeta.Pacer.
func (p *Pacer) Rate(elapsed time.Duration) float64 {
	if p.Closed {
		return math.Inf(1)
	}
	return p.Plan.Rate(elapsed)
}

// Pace implements vegeta.Pacer. It waits by itself and always returns 0, because
// vegeta's own wait neither ends with the run nor hits the time well.
func (p *Pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	stop := p.pace(elapsed, hits)
	if stop {
		p.ended = time.Now()
	}
	return 0, stop
}

// pace returns when a request is due, or that there is none any more.
func (p *Pacer) pace(elapsed time.Duration, hits uint64) (stop bool) {
	if p.began.IsZero() {
		now := time.Now()
		if p.began = now.Add(-elapsed); !p.StartAt.IsZero() {
			p.began = now.Add(p.StartAt.Sub(now)) // with a monotonic clock, which a time of day has not
		}
	}
	if p.ctx.Err() != nil {
		return true
	}
	if p.Closed {
		return elapsed >= p.Plan.Duration() || p.Plan.Max > 0 && hits >= p.Plan.Max
	}
	due, more := p.Next(hits)
	if !more {
		return true
	}
	p.due[hits%Window] = due
	if p.Arm != nil {
		arm := p.Arm(due)
		p.picks[hits%Window] = Pick{arm, p.counts[arm]}
		p.counts[arm]++
	}
	return !p.sleepUntil(p.began.Add(due))
}

// DueAt returns when request seq is due, one of the last Window; in the closed model
// the zero time.
func (p *Pacer) DueAt(seq uint64) time.Time {
	if p.Closed {
		return time.Time{}
	}
	return p.began.Add(p.due[seq%Window])
}

// Pick returns what request seq is, one of the last Window.
func (p *Pacer) Pick(seq uint64) Pick {
	if p.Arm == nil {
		return Pick{Number: p.Plan.global(seq)}
	}
	return p.picks[seq%Window]
}

// sleepUntil reports whether t came before ctx ended. The runtime's timers wake
// up to a millisecond late, so the last stretch is left to nap.
func (p *Pacer) sleepUntil(t time.Time) bool {
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

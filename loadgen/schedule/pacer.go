package schedule

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// Window is the number of requests whose scheduled times the pacer stores: more than can be
// between the pacer and the network.
const Window = 1 << 17

// Pacing is the configuration of a pacer.
type Pacing struct {
	Plan    Plan
	Closed  bool      // closed model: a request is sent when a worker is free
	StartAt time.Time // start of the plan; zero: now
	Seed    uint64    // of Poisson arrivals
	// Arm, if not nil, returns the target of a request by its scheduled time; Arms is the
	// number of targets.
	Arm  func(scheduled time.Duration) int
	Arms int
	// Feed, if not nil, makes the next request ready. More is false if there is none. Waited is true if it
	// was not ready yet: the scheduled times that have passed meanwhile get no request. It waits until a time.
	Feed func(ctx context.Context, until time.Time) (more, waited bool)
	// ExactTimers: timers have no delay, as those of a test's clock.
	ExactTimers bool
}

// Pacer computes the scheduled time of each request and delays it until then. It implements
// vegeta.Pacer: one goroutine at a time calls Pace and Rate. A worker with a paced request may call
// Began, ScheduledAt and Pick. Over is for any goroutine.
type Pacer struct {
	ctx context.Context
	Pacing
	napMax time.Duration // switch from timers to nap this long before the scheduled time; 0: exact timers

	began time.Time // set by the first call of Pace, before any request
	ended time.Time // when Pace ended the run; zero: it did not
	timer *time.Timer
	rng   *rand.Rand // of Poisson arrivals
	sum   float64    // of their gaps, in requests of constant arrivals
	// Scheduled times of the last requests since began, by number modulo Window. A worker
	// reads one after the request was paced.
	scheduled [Window]time.Duration
	once      sync.Once // of ended, in the closed model
	unfed     uint64    // scheduled times that passed before Feed had a request
	err       error     // of reading a recording
	picks     []Pick    // with Arm set, indexed as scheduled
	counts    []uint64
}

// Pick is the target of a request, and the request's number among those of the target. The
// same number is the same request for each target.
type Pick struct {
	Arm    int
	Number uint64
}

// NewPacer returns a pacer. It stops waiting when ctx ends.
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

// Began returns the start of the plan; zero: not started.
func (p *Pacer) Began() time.Time { return p.began }

// Ended returns the end of the plan; zero: something else ended the run.
func (p *Pacer) Ended() time.Time { return p.ended }

// Err returns the error of reading a recording.
func (p *Pacer) Err() error { return p.err }

// Unfed returns the number of scheduled times that passed before Feed had a request.
func (p *Pacer) Unfed() uint64 { return p.unfed }

// Next returns the scheduled time of the request after hits requests, and whether there is
// one. It depends on the plan alone: a delayed request must not delay the next ones.
func (p *Pacer) Next(hits uint64) (time.Duration, bool) {
	if p.Plan.Replay != nil {
		if hits >= p.Plan.Planned() {
			return 0, false
		}
		scheduled, err := p.Plan.Replay.Next()
		p.err = err
		return scheduled, err == nil
	}
	if p.Plan.Max > 0 && p.Plan.Number(hits) >= p.Plan.Max {
		return 0, false
	}
	n := p.Plan.Number(hits + p.unfed)
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

// Pace implements vegeta.Pacer. It waits itself and always returns 0: vegeta's own wait does
// not end with the run and is less precise.
func (p *Pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	stop := p.pace(elapsed, hits)
	if stop {
		p.ended = time.Now()
	}
	return 0, stop
}

// Begin sets the start of the plan, so long ago, unless it is set.
func (p *Pacer) Begin(elapsed time.Duration) {
	if p.began.IsZero() {
		now := time.Now()
		if p.began = now.Add(-elapsed); !p.StartAt.IsZero() {
			p.began = now.Add(p.StartAt.Sub(now)) // with a monotonic clock reading, which StartAt lacks
		}
	}
}

// Over reports whether the closed model ends before a request, after so many. It may be called from many
// goroutines, after Begin.
func (p *Pacer) Over(elapsed time.Duration, hits uint64) bool {
	if !p.over(elapsed, hits) {
		return false
	}
	p.once.Do(func() { p.ended = time.Now() })
	return true
}

func (p *Pacer) over(elapsed time.Duration, hits uint64) bool {
	return p.ctx.Err() != nil || elapsed >= p.Plan.Duration() || p.Plan.Max > 0 && hits >= p.Plan.Share(p.Plan.Max)
}

// pace waits for the scheduled time of a request. Stop: the plan has ended.
func (p *Pacer) pace(elapsed time.Duration, hits uint64) (stop bool) {
	p.Begin(elapsed)
	if p.ctx.Err() != nil {
		return true
	}
	if p.Closed && p.over(elapsed, hits) {
		return true
	}
	if p.Feed != nil && !p.feed(hits) {
		return true
	}
	if p.Closed {
		return false
	}
	scheduled, more := p.Next(hits)
	if !more {
		return true
	}
	p.scheduled[hits%Window] = scheduled
	if p.Arm != nil {
		arm := p.Arm(scheduled)
		p.picks[hits%Window] = Pick{arm, p.counts[arm]}
		p.counts[arm]++
	}
	return !p.sleepUntil(p.began.Add(scheduled))
}

// feed waits for the next request, but not beyond the plan. It reports whether there is one.
func (p *Pacer) feed(hits uint64) bool {
	if !p.Closed && p.Plan.Max > 0 && p.Plan.Number(hits) >= p.Plan.Max {
		return false // it would be taken from the stream, and not sent
	}
	more, waited := p.Feed(p.ctx, p.began.Add(p.Plan.Duration()))
	if !waited || p.Closed {
		return more
	}
	passed := p.Plan.before(max(time.Since(p.began), 0))
	if p.Plan.Arrivals == Poisson { // without memory: the next gap begins now
		p.sum = max(p.sum, passed*float64(p.Plan.shards()))
	}
	if n := uint64(math.Ceil(passed - epsilon)); n > hits+p.unfed {
		p.unfed = n - hits
	}
	return more
}

// ScheduledAt returns the scheduled time of request seq, one of the last Window; zero in the
// closed model.
func (p *Pacer) ScheduledAt(seq uint64) time.Time {
	if p.Closed {
		return time.Time{}
	}
	return p.began.Add(p.scheduled[seq%Window])
}

// Pick returns the Pick of request seq, one of the last Window.
func (p *Pacer) Pick(seq uint64) Pick {
	if p.Arm == nil {
		return Pick{Number: p.Plan.Number(seq)}
	}
	return p.picks[seq%Window]
}

// sleepUntil reports whether t came before ctx ended. The runtime's timers are up to 1 ms
// late, so that nap does the last part.
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
		// The worker with the last request may need this goroutine's processor. A nap would
		// block it for up to 10 ms while the others are busy.
		runtime.Gosched()
	}
	for d := time.Until(t); d > 0; d = time.Until(t) { // a signal interrupts a nap
		nap(d)
	}
	return true
}

package attack

import (
	"context"
	"time"
)

// pacer says when each request is due, and holds it back until then.
type pacer struct {
	ctx   context.Context
	rate  int    // requests a second
	total uint64 // requests

	began time.Time // set by the first call of Pace, which comes before any request
	timer *time.Timer
}

func newPacer(ctx context.Context, c Config) *pacer {
	return &pacer{ctx: ctx, rate: c.Rate, total: c.Planned()}
}

// due returns when request seq is due, counted from the beginning. It follows
// from the plan alone: a request that is late must not delay those after it.
func (p *pacer) due(seq uint64) time.Duration {
	second := seq / uint64(p.rate)
	rest := seq % uint64(p.rate) // apart, so that no product overflows or rounds
	return time.Duration(second)*time.Second + time.Duration(rest)*time.Second/time.Duration(p.rate)
}

// Rate implements vegeta.Pacer.
func (p *pacer) Rate(time.Duration) float64 { return float64(p.rate) }

// Pace implements vegeta.Pacer. It waits by itself and always returns 0, because
// vegeta's own wait neither ends with the attack nor hits the time well.
func (p *pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if p.began.IsZero() {
		p.began = time.Now().Add(-elapsed)
	}
	if hits >= p.total || p.ctx.Err() != nil {
		return 0, true
	}
	return 0, !p.sleepUntil(p.began.Add(p.due(hits)))
}

// sleepUntil reports whether t came before ctx ended. The runtime's timers wake
// up to a millisecond late, so the last stretch is left to nap.
func (p *pacer) sleepUntil(t time.Time) bool {
	if d := time.Until(t) - napMax; d > 0 {
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
	for d := time.Until(t); d > 0; d = time.Until(t) { // a signal cuts a nap short
		nap(d)
	}
	return true
}

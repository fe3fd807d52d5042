package upstream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
)

// Hedges by quantile follow the last hedgeMemory reads, and begin after the first
// hedgeBegin. The quantile is computed anew after every hedgeRefresh reads.
const (
	hedgeMemory  = 1000
	hedgeBegin   = 100
	hedgeRefresh = 50
)

// hedgeReserve is the part of the budget that hedges leave to retries: a slow server must
// not spend on hedges what is needed once a call fails.
const hedgeReserve = budgetBurst / 2

// hedgeBudget is the budget as hedges may use it.
type hedgeBudget struct{ *budget }

// TryAcquirePermit takes out a hedge.
func (b hedgeBudget) TryAcquirePermit() bool { return b.take(1 + hedgeReserve) }

// latencies are the durations of the last reads that got a response.
type latencies struct {
	quantile float64
	now      atomic.Int64 // the quantile in ns; 0: not enough is known

	mu   sync.Mutex
	ring []time.Duration
	n    int
}

func (l *latencies) add(d time.Duration) {
	if l.quantile == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) < hedgeMemory {
		l.ring = append(l.ring, d)
	} else {
		l.ring[l.n%hedgeMemory] = d
	}
	l.n++
	if l.n >= hedgeBegin && l.n%hedgeRefresh == 0 {
		sorted := slices.Sorted(slices.Values(l.ring))
		l.now.Store(int64(max(sorted[int(l.quantile*float64(len(sorted)))], 1)))
	}
}

// finalError is the failure of an attempt that no other attempt is in flight beside: the
// hedge policy returns it at once. It would wait for the hedge otherwise, which is for
// servers that are slow, not for those that fail.
type finalError struct{ error }

// Unwrap returns the attempt's own error.
func (e *finalError) Unwrap() error { return e.error }

// hedgeable is try as the hedge policy calls it: at most twice at a time for one call.
func (c *call) hedgeable(ctx context.Context, hedge bool) (*Answer, error) {
	c.attempts.Add(1)
	start := time.Now()
	a, err := c.try(ctx, hedge)
	final := c.attempts.Add(-1) == 0
	switch {
	case err == nil && !c.pool.again(a, nil):
		c.pool.latencies.add(time.Since(start))
	case err == nil:
		a.final = final
	case final:
		err = &finalError{err}
	}
	return a, err
}

// hedgePolicy sends a second attempt after a delay. The first response that no retry could
// improve is returned, or else the last failure.
func (p *Pool) hedgePolicy() hedgepolicy.HedgePolicy[*Answer] {
	p.latencies.quantile = p.o.HedgeAfter.Quantile
	delay := func(failsafe.ExecutionAttempt[*Answer]) time.Duration {
		if p.o.HedgeAfter.Quantile == 0 {
			return p.o.HedgeAfter.After
		}
		if d := time.Duration(p.latencies.now.Load()); d > 0 {
			return d
		}
		return -1 // no hedge
	}
	return hedgepolicy.NewBuilderWithDelayFunc(delay).
		CancelIf(func(a *Answer, err error) bool {
			var final *finalError
			return errors.As(err, &final) || a != nil && a.final || !p.again(a, err)
		}).
		WithBudget(hedgeBudget{p.budget}).
		OnHedge(func(e failsafe.ExecutionEvent[*Answer]) { p.hedges.Add(e.Context(), 1) }).
		Build()
}

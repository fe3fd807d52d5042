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

// A quantile is computed from the last hedgeMemory reads, first after hedgeBegin reads, and
// then every hedgeRefresh reads.
const (
	hedgeMemory  = 1000
	hedgeBegin   = 100
	hedgeRefresh = 50
)

// hedgeReserve is the part of the budget reserved for retries: hedges of a slow server must
// not exhaust it.
const hedgeReserve = budgetBurst / 2

// hedgeBudget is the budget for hedges.
type hedgeBudget struct{ *budget }

// TryAcquirePermit withdraws a hedge.
func (b hedgeBudget) TryAcquirePermit() bool { return b.take(1 + hedgeReserve) }

// latencies are the durations of the last reads that got a response.
type latencies struct {
	quantile float64
	now      atomic.Int64 // the quantile in ns; 0: too few reads

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

// lastAttemptError is the failure of an attempt while no other attempt is in flight. The hedge
// policy returns it at once instead of starting a hedge: hedges are for slow servers, not for
// failing ones.
type lastAttemptError struct{ error }

// Unwrap returns the attempt's own error.
func (e *lastAttemptError) Unwrap() error { return e.error }

// hedgeable is attempt for the hedge policy, which calls it at most twice at a time.
func (c *call) hedgeable(ctx context.Context, hedge bool) (*Response, error) {
	c.inFlight.Add(1)
	start := time.Now()
	a, err := c.attempt(ctx, hedge)
	final := c.inFlight.Add(-1) == 0
	switch {
	case err == nil && !c.pool.retryable(a, nil):
		c.pool.latencies.add(time.Since(start))
	case err == nil:
		a.final = final
	case final:
		err = &lastAttemptError{err}
	}
	return a, err
}

// hedgePolicy sends a second attempt after a delay. The first response that no retry could
// improve is returned, or else the last failure.
func (p *Pool) hedgePolicy() hedgepolicy.HedgePolicy[*Response] {
	p.latencies.quantile = p.o.HedgeAfter.Quantile
	delay := func(failsafe.ExecutionAttempt[*Response]) time.Duration {
		if p.o.HedgeAfter.Quantile == 0 {
			return p.o.HedgeAfter.After
		}
		if d := time.Duration(p.latencies.now.Load()); d > 0 {
			return d
		}
		return -1 // no hedge
	}
	return hedgepolicy.NewBuilderWithDelayFunc(delay).
		CancelIf(func(a *Response, err error) bool {
			var final *lastAttemptError
			return errors.As(err, &final) || a != nil && a.final || !p.retryable(a, err)
		}).
		WithBudget(hedgeBudget{p.budget}).
		OnHedge(func(e failsafe.ExecutionEvent[*Response]) { p.hedges.Add(e.Context(), 1) }).
		Build()
}

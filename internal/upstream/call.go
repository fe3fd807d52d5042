package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	failsafebudget "github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"soundcheck/internal/overload"
)

// firstWait is before the second try; each one after that waits twice as long.
const firstWait = 25 * time.Millisecond

// Hedges by quantile follow about so many reads, and begin after the first ones.
const (
	hedgeMemory = 1000
	hedgeBegin  = 100
)

// call is one request with all its tries.
type call struct {
	pool   *Pool
	r      *Request
	caller context.Context // without our own time limits
	open   bool            // the answer's body is left to the caller

	mu     sync.Mutex
	last   *server // that was asked
	answer *Answer // the last that there was, also if it was to be tried again
}

// do makes as many tries as it takes and may take.
func (c *call) do(ctx context.Context, executor failsafe.Executor[*Answer]) (*Answer, error) {
	c.pool.budget.deposit()
	if !c.r.Again {
		return c.try(ctx, 0, false)
	}
	a, err := executor.WithContext(ctx).GetWithExecution(func(exec failsafe.Execution[*Answer]) (*Answer, error) {
		return c.try(exec.Context(), exec.Attempts()-1, exec.IsHedge())
	})
	switch {
	case errors.Is(err, failsafebudget.ErrExceeded):
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.answer != nil {
			return c.answer, nil
		}
		return nil, &Unasked{ErrBudget, time.Second}
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()): // while it waited for another try
		return nil, Error(ctx, err)
	}
	return a, err
}

// try asks one server. N counts from 0.
func (c *call) try(ctx context.Context, n int, hedge bool) (*Answer, error) {
	c.mu.Lock()
	s, err := c.pool.pick(c.last)
	c.last, c.answer = s, nil
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if limit := c.pool.o.TryTimeout; limit > 0 && c.r.Again && !c.r.Long && !c.open {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	resp, err := c.send(context.WithValue(ctx, tryKey{}, try{c.r.Route, n, hedge}), s)
	a := &Answer{Response: resp}
	open := c.open && err == nil && resp.StatusCode < 400 // what may be tried again is read to its end
	if err == nil && !open {
		a.Body, err = read(resp)
	}
	if err != nil {
		s.done(c.outcome(ctx))
		return nil, Error(ctx, err)
	}
	o := well
	if broken(resp.StatusCode) {
		o = failed
	}
	if open {
		resp.Body = &openBody{resp.Body, sync.OnceFunc(func() { s.done(o) })}
	} else {
		resp.Body = io.NopCloser(bytes.NewReader(a.Body))
		s.done(o)
	}
	c.mu.Lock()
	c.answer = a
	c.mu.Unlock()
	return a, nil
}

// outcome of a try that failed in ctx. That a caller left, or has less patience than
// we have, says nothing about the server; nor that the other one of a hedge was first.
func (c *call) outcome(ctx context.Context) outcome {
	if c.caller.Err() != nil || errors.Is(ctx.Err(), context.Canceled) {
		return unknown
	}
	return failed
}

func (c *call) send(ctx context.Context, s *server) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, c.r.Method, s.base+c.r.Path, body(c.r.Body))
	if err != nil {
		return nil, err
	}
	req.Header = c.r.Header.Clone()
	if deadline, ok := ctx.Deadline(); ok {
		// Who is not waited for any more needs no answer.
		left := max(time.Until(deadline).Milliseconds(), 1)
		req.Header.Set(overload.TimeoutHeader, strconv.FormatInt(left, 10))
	}
	return c.pool.http.Do(req)
}

// openBody tells when the caller is done with it.
type openBody struct {
	io.ReadCloser
	done func()
}

func (b *openBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

// broken reports whether an answer shows a server that does not work. One that says
// that it has too much to do, or no room, does.
func broken(status int) bool {
	return status >= 500 && status != http.StatusServiceUnavailable && status != http.StatusInsufficientStorage && status != http.StatusNotImplemented
}

// again reports whether another try could be answered better.
func (p *Pool) again(a *Answer, err error) bool {
	if err != nil {
		return errors.Is(err, ErrDown) || errors.Is(err, ErrSlow)
	}
	if after, ok := RetryAfter(a.Header); ok && a.StatusCode >= 400 {
		return after <= p.o.RetryWait
	}
	return broken(a.StatusCode) || a.StatusCode == http.StatusServiceUnavailable || a.StatusCode == http.StatusTooManyRequests
}

// RetryAfter reads the header of RFC 9110, 10.2.3. A date is not read: no service
// here sends one.
func RetryAfter(h http.Header) (time.Duration, bool) {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	return time.Duration(seconds) * time.Second, err == nil && seconds >= 0 && seconds < 1<<31
}

func (p *Pool) retryPolicy() retrypolicy.RetryPolicy[*Answer] {
	return retrypolicy.NewBuilder[*Answer]().
		HandleIf(p.again).
		WithMaxRetries(p.o.Retries).
		WithDelayFunc(p.retryDelay).
		WithBudget(p.budget).
		OnRetry(func(e failsafe.ExecutionEvent[*Answer]) { p.retries.Add(e.Context(), 1) }).
		ReturnLastFailure().
		Build()
}

// retryDelay is what the server asks for and a little more, or grows exponentially;
// by chance up to half of it less, so that those who failed together do not come
// back together.
func (p *Pool) retryDelay(exec failsafe.ExecutionAttempt[*Answer]) time.Duration {
	if a := exec.LastResult(); a != nil {
		if after, ok := RetryAfter(a.Header); ok {
			return after + time.Duration(rand.Float64()*float64(firstWait))
		}
	}
	d := min(firstWait<<min(exec.Retries(), 16), p.o.RetryWait)
	return time.Duration((0.5 + rand.Float64()/2) * float64(d))
}

func (p *Pool) hedgePolicy() hedgepolicy.HedgePolicy[*Answer] {
	b := hedgepolicy.NewBuilderWithDelay[*Answer](p.o.HedgeAfter.After)
	if q := p.o.HedgeAfter.Quantile; q > 0 {
		b = hedgepolicy.NewBuilderWithDelayQuantile[*Answer](q, hedgeMemory, hedgeBegin)
	}
	return b.
		CancelIf(func(a *Answer, err error) bool { return !p.again(a, err) }).
		WithBudget(p.budget).
		OnHedge(func(e failsafe.ExecutionEvent[*Answer]) { p.hedges.Add(e.Context(), 1) }).
		Build()
}

package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/failsafe-go/failsafe-go"
	failsafebudget "github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"soundcheck/internal/httpheader"
)

// firstWait is before the second try; each one after that waits twice as long.
const firstWait = 25 * time.Millisecond

// call is one request with all its tries.
type call struct {
	pool   *Pool
	r      *Request
	caller context.Context // without our own time limits
	open   bool            // the answer's body is left to the caller
	tries  atomic.Int64
	moves  atomic.Int64 // from a server that was not there to another
	// attempts are those in flight of a call that may be hedged.
	attempts atomic.Int64

	mu     sync.Mutex
	last   *server // that was asked
	answer *Answer // of the last try that ended, or
	err    error   // why it has none
}

// do makes as many tries as it takes and may take.
func (c *call) do(ctx context.Context, executor failsafe.Executor[*Answer]) (*Answer, error) {
	c.pool.budget.deposit()
	if !c.r.Again {
		executor = c.pool.absent
	}
	attempt := c.try
	if executor == c.pool.hedged {
		attempt = c.hedgeable
	}
	a, err := executor.WithContext(ctx).GetWithExecution(func(exec failsafe.Execution[*Answer]) (*Answer, error) {
		return attempt(exec.Context(), exec.IsHedge())
	})
	if err == nil {
		return a, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answer != nil && c.answer.open { // it is open, and came too late
		c.answer.Response.Body.Close()
		c.answer = nil
	}
	switch {
	case errors.Is(err, failsafebudget.ErrExceeded):
		if c.answer != nil && !broken(c.answer.StatusCode) {
			return c.answer, nil // a refusal
		}
		return nil, &Unasked{ErrBudget, time.Second}
	case ctx.Err() == nil || !errors.Is(err, ctx.Err()):
		return nil, err
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, Error(ctx, err)
	case c.answer != nil: // time ran out while it waited for another try
		return c.answer, nil
	case c.err != nil:
		return nil, c.err
	}
	return nil, Error(ctx, err)
}

// try asks one server. If that is not there another is asked at once, as often in a call
// as there are others, and whatever the budget says: it adds no load to anybody, and while
// a server is replaced there are more such calls than a budget has.
func (c *call) try(ctx context.Context, hedge bool) (a *Answer, err error) {
	for again := false; ; again = true {
		t := try{c.r.Route, int(c.tries.Add(1)) - 1, hedge}
		c.mu.Lock()
		l, errPick := c.pool.pick(c.last)
		c.last = l.server
		c.mu.Unlock()
		switch {
		case errPick != nil && again: // of the one that was asked more is known
			return a, err
		case errPick != nil:
			return nil, errPick
		case again:
			c.pool.retries.Add(ctx, 1)
		}
		if l.witness = !l.probe && !c.open && !c.r.Long && l.watch(); (l.probe || l.witness) && !c.open {
			a, err = c.probe(ctx, l, t)
		} else {
			a, err = c.ask(ctx, c.caller, l, t)
		}
		if !absent(a, err) || ctx.Err() != nil || !c.pool.other(l.server) || !c.mayMove() {
			return a, err
		}
	}
}

// mayMove reports whether another server may be asked instead of one that is not there.
func (c *call) mayMove() bool {
	return c.pool.o.Retries > 0 && int(c.moves.Add(1)) < len(c.pool.servers)
}

// probe is ask, but goes on if the caller leaves: the breaker waits for the outcome, of an
// attempt while it is half-open, or of a witness.
func (c *call) probe(ctx context.Context, l lease, t try) (*Answer, error) {
	on, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.pool.o.Timeout)
	type result struct {
		a   *Answer
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer cancel()
		a, err := c.ask(on, context.WithoutCancel(ctx), l, t)
		done <- result{a, err}
	}()
	select {
	case r := <-done:
		return r.a, r.err
	case <-ctx.Done():
		return nil, Error(ctx, ctx.Err())
	}
}

// ask sends the request to a server and notes what comes of it. The caller is the
// context of whoever can end it.
func (c *call) ask(ctx, caller context.Context, l lease, t try) (a *Answer, err error) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.answer, c.err = a, err
	}()
	if limit := c.pool.o.TryTimeout; limit > 0 && c.r.Again && !c.r.Long && !c.open {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	resp, err := c.send(context.WithValue(ctx, tryKey{}, t), l.server)
	if err == nil {
		l.heard()
		if draining(resp) {
			l.drains()
		}
	}
	if err == nil && c.open && resp.StatusCode < 400 {
		l.judge(well)
		resp.Body = &openBody{ReadCloser: resp.Body, caller: caller, lease: l}
		return &Answer{Response: resp, open: true}, nil
	}
	defer l.leave()
	a = &Answer{Response: resp}
	if err == nil { // what may be tried again is read to its end
		a.Body, err = read(resp)
	}
	switch {
	case err == nil:
	case caller.Err() != nil && !errors.Is(context.Cause(caller), ErrSlow), errors.Is(ctx.Err(), context.Canceled) && caller.Err() == nil:
		// That a caller left, or has less patience than we have, says nothing about the
		// server; nor that the other one of a hedge was first. But if it is silent the
		// next attempt finds out: see watch.
		l.judge(unknown)
		if resp == nil {
			l.unheard.Add(1)
		}
		return nil, Error(ctx, err)
	default:
		l.judge(failed)
		return nil, Error(ctx, err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(a.Body))
	if broken(resp.StatusCode) {
		l.judge(failed)
	} else {
		l.judge(well)
	}
	return a, nil
}

// deadlineMargin is how much longer a server may take than it is waited for: so that
// one which is too slow is seen to be so, and does not look as if it refused.
const deadlineMargin = 50 * time.Millisecond

func (c *call) send(ctx context.Context, s *server) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, c.r.Method, s.base+c.r.Path, body(c.r.Body))
	if err != nil {
		return nil, err
	}
	req.Header = c.r.Header.Clone()
	if deadline, ok := ctx.Deadline(); ok {
		// Who is not waited for any more needs no answer.
		left := max(time.Until(deadline), 0) + deadlineMargin
		req.Header.Set(httpheader.Timeout, strconv.FormatInt(left.Milliseconds(), 10))
	}
	return s.http.Do(req)
}

// openBody is an answer's body that the caller reads.
type openBody struct {
	io.ReadCloser
	caller context.Context
	lease  lease
	once   sync.Once
	broken bool
}

// Read tells the breaker if the server breaks off.
func (b *openBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	slow := errors.Is(context.Cause(b.caller), ErrSlow)
	if err != nil && err != io.EOF && !b.broken && (slow || b.caller.Err() == nil) {
		b.broken = true
		b.lease.judge(failed)
	}
	return n, err
}

// Close ends what the server is busy with.
func (b *openBody) Close() error {
	b.once.Do(b.lease.leave)
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
	if after, ok := httpheader.RetryAfter(a.Header); ok && a.StatusCode >= 400 {
		return after <= p.o.RetryWait
	}
	return broken(a.StatusCode) || a.StatusCode == http.StatusServiceUnavailable || a.StatusCode == http.StatusTooManyRequests
}

// absent reports whether a try ended because there was no server to connect to. None has
// seen anything of the request then, so that another may be asked whatever it is about.
func absent(_ *Answer, err error) bool {
	var op *net.OpError
	if !errors.Is(err, ErrDown) || !errors.As(err, &op) || op.Op != "dial" {
		return false
	}
	var name *net.DNSError
	return errors.As(op, &name) || errors.Is(op, syscall.ECONNREFUSED) ||
		errors.Is(op, syscall.EHOSTUNREACH) || errors.Is(op, syscall.ENETUNREACH)
}

func (p *Pool) retryPolicy(when func(*Answer, error) bool) retrypolicy.RetryPolicy[*Answer] {
	return retrypolicy.NewBuilder[*Answer]().
		HandleIf(when).
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
		if after, ok := httpheader.RetryAfter(a.Header); ok {
			return after + time.Duration(rand.Float64()*float64(firstWait))
		}
	}
	d := min(firstWait<<min(exec.Retries(), 16), p.o.RetryWait)
	return time.Duration((0.5 + rand.Float64()/2) * float64(d))
}

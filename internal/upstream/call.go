package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/failsafe-go/failsafe-go"
	failsafebudget "github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"soundcheck/internal/httpheader"
)

// firstWait is the backoff before the first retry. It doubles with each retry.
const firstWait = 25 * time.Millisecond

// call is one request with all its attempts.
type call struct {
	pool      *Pool
	r         *Request
	caller    context.Context // without our timeouts
	open      bool            // the caller reads the response's body
	attempts  atomic.Int64
	failovers atomic.Int64 // from an unreachable server to another
	// inFlight counts attempts in flight, if the call may be hedged.
	inFlight atomic.Int64

	mu       sync.Mutex
	last     *server   // that was called
	response *Response // of the last finished attempt, or
	err      error     // why it has none
}

// do makes attempts until one succeeds or no other is allowed.
func (c *call) do(ctx context.Context, executor failsafe.Executor[*Response]) (*Response, error) {
	c.pool.budget.deposit()
	if !c.r.Retryable {
		executor = c.pool.unreachable
	}
	a, err := c.run(ctx, executor)
	if err == nil {
		return a, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.response != nil && c.response.open { // open, but too late
		c.response.Response.Body.Close()
		c.response = nil
	}
	switch {
	case errors.Is(err, failsafebudget.ErrExceeded):
		if c.response != nil && !failedStatus(c.response.StatusCode) {
			return c.response, nil // the server shed the request
		}
		return nil, &ShedError{ErrRetryBudget, time.Second}
	case ctx.Err() == nil || !errors.Is(err, ctx.Err()):
		return nil, err
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, Error(ctx, err)
	case c.response != nil: // the call timed out while it waited for a retry
		return c.response, nil
	case c.err != nil:
		return nil, c.err
	}
	return nil, Error(ctx, err)
}

// run makes attempts. Most calls end with the first one: only a failed one, and hedges, go through
// the policies.
func (c *call) run(ctx context.Context, executor failsafe.Executor[*Response]) (*Response, error) {
	if executor == c.pool.hedged {
		return executor.WithContext(ctx).GetWithExecution(func(exec failsafe.Execution[*Response]) (*Response, error) {
			return c.hedgeable(exec.Context(), exec.IsHedge())
		})
	}
	a, err := c.attempt(ctx, false)
	if !c.repeatable(a, err) {
		return a, err
	}
	return c.repeat(ctx, executor, a, err)
}

// repeat passes the result of the first attempt to the policies, which make others.
func (c *call) repeat(ctx context.Context, executor failsafe.Executor[*Response], a *Response, err error) (*Response, error) {
	first := true
	return executor.WithContext(ctx).GetWithExecution(func(exec failsafe.Execution[*Response]) (*Response, error) {
		if first {
			first = false
			return a, err
		}
		return c.attempt(exec.Context(), false)
	})
}

// repeatable reports whether the policies of a call without hedges handle the result of an attempt.
func (c *call) repeatable(a *Response, err error) bool {
	if !c.r.Retryable {
		return unreachable(a, err)
	}
	return c.pool.retryable(a, err)
}

// attempt calls one server. If it is unreachable, attempt fails over at once, in a call at
// most once per other server. Failovers are outside the budget: they add no load, and while a
// server is replaced there are more of them than a budget allows.
func (c *call) attempt(ctx context.Context, hedge bool) (a *Response, err error) {
	for failover := false; ; failover = true {
		t := attempt{c.r.Route, int(c.attempts.Add(1)) - 1, hedge}
		c.mu.Lock()
		l, errPick := c.pool.pick(c.last)
		c.last = l.server
		c.mu.Unlock()
		switch {
		case errPick != nil && failover: // the result of the previous server says more
			return a, err
		case errPick != nil:
			return nil, errPick
		case failover:
			c.pool.retries.Add(ctx, 1)
		}
		if l.witness = !l.probe && !c.open && !c.r.NoAttemptTimeout && l.startWitness(); (l.probe || l.witness) && !c.open {
			a, err = c.probe(ctx, l, t)
		} else {
			a, err = c.send(ctx, c.caller, l, t)
		}
		if !unreachable(a, err) || ctx.Err() != nil || !c.pool.other(l.server) || !c.mayFailOver() {
			return a, err
		}
	}
}

// mayFailOver reports whether the call may move from an unreachable server to another.
func (c *call) mayFailOver() bool {
	return c.pool.o.Retries > 0 && int(c.failovers.Add(1)) < len(c.pool.servers)
}

// probe is send, but continues after the caller leaves: the breaker needs the outcome of an
// attempt while it is half-open, and of a witness.
func (c *call) probe(ctx context.Context, l lease, t attempt) (*Response, error) {
	on, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.pool.o.Timeout)
	type result struct {
		a   *Response
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer cancel()
		a, err := c.send(on, context.WithoutCancel(ctx), l, t)
		done <- result{a, err}
	}()
	select {
	case r := <-done:
		return r.a, r.err
	case <-ctx.Done():
		return nil, Error(ctx, ctx.Err())
	}
}

// send sends the request to a server and records the outcome. Caller is the context whose end
// means that the caller left.
func (c *call) send(ctx, caller context.Context, l lease, t attempt) (a *Response, err error) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.response, c.err = a, err
	}()
	if limit := c.pool.o.AttemptTimeout; limit > 0 && c.r.Retryable && !c.r.NoAttemptTimeout && !c.open {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	resp, err := c.roundTrip(context.WithValue(ctx, attemptKey{}, t), l.server)
	if err == nil {
		l.responded()
		if draining(resp) {
			l.markDraining()
		}
	}
	if err == nil && c.open && resp.StatusCode < 400 {
		l.report(succeeded)
		resp.Body = &streamBody{ReadCloser: resp.Body, caller: caller, lease: l}
		return &Response{Response: resp, open: true}, nil
	}
	defer l.release()
	a = &Response{Response: resp}
	if err == nil { // a response that may be retried is read completely
		a.Body, err = read(resp)
	}
	switch {
	case err == nil:
	case caller.Err() != nil && !errors.Is(context.Cause(caller), ErrTimeout), errors.Is(ctx.Err(), context.Canceled) && caller.Err() == nil:
		// A caller that leaves before our timeout says nothing about the server, nor does
		// a hedge that was faster. If the server hangs, the next attempt detects it: see
		// startWitness.
		l.report(unknown)
		if resp == nil {
			l.abandoned.Add(1)
		}
		return nil, Error(ctx, err)
	default:
		l.report(failed)
		return nil, Error(ctx, err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(a.Body))
	if failedStatus(resp.StatusCode) {
		l.report(failed)
	} else {
		l.report(succeeded)
	}
	return a, nil
}

// deadlineMargin is added to the timeout that the server gets: a server that is too slow then
// times out here, and does not look as if it shed the request.
const deadlineMargin = 50 * time.Millisecond

func (c *call) roundTrip(ctx context.Context, s *server) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, c.r.Method, s.base+c.r.Path, body(c.r.Body))
	if err != nil {
		return nil, err
	}
	req.Header = c.r.Header.Clone()
	if deadline, ok := ctx.Deadline(); ok {
		left := max(time.Until(deadline), 0) + deadlineMargin
		req.Header.Set(httpheader.Timeout, strconv.FormatInt(left.Milliseconds(), 10))
	}
	if s.authorization != "" && req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", s.authorization)
	}
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return nil, &url.Error{Op: req.Method[:1] + strings.ToLower(req.Method[1:]), URL: req.URL.Redacted(), Err: mismatch(err)}
	}
	return resp, nil
}

// mismatch returns the error of a server that speaks HTTP where HTTPS is expected, or err.
func mismatch(err error) error {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/" {
		return http.ErrSchemeMismatch
	}
	return err
}

// streamBody is a response body that the caller reads.
type streamBody struct {
	io.ReadCloser
	caller context.Context
	lease  lease
	once   sync.Once
	broken bool
}

// Read records a failure if the response is incomplete.
func (b *streamBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	slow := errors.Is(context.Cause(b.caller), ErrTimeout)
	if err != nil && err != io.EOF && !b.broken && (slow || b.caller.Err() == nil) {
		b.broken = true
		b.lease.report(failed)
	}
	return n, err
}

// Close releases the lease.
func (b *streamBody) Close() error {
	b.once.Do(b.lease.release)
	return b.ReadCloser.Close()
}

// failedStatus reports whether a status means that the server failed. A server that sheds or
// is full works.
func failedStatus(status int) bool {
	return status >= 500 && status != http.StatusServiceUnavailable && status != http.StatusInsufficientStorage && status != http.StatusNotImplemented
}

// retryable reports whether a retry could succeed.
func (p *Pool) retryable(a *Response, err error) bool {
	if err != nil {
		return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrTimeout)
	}
	if after, ok := httpheader.RetryAfter(a.Header); ok && a.StatusCode >= 400 {
		return after <= p.o.RetryWait
	}
	return failedStatus(a.StatusCode) || a.StatusCode == http.StatusServiceUnavailable || a.StatusCode == http.StatusTooManyRequests
}

// unreachable reports whether the connection failed. No server has received the request then,
// so that any request can be retried.
func unreachable(_ *Response, err error) bool {
	var op *net.OpError
	if !errors.Is(err, ErrUnavailable) || !errors.As(err, &op) || op.Op != "dial" {
		return false
	}
	var name *net.DNSError
	return errors.As(op, &name) || errors.Is(op, syscall.ECONNREFUSED) ||
		errors.Is(op, syscall.EHOSTUNREACH) || errors.Is(op, syscall.ENETUNREACH)
}

func (p *Pool) retryPolicy(when func(*Response, error) bool) retrypolicy.RetryPolicy[*Response] {
	return retrypolicy.NewBuilder[*Response]().
		HandleIf(when).
		WithMaxRetries(p.o.Retries).
		WithDelayFunc(p.retryDelay).
		WithBudget(p.budget).
		OnRetry(func(e failsafe.ExecutionEvent[*Response]) { p.retries.Add(e.Context(), 1) }).
		ReturnLastFailure().
		Build()
}

// retryDelay is the server's Retry-After plus jitter, or an exponential backoff with up to 50%
// jitter, so that requests that failed together are not retried together.
func (p *Pool) retryDelay(exec failsafe.ExecutionAttempt[*Response]) time.Duration {
	if a := exec.LastResult(); a != nil {
		if after, ok := httpheader.RetryAfter(a.Header); ok {
			return after + time.Duration(rand.Float64()*float64(firstWait))
		}
	}
	d := min(firstWait<<min(exec.Retries(), 16), p.o.RetryWait)
	return time.Duration((0.5 + rand.Float64()/2) * float64(d))
}

package overload

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/httpheader"
)

// maxTimeout is the maximum of X-Request-Timeout: a day, so that values meant as "no timeout"
// are accepted.
const maxTimeout = 24 * time.Hour

// HeaderError is an invalid request header.
type HeaderError struct{ Name, Message string }

// Error implements error.
func (e *HeaderError) Error() string { return e.Name + ": " + e.Message }

// limitTime gives the request's context the earlier of the client's and the server's deadline.
// The caller calls the returned function at the end.
func (c *Control) limitTime(g *gin.Context, class Class) (context.CancelFunc, error) {
	limit := c.o.RequestTimeout
	if class == Stream {
		limit = 0 // a stream lasts as long as its client reads
	}
	if values := g.Request.Header.Values(httpheader.Timeout); len(values) > 0 {
		ms, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil || len(values) > 1 || ms < 1 || ms > maxTimeout.Milliseconds() {
			return nil, &HeaderError{httpheader.Timeout, fmt.Sprintf("must be a single integer from 1 to %d (milliseconds)", maxTimeout.Milliseconds())}
		}
		if requested := time.Duration(ms) * time.Millisecond; limit == 0 || requested < limit {
			limit = requested
		}
	}
	if limit == 0 {
		return func() {}, nil
	}
	ctx := &deadlineContext{Context: g.Request.Context(), deadline: time.Now().Add(limit)}
	g.Request = g.Request.WithContext(ctx)
	return ctx.end, nil
}

// deadlineContext is a context.WithDeadline that starts its timer only when Done is called. Most
// requests finish before that. A timer for each request would cost as much as the rest of the
// package.
type deadlineContext struct {
	context.Context // the parent
	deadline        time.Time

	mu     sync.Mutex
	timed  context.Context // nil: Done was not called
	cancel context.CancelFunc
	ended  bool
}

// end stops the timer. After that the context is canceled.
func (c *deadlineContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.timed != nil {
		c.cancel()
	}
}

// Deadline implements context.Context.
func (c *deadlineContext) Deadline() (time.Time, bool) {
	if d, ok := c.Context.Deadline(); ok && d.Before(c.deadline) {
		return d, true
	}
	return c.deadline, true
}

// Done implements context.Context.
func (c *deadlineContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(c.Context, c.deadline)
		if c.ended {
			c.cancel()
		}
	}
	return c.timed.Done()
}

// Err implements context.Context.
func (c *deadlineContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.timed != nil:
		return c.timed.Err()
	case c.Context.Err() != nil:
		return c.Context.Err()
	case c.ended:
		return context.Canceled
	case !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. After Done, the standard library looks for its own context
// type through Value.
func (c *deadlineContext) Value(key any) any {
	c.mu.Lock()
	ctx := c.timed
	c.mu.Unlock()
	if ctx == nil {
		ctx = c.Context
	}
	return ctx.Value(key)
}

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

// maxTimeout is the longest time that a client may name: a day, so that what is
// meant as "for ever" is accepted.
const maxTimeout = 24 * time.Hour

// HeaderError says what is wrong with a header of a request.
type HeaderError struct{ Name, Message string }

// Error implements error.
func (e *HeaderError) Error() string { return e.Name + ": " + e.Message }

// limitTime gives the request's context the earlier one of the client's deadline and
// the server's. The caller ends it with the returned function.
func (c *Control) limitTime(g *gin.Context, class Class) (context.CancelFunc, error) {
	limit := c.o.RequestTimeout
	if class == Stream {
		limit = 0 // it is as long as its client reads
	}
	if values := g.Request.Header.Values(httpheader.Timeout); len(values) > 0 {
		ms, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil || len(values) > 1 || ms < 1 || ms > maxTimeout.Milliseconds() {
			return nil, &HeaderError{httpheader.Timeout, fmt.Sprintf("must be a single integer from 1 to %d (milliseconds)", maxTimeout.Milliseconds())}
		}
		if asked := time.Duration(ms) * time.Millisecond; limit == 0 || asked < limit {
			limit = asked
		}
	}
	if limit == 0 {
		return func() {}, nil
	}
	ctx := &deadlineContext{Context: g.Request.Context(), deadline: time.Now().Add(limit)}
	g.Request = g.Request.WithContext(ctx)
	return ctx.end, nil
}

// deadlineContext is context.WithDeadline, made when somebody asks for what it takes
// a timer to know. Most requests are answered before anybody does; a timer for each of
// them would cost as much as all the rest of the package.
type deadlineContext struct {
	context.Context // the parent
	deadline        time.Time

	mu     sync.Mutex
	timed  context.Context // nil: nobody has asked
	cancel context.CancelFunc
	over   bool
}

// end lets go of the timer. Who asks after that is told that the context is canceled.
func (c *deadlineContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
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
		if c.over {
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
	case c.over:
		return context.Canceled
	case !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. The standard library looks for a context that it
// knows, after it has asked for Done.
func (c *deadlineContext) Value(key any) any {
	c.mu.Lock()
	ctx := c.timed
	c.mu.Unlock()
	if ctx == nil {
		ctx = c.Context
	}
	return ctx.Value(key)
}

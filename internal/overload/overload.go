// Package overload sheds requests above a service's capacity. It responds to them within
// milliseconds, with a reason and a Retry-After, so that admitted requests finish in time.
//
// A request passes these checks in this order, before any work is done for it:
//
//   - rate limits: per client and global (429);
//   - concurrency: a fixed or adaptive limit on requests in flight, with a short queue (503).
//     Reads, writes, batches and streams have separate limits, so that none starves another;
//   - the deadline: a request whose deadline has passed is not started (503).
//
// Probes and metrics bypass these checks.
package overload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

var (
	// ErrRateLimited means that a rate limit is exceeded.
	ErrRateLimited = errors.New("too many requests")
	// ErrOverloaded means that the concurrency limit and its queue are full.
	ErrOverloaded = errors.New("overloaded")
)

// Reason is why a request was shed or rejected, as in spans and metrics.
type Reason string

// The reasons. Admitted is the decision about all other requests.
const (
	Admitted         Reason = "admitted"
	GlobalRateLimit  Reason = "global_rate_limit"
	ClientRateLimit  Reason = "client_rate_limit"
	QueueFull        Reason = "queue_full"        // the expected wait is too long, or the queue is full
	QueueTimeout     Reason = "queue_timeout"     // the request waited too long
	DeadlineExceeded Reason = "deadline_exceeded" // the deadline passed, or would pass in the queue
	ClientGone       Reason = "client_gone"       // the client left while the request was queued
)

// Shed is the error of a request that was shed or rejected.
type Shed struct {
	Reason Reason
	// After is the Retry-After, in whole seconds.
	After time.Duration

	waited bool // in the queue
}

// Error implements error.
func (e *Shed) Error() string { return fmt.Sprintf("%s: %s", e.Unwrap(), e.Reason) }

// Unwrap returns ErrRateLimited, ErrOverloaded, or the context's error.
func (e *Shed) Unwrap() error {
	switch e.Reason {
	case GlobalRateLimit, ClientRateLimit:
		return ErrRateLimited
	case DeadlineExceeded:
		return context.DeadlineExceeded
	case ClientGone:
		return context.Canceled
	default:
		return ErrOverloaded
	}
}

// RetryAfter is the time until a retry.
func (e *Shed) RetryAfter() time.Duration { return e.After }

// retryLater is the Retry-After of a 503. If the overload lasts, shedding the retry costs little.
const retryLater = time.Second

// Class is a kind of request with its own concurrency limit.
type Class int

// The classes.
const (
	Read Class = iota
	Write
	Batch  // many albums in one request: long
	Stream // lasts as long as its client reads, without a timeout
	classes
)

func (c Class) String() string { return [...]string{"read", "write", "batch", "stream"}[c] }

const scope = "soundcheck/internal/overload"

// Control admits or sheds the requests of a service.
type Control struct {
	o       Options
	trusted proxies
	limits  *limits
	gates   [classes]*gate

	decisions metric.Int64Counter
	waits     metric.Float64Histogram
	sets      [classes]map[Reason]metric.MeasurementOption
	byClass   [classes]metric.MeasurementOption
}

// New returns a Control whose metrics go to mp, which may be nil.
func New(o Options, mp metric.MeterProvider) (*Control, error) {
	trusted, err := parseProxies(o.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	c := &Control{o: o, trusted: trusted, limits: newLimits(o)}
	if o.Concurrency.Enabled() {
		for class := range classes {
			c.gates[class] = newGate(o, class)
		}
	}
	return c, c.instrument(mp)
}

// Middleware admits or sheds requests. It runs inside the server span; time in the queue is
// its child span. Receive, if not nil, reads the body of a request that is
// within the rate limits, before the request acquires a slot; its error ends the request.
// Fail responds with an error: a *Shed, a *HeaderError, or receive's.
func (c *Control) Middleware(classify func(*gin.Context) Class, receive func(*gin.Context) error, fail func(*gin.Context, error)) gin.HandlerFunc {
	return func(g *gin.Context) {
		class := classify(g)
		cancel, err := c.limitTime(g, class)
		if err != nil {
			fail(g, err)
			return
		}
		defer cancel()
		shed := c.limitRate(g)
		if shed == nil && receive != nil {
			if err := receive(g); err != nil && !errors.As(err, &shed) {
				fail(g, err)
				return
			}
		}
		var release func(record bool)
		if shed == nil {
			release, shed = c.admit(g, class)
		}
		ctx := g.Request.Context()
		if shed != nil {
			trace.SpanFromContext(ctx).SetAttributes(attribute.String(reasonKey, string(shed.Reason)))
			c.decisions.Add(ctx, 1, c.sets[class][shed.Reason])
			fail(g, shed)
			return
		}
		c.decisions.Add(ctx, 1, c.sets[class][Admitted])
		done := false
		defer func() { release(done && representative(ctx, g.Writer.Status())) }()
		g.Next()
		done = true
	}
}

// representative reports whether a response's latency shows the load: shed and failed requests
// are often fast, except after a deadline.
func representative(ctx context.Context, status int) bool {
	switch {
	case status < http.StatusBadRequest, status == http.StatusGatewayTimeout:
		return true
	case status < http.StatusInternalServerError:
		return status != http.StatusTooManyRequests && status != 499
	default:
		return errors.Is(ctx.Err(), context.DeadlineExceeded)
	}
}

// limitRate returns an error if a request exceeds a rate limit.
func (c *Control) limitRate(g *gin.Context) *Shed {
	if c.limits.global == nil && c.limits.clients == nil {
		return nil
	}
	v := c.limits.take(g)
	v.writeTo(g.Writer.Header())
	return v.shed
}

// admit admits a request, at once or from the queue, or sheds it. The caller calls release when
// the request ends; record is whether its latency is representative.
func (c *Control) admit(g *gin.Context, class Class) (release func(record bool), _ *Shed) {
	gate := c.gates[class]
	if gate == nil {
		return func(bool) {}, nil
	}
	p, ok := gate.tryAcquire()
	if !ok {
		ctx, start := g.Request.Context(), time.Now()
		var shed *Shed
		p, shed = gate.queue(ctx)
		if shed == nil || shed.waited {
			c.waits.Record(ctx, time.Since(start).Seconds(), c.byClass[class])
			_, span := trace.SpanFromContext(ctx).TracerProvider().Tracer(scope).Start(ctx, "overload queue", trace.WithTimestamp(start))
			span.End()
		}
		if shed != nil {
			return nil, shed
		}
	}
	return func(record bool) { gate.release(p, record) }, nil
}

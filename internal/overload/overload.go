// Package overload keeps a service answering when more is asked of it than it can
// do. What it cannot do is refused within milliseconds, with a reason and a time to
// come back, so that what it does take is done in time.
//
// A request passes these checks in this order, before any work is done for it:
//
//   - rate limits: one for each client and one for all (429);
//   - concurrency: a bound on what is in flight, fixed or found by following the
//     latency, with a short queue before it (503). Reads, writes, batches and streams
//     have bounds of their own, so that none starves another;
//   - the deadline: what its client will not wait for is not begun (503).
//
// Probes and metrics do not come here: they are served beside the API.
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

// Reason is why a request was refused, as it stands in spans, metrics and answers.
type Reason string

// The reasons. Admitted is the one of those that were not refused.
const (
	Admitted         Reason = "admitted"
	GlobalRateLimit  Reason = "global_rate_limit"
	ClientRateLimit  Reason = "client_rate_limit"
	QueueFull        Reason = "queue_full"        // the wait would be too long, or there is no room to wait
	QueueTimeout     Reason = "queue_timeout"     // it waited too long
	DeadlineExceeded Reason = "deadline_exceeded" // its deadline passed, or would have before its turn came
	ClientGone       Reason = "client_gone"       // its client left while it waited
)

// Shed is the error of a request that was refused.
type Shed struct {
	Reason Reason
	// After is when to try again, in whole seconds.
	After time.Duration
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

// RetryAfter tells when to try again.
func (e *Shed) RetryAfter() time.Duration { return e.After }

// retryLater is what a 503 tells the client to wait. Overload that lasts is met with
// the same answer again, which costs little.
const retryLater = time.Second

// Class is a kind of request that has a share of its own.
type Class int

// The classes.
const (
	Read Class = iota
	Write
	Batch  // many albums in one request: long work, bounded apart
	Stream // as long as its client reads: bounded apart, without the server's time limit
	classes
)

func (c Class) String() string { return [...]string{"read", "write", "batch", "stream"}[c] }

const scope = "soundcheck/internal/overload"

// Control decides about the requests of one service.
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

// Middleware admits or sheds requests. It stands inside what makes the server span; a wait
// in the queue is a span below it. Receive, if not nil, reads the body of a request that is
// within the rate limits, before the request asks for a slot; its error ends the request.
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
		defer func() { release(done && learn(ctx, g.Writer.Status())) }()
		g.Next()
		done = true
	}
}

// learn reports whether how long an answer took says anything about how much there is
// to do: refusals and failures are often quick, but not those of a deadline.
func learn(ctx context.Context, status int) bool {
	switch {
	case status < http.StatusBadRequest, status == http.StatusGatewayTimeout:
		return true
	case status < http.StatusInternalServerError:
		return status != http.StatusTooManyRequests && status != 499
	default:
		return errors.Is(ctx.Err(), context.DeadlineExceeded)
	}
}

// limitRate returns why a request is above the rate limits, or nil.
func (c *Control) limitRate(g *gin.Context) *Shed {
	if c.limits.global == nil && c.limits.clients == nil {
		return nil
	}
	v := c.limits.take(g)
	v.writeTo(g.Writer.Header())
	return v.shed
}

// admit lets a request in, at once or after a wait, or says why not. The caller
// releases what it got, and tells whether the time since then is to be learned from.
func (c *Control) admit(g *gin.Context, class Class) (release func(record bool), _ *Shed) {
	gate := c.gates[class]
	if gate == nil {
		return func(bool) {}, nil
	}
	p, ok := gate.try()
	if !ok {
		ctx, start := g.Request.Context(), time.Now()
		var shed *Shed
		p, shed = gate.queue(ctx)
		if waited := time.Since(start); shed == nil || waited > time.Millisecond {
			c.waits.Record(ctx, waited.Seconds(), c.byClass[class])
			_, span := trace.SpanFromContext(ctx).TracerProvider().Tracer(scope).Start(ctx, "overload queue", trace.WithTimestamp(start))
			span.End()
		}
		if shed != nil {
			return nil, shed
		}
	}
	return func(record bool) { gate.release(p, record) }, nil
}

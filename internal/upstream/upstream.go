// Package upstream calls a service with one or several servers. It bounds the duration of a
// call, does not add load to an overloaded service, and returns an error that has the cause.
//
//   - Timeouts: per attempt and per call.
//   - Retries: of retryable requests, and of any request whose connection failed, with
//     exponential backoff, jitter, and the server's Retry-After. A retry budget bounds them
//     to a share of all calls, so that a failing service gets no more load than a healthy one.
//   - Failover: if a server is unreachable, another one is called at once, outside the
//     budget. A draining server (httpheader.Draining) is avoided before that.
//   - Circuit breakers: a failing server gets no calls for a while, and then a few probes.
//     A server that hangs is detected even if every caller leaves before the timeout.
//   - Load balancing: of two servers picked at random, the one with fewer calls in flight.
//   - Hedges, if enabled: a slow read is sent a second time.
//
// Each attempt is a client span.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"go.opentelemetry.io/otel/metric"
)

// Why a call has no response.
var (
	ErrUnavailable = errors.New("connection failed or response incomplete")
	ErrTimeout     = errors.New("server timed out")
	// ErrCircuitOpen means that the circuit breaker of every server was open: none was called.
	ErrCircuitOpen = errors.New("circuit breaker open")
	// ErrRetryBudget means that an attempt failed and was not retried for want of budget.
	ErrRetryBudget = errors.New("retry budget exhausted")
)

// ShedError is an ErrCircuitOpen or an ErrRetryBudget, with the time until a retry.
type ShedError struct {
	Err   error
	After time.Duration
}

// Error implements error.
func (e *ShedError) Error() string { return e.Err.Error() }

// Unwrap returns ErrCircuitOpen or ErrRetryBudget.
func (e *ShedError) Unwrap() error { return e.Err }

// RetryAfter is the time until a retry.
func (e *ShedError) RetryAfter() time.Duration { return e.After }

// maxResponse is the maximum size of a response in bytes: a full page of the largest albums.
const maxResponse = 16 << 20

// Request is one call.
type Request struct {
	Method           string
	Route            string // path template, for span names
	Path             string // with the query
	Header           http.Header
	Body             []byte
	Retryable        bool // safe to send more than once; otherwise only after a failed connection
	NoAttemptTimeout bool // only the timeout of the call applies
}

// Response is a server's complete response.
type Response struct {
	*http.Response
	Body []byte
	open bool // the Response's Body is not read: see Open
	// final: no other attempt of the call was in flight when this one finished.
	final bool
}

// Pool calls the servers of one service. It is safe for concurrent use.
type Pool struct {
	o           Options
	servers     []*server
	budget      *budget
	plain       failsafe.Executor[*Response] // retries
	unreachable failsafe.Executor[*Response] // retries of failed connections
	hedged      failsafe.Executor[*Response] // retries and hedges; nil: none
	metrics     []metric.Registration
	hedges      metric.Int64Counter
	retries     metric.Int64Counter
	shed        metric.Int64Counter

	latencies latencies // of reads, if hedges follow a quantile
}

// Do calls the service and reads the response. The error is ErrUnavailable, ErrTimeout, a
// *ShedError, or context.Canceled if the caller left.
func (p *Pool) Do(ctx context.Context, r *Request) (*Response, error) {
	total, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	executor := p.plain
	if p.hedged != nil && r.Method == http.MethodGet {
		executor = p.hedged
	}
	c := &call{pool: p, r: r, caller: ctx}
	a, err := c.do(total, executor)
	p.countShed(ctx, a, err)
	return a, err
}

// Open is Do for a streamed response: the caller reads and closes its body. An attempt has no
// timeout: if the stream stalls, the caller cancels ctx with the cause ErrTimeout.
func (p *Pool) Open(ctx context.Context, r *Request) (*http.Response, error) {
	c := &call{pool: p, r: r, caller: ctx, open: true}
	a, err := c.do(ctx, p.plain)
	p.countShed(ctx, a, err)
	if err != nil {
		return nil, err
	}
	return a.Response, nil
}

// Close closes idle connections and unregisters the pool's metrics.
func (p *Pool) Close() error {
	for _, s := range p.servers {
		s.idle()
	}
	var errs []error
	for _, r := range p.metrics {
		errs = append(errs, r.Unregister())
	}
	return errors.Join(errs...)
}

// failure is a cause with its kind: ErrUnavailable, ErrTimeout or context.Canceled.
type failure struct{ kind, cause error }

// Error implements error.
func (e *failure) Error() string { return e.cause.Error() }

// Unwrap returns both.
func (e *failure) Unwrap() []error { return []error{e.kind, e.cause} }

// Error classifies an error that occurred in ctx: the caller left, the server timed out, or
// the server is unavailable.
func Error(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(context.Cause(ctx), ErrTimeout):
		return &failure{ErrTimeout, errors.New(err.Error())}
	case errors.Is(ctx.Err(), context.Canceled):
		return &failure{context.Canceled, err}
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		// As text: our timeout is not the caller's deadline.
		return &failure{ErrTimeout, errors.New(err.Error())}
	default:
		return &failure{ErrUnavailable, err}
	}
}

// read reads a response.
func read(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, maxResponse))
}

func body(b []byte) io.Reader {
	if b == nil {
		return http.NoBody
	}
	return bytes.NewReader(b)
}

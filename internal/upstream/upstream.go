// Package upstream calls a service that has one or several servers, in a way that
// fails well: in time, without making a bad situation worse, and with an error that
// says what happened.
//
//   - Time: every try has a limit, and so has the whole.
//   - Retries: of what may be sent again, and of what no server was there for, with
//     exponential waits, jitter, and the server's own Retry-After. A budget bounds them
//     to a share of all requests, so that a service which is down does not get more load
//     than one that is well.
//   - Servers that are down: another one is called at once, outside the budget. One that
//     is shutting down, as its responses say (httpheader.Draining), is spared before.
//   - Breakers: a server that fails is left alone for a while, then probed by a few
//     requests. Of several servers it is thereby ejected. One that hangs is found out also
//     if no caller is patient enough to see it.
//   - Balance: the better of two servers picked by chance gets the request.
//   - Hedges, if wanted: a read that takes longer than most is sent a second time.
//
// Each try is a client span of its own.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"go.opentelemetry.io/otel/metric"
)

// Why a call has no response.
var (
	ErrDown = errors.New("connection failed or response incomplete")
	ErrSlow = errors.New("server timed out")
	// ErrOpen means that the circuit breaker of every server was open: none was called.
	ErrOpen = errors.New("circuit breaker open")
	// ErrBudget means that an attempt failed and was not retried for want of budget.
	ErrBudget = errors.New("retry budget exhausted")
)

// Unasked is an ErrOpen or an ErrBudget, with the time after which to try again.
type Unasked struct {
	Err   error
	After time.Duration
}

// Error implements error.
func (e *Unasked) Error() string { return e.Err.Error() }

// Unwrap returns ErrOpen or ErrBudget.
func (e *Unasked) Unwrap() error { return e.Err }

// RetryAfter tells when to try again.
func (e *Unasked) RetryAfter() time.Duration { return e.After }

// maxAnswer is how much of an answer is read: a full page of the largest albums.
const maxAnswer = 16 << 20

// Request is one call.
type Request struct {
	Method string
	Route  string // the path with its parameters not filled in, for names that stay few
	Path   string // with the query
	Header http.Header
	Body   []byte
	Again  bool // it may be sent more than once; else only if the server is not there
	Long   bool // a try has all the time that the whole has
}

// Answer is a server's answer, read to its end.
type Answer struct {
	*http.Response
	Body []byte
	open bool // nothing of the Response's Body is read: see Open
	// final: no other attempt of the call was in flight when this one ended.
	final bool
}

// Pool calls the servers of one service. It is safe for concurrent use.
type Pool struct {
	o       Options
	servers []*server
	budget  *budget
	plain   failsafe.Executor[*Answer] // retries
	absent  failsafe.Executor[*Answer] // retries of what no server was there for
	hedged  failsafe.Executor[*Answer] // retries and hedges; nil: none
	metrics []metric.Registration
	hedges  metric.Int64Counter
	retries metric.Int64Counter
	shed    metric.Int64Counter

	latencies latencies // of reads, if hedges follow a quantile
}

// Parse reads the URLs of servers, separated by commas.
func Parse(s string) ([]string, error) {
	var urls []string
	for part := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(part)
		switch {
		case err != nil:
			return nil, err
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return nil, fmt.Errorf("%q is not an http:// or https:// URL with a host", part)
		case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			return nil, fmt.Errorf("%q must not have a query, a fragment or a user", part)
		}
		base := strings.TrimSuffix(u.String(), "/")
		for _, other := range urls {
			if other == base {
				return nil, fmt.Errorf("%q is a duplicate", part)
			}
		}
		urls = append(urls, base)
	}
	return urls, nil
}

// Do calls the service and reads the answer to its end. The error is ErrDown,
// ErrSlow, an *Unasked, or context.Canceled if the caller left.
func (p *Pool) Do(ctx context.Context, r *Request) (*Answer, error) {
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

// Open is Do for an answer below 400 that is read by the caller, who closes its body.
// A try has no limit of its own: if nothing comes the caller ends ctx, with ErrSlow as
// its cause.
func (p *Pool) Open(ctx context.Context, r *Request) (*http.Response, error) {
	c := &call{pool: p, r: r, caller: ctx, open: true}
	a, err := c.do(ctx, p.plain)
	p.countShed(ctx, a, err)
	if err != nil {
		return nil, err
	}
	return a.Response, nil
}

// Close closes idle connections and ends the pool's metrics.
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

// failure is a cause of a kind, which is ErrDown, ErrSlow or context.Canceled.
type failure struct{ kind, cause error }

// Error implements error.
func (e *failure) Error() string { return e.cause.Error() }

// Unwrap returns both.
func (e *failure) Unwrap() []error { return []error{e.kind, e.cause} }

// Error tells apart a caller who left, a server that is slow and one that is not
// there, of an error that came up in ctx.
func Error(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(context.Cause(ctx), ErrSlow):
		return &failure{ErrSlow, errors.New(err.Error())}
	case errors.Is(ctx.Err(), context.Canceled):
		return &failure{context.Canceled, err}
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		// As text: that a time limit of ours has passed is not the caller's deadline.
		return &failure{ErrSlow, errors.New(err.Error())}
	default:
		return &failure{ErrDown, err}
	}
}

// read reads an answer to its end.
func read(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

func body(b []byte) io.Reader {
	if b == nil {
		return http.NoBody
	}
	return bytes.NewReader(b)
}

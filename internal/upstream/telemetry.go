package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/optional"
)

const scope = "soundcheck/internal/upstream"

func (o *Options) setDefaults() {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Conns == 0 {
		o.Conns = 256
	}
	o.TracerProvider, o.MeterProvider = optional.TracerProvider(o.TracerProvider), optional.MeterProvider(o.MeterProvider)
	o.Propagator, o.Logger = optional.Propagator(o.Propagator), optional.Logger(o.Logger)
}

type attemptKey struct{}

// attempt describes an attempt for its client span.
type attempt struct {
	route string
	n     int // from 0
	hedge bool
}

// spanName is "{method} {route}".
func spanName(_ string, r *http.Request) string {
	t, _ := r.Context().Value(attemptKey{}).(attempt)
	return r.Method + " " + t.route
}

// annotate adds the attempt to its client span, and measures its duration until the response is
// read. otelhttp measures until the status arrives, counts an incomplete response as a success,
// and counts an attempt that we cancel as a failure.
type annotate struct {
	next     http.RoundTripper
	duration metric.Float64Histogram
}

// newDuration returns the histogram http.client.request.duration, in seconds.
func newDuration(mp metric.MeterProvider) (metric.Float64Histogram, error) {
	d, err := httpconv.NewClientRequestDuration(mp.Meter(scope),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	return d.Inst(), err
}

func (a annotate) RoundTrip(r *http.Request) (*http.Response, error) {
	span := trace.SpanFromContext(r.Context())
	if t, _ := r.Context().Value(attemptKey{}).(attempt); t.n > 0 {
		span.SetAttributes(attribute.Int("http.request.resend_count", t.n))
		if t.hedge {
			span.SetAttributes(attribute.Bool("soundcheck.hedge", true))
		}
	}
	m := &measured{request: r, span: span, duration: a.duration, begun: time.Now()}
	resp, err := a.next.RoundTrip(r)
	if err != nil {
		m.end(err)
		return nil, err
	}
	m.response, m.ReadCloser, resp.Body = resp, resp.Body, m
	return resp, nil
}

// measured is a response body that records the duration of its attempt once, at its end.
type measured struct {
	io.ReadCloser
	request  *http.Request
	response *http.Response // nil: there is none
	span     trace.Span
	duration metric.Float64Histogram
	begun    time.Time
	once     sync.Once
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		m.end(nil)
	case err != nil:
		m.end(err)
	}
	return n, err
}

func (m *measured) Close() error {
	m.end(nil)
	return m.ReadCloser.Close()
}

func (m *measured) end(err error) { m.once.Do(func() { m.record(err) }) }

// record skips a cancelled attempt: the other attempt of a hedge was faster, or the caller has
// left. Its outcome and duration are unknown.
func (m *measured) record(err error) {
	ctx := m.request.Context()
	if err != nil && errors.Is(ctx.Err(), context.Canceled) && !errors.Is(context.Cause(ctx), ErrTimeout) {
		m.span.SetAttributes(attribute.Bool("soundcheck.cancelled", true))
		m.span.SetStatus(codes.Ok, "") // final: otelhttp's Error comes later
		return
	}
	u := m.request.URL
	attributes := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(m.request.Method), semconv.ServerAddress(u.Hostname()), semconv.URLScheme(u.Scheme), semconv.NetworkProtocolName("http"),
	}
	if port, err := strconv.Atoi(u.Port()); err == nil {
		attributes = append(attributes, semconv.ServerPort(port))
	}
	if m.response != nil {
		attributes = append(attributes, semconv.HTTPResponseStatusCode(m.response.StatusCode))
		if version, ok := strings.CutPrefix(m.response.Proto, "HTTP/"); ok {
			attributes = append(attributes, semconv.NetworkProtocolVersion(strings.TrimSuffix(version, ".0")))
		}
	}
	if err != nil {
		attributes = append(attributes, semconv.ErrorTypeKey.String(errorType(err)))
	}
	m.duration.Record(ctx, time.Since(m.begun).Seconds(), metric.WithAttributeSet(attribute.NewSet(attributes...)))
}

// errorType returns the error.type attribute, with low cardinality.
func errorType(err error) string {
	var timeout interface{ Timeout() bool }
	var op *net.OpError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &op) && op.Op == "dial":
		return "connect"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection_closed"
	}
	return "_OTHER"
}

// Reasons for shedding a call.
var (
	shedByBreaker = shedReason("breaker_open")
	shedByBudget  = shedReason("retry_budget")
	shedByStore   = shedReason("store")
)

func shedReason(reason string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String("soundcheck.shed.reason", reason)))
}

// countShed counts a call whose caller gets 429 or 503.
func (p *Pool) countShed(ctx context.Context, a *Response, err error) {
	switch {
	case errors.Is(err, ErrCircuitOpen):
		p.shed.Add(ctx, 1, shedByBreaker)
	case errors.Is(err, ErrRetryBudget):
		p.shed.Add(ctx, 1, shedByBudget)
	case err == nil && (a.StatusCode == http.StatusServiceUnavailable || a.StatusCode == http.StatusTooManyRequests):
		p.shed.Add(ctx, 1, shedByStore)
	}
}

// breakerStates are the values of soundcheck.upstream.breaker.state.
var breakerStates = map[circuitbreaker.State]int64{
	circuitbreaker.ClosedState:   0,
	circuitbreaker.HalfOpenState: 1,
	circuitbreaker.OpenState:     2,
}

// instrument creates the metrics:
//
//	soundcheck.upstream.retries          {attempt}  attempts after the first
//	soundcheck.upstream.hedges           {attempt}  second attempts of slow reads
//	soundcheck.upstream.budget.refused   {attempt}  retries and hedges not made: budget exhausted
//	soundcheck.upstream.budget.left      {attempt}  retries and hedges that the budget allows now
//	soundcheck.upstream.shed             {request}  calls shed, by reason: breaker_open, retry_budget, or store
//	soundcheck.upstream.in_flight        {request}  by server
//	soundcheck.upstream.breaker.state    {state}    by server: 0 closed, 1 half-open, 2 open
func (p *Pool) instrument() error {
	m := p.o.MeterProvider.Meter(scope)
	var err error
	if p.retries, err = m.Int64Counter("soundcheck.upstream.retries", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts after the first one of a call.")); err != nil {
		return err
	}
	if p.hedges, err = m.Int64Counter("soundcheck.upstream.hedges", metric.WithUnit("{attempt}"),
		metric.WithDescription("Second attempts of reads whose first attempt was slow.")); err != nil {
		return err
	}
	if p.shed, err = m.Int64Counter("soundcheck.upstream.shed", metric.WithUnit("{request}"),
		metric.WithDescription("Calls shed, by reason: the circuit breaker was open, the retry budget was exhausted, or the store itself shed them.")); err != nil {
		return err
	}
	exhausted, err := m.Int64ObservableCounter("soundcheck.upstream.budget.refused", metric.WithUnit("{attempt}"),
		metric.WithDescription("Retries and hedges not made because the retry budget was exhausted."))
	if err != nil {
		return err
	}
	left, err := m.Float64ObservableGauge("soundcheck.upstream.budget.left", metric.WithUnit("{attempt}"),
		metric.WithDescription("Retries and hedges that the retry budget allows now."))
	if err != nil {
		return err
	}
	inFlight, err := m.Int64ObservableGauge("soundcheck.upstream.in_flight", metric.WithUnit("{request}"),
		metric.WithDescription("Requests in flight to a server."))
	if err != nil {
		return err
	}
	state, err := m.Int64ObservableGauge("soundcheck.upstream.breaker.state", metric.WithUnit("{state}"),
		metric.WithDescription("State of a server's circuit breaker: 0 closed, 1 half-open, 2 open."))
	if err != nil {
		return err
	}
	reg, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(exhausted, p.budget.exhausted.Load())
		o.ObserveFloat64(left, p.budget.left())
		for _, s := range p.servers {
			set := metric.WithAttributeSet(s.attributes)
			o.ObserveInt64(inFlight, s.inFlight.Load(), set)
			if s.breaker != nil {
				o.ObserveInt64(state, breakerStates[s.breaker.State()], set)
			}
		}
		return nil
	}, exhausted, left, inFlight, state)
	p.metrics = append(p.metrics, reg)
	return err
}

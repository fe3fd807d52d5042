package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

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

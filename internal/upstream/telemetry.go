package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

func (o *Options) setDefaults() {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Conns == 0 {
		o.Conns = 256
	}
	if o.TracerProvider == nil {
		o.TracerProvider = tracenoop.NewTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = metricnoop.NewMeterProvider()
	}
	if o.Propagator == nil {
		o.Propagator = propagation.TraceContext{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

type tryKey struct{}

// try is what a client span says about itself.
type try struct {
	route string
	n     int // from 0
	hedge bool
}

// spanName is "{method} {route}".
func spanName(_ string, r *http.Request) string {
	t, _ := r.Context().Value(tryKey{}).(try)
	return r.Method + " " + t.route
}

// annotate tells a client span which try it is.
type annotate struct{ next http.RoundTripper }

func (a annotate) RoundTrip(r *http.Request) (*http.Response, error) {
	if t, _ := r.Context().Value(tryKey{}).(try); t.n > 0 {
		span := trace.SpanFromContext(r.Context())
		span.SetAttributes(attribute.Int("http.request.resend_count", t.n))
		if t.hedge {
			span.SetAttributes(attribute.Bool("soundcheck.hedge", true))
		}
	}
	return a.next.RoundTrip(r)
}

// Why a call was shed.
var (
	shedByBreaker = shedReason("breaker_open")
	shedByBudget  = shedReason("retry_budget")
	shedByStore   = shedReason("store")
)

func shedReason(reason string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String("soundcheck.shed.reason", reason)))
}

// countShed counts a call that its caller sees as 429 or 503.
func (p *Pool) countShed(ctx context.Context, a *Answer, err error) {
	switch {
	case errors.Is(err, ErrOpen):
		p.shed.Add(ctx, 1, shedByBreaker)
	case errors.Is(err, ErrBudget):
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
//	soundcheck.upstream.retries          {try}      tries after the first
//	soundcheck.upstream.hedges           {try}      reads that were sent a second time
//	soundcheck.upstream.budget.refused   {try}      retries and hedges that were not made for want of budget
//	soundcheck.upstream.budget.left      {try}      retries and hedges that could be made now
//	soundcheck.upstream.shed             {request}  calls shed, by reason: breaker_open, retry_budget, or store
//	soundcheck.upstream.in_flight        {request}  by server
//	soundcheck.upstream.breaker.state    {state}    by server: 0 closed, 1 half-open, 2 open
func (p *Pool) instrument() error {
	m := p.o.MeterProvider.Meter("soundcheck/internal/upstream")
	var err error
	if p.retries, err = m.Int64Counter("soundcheck.upstream.retries", metric.WithUnit("{try}"),
		metric.WithDescription("Tries after the first one of a call.")); err != nil {
		return err
	}
	if p.hedges, err = m.Int64Counter("soundcheck.upstream.hedges", metric.WithUnit("{try}"),
		metric.WithDescription("Reads that were sent a second time because the first took long.")); err != nil {
		return err
	}
	if p.shed, err = m.Int64Counter("soundcheck.upstream.shed", metric.WithUnit("{request}"),
		metric.WithDescription("Calls shed, by reason: the circuit breaker was open, the retry budget was exhausted, or the store itself shed them.")); err != nil {
		return err
	}
	refused, err := m.Int64ObservableCounter("soundcheck.upstream.budget.refused", metric.WithUnit("{try}"),
		metric.WithDescription("Retries and hedges that were not made because the budget was spent."))
	if err != nil {
		return err
	}
	left, err := m.Float64ObservableGauge("soundcheck.upstream.budget.left", metric.WithUnit("{try}"),
		metric.WithDescription("Retries and hedges that could be made now."))
	if err != nil {
		return err
	}
	inFlight, err := m.Int64ObservableGauge("soundcheck.upstream.in_flight", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that a server has not answered yet."))
	if err != nil {
		return err
	}
	state, err := m.Int64ObservableGauge("soundcheck.upstream.breaker.state", metric.WithUnit("{state}"),
		metric.WithDescription("State of a server's circuit breaker: 0 closed, 1 half-open, 2 open."))
	if err != nil {
		return err
	}
	reg, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(refused, p.budget.refused.Load())
		o.ObserveFloat64(left, p.budget.left())
		for _, s := range p.servers {
			set := metric.WithAttributeSet(s.attributes)
			o.ObserveInt64(inFlight, s.inFlight.Load(), set)
			if s.breaker != nil {
				o.ObserveInt64(state, breakerStates[s.breaker.State()], set)
			}
		}
		return nil
	}, refused, left, inFlight, state)
	p.metrics = append(p.metrics, reg)
	return err
}

package overload

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"soundcheck/internal/optional"
)

// Attributes of spans and metrics.
const (
	reasonKey   = "soundcheck.shed.reason"
	decisionKey = "soundcheck.overload.decision"
	classKey    = "soundcheck.overload.class"
)

// instrument creates the metrics:
//
//	soundcheck.overload.decisions     {request}  requests by decision (admitted, or why not) and class
//	soundcheck.overload.queue.wait    s          how long those waited that had to
//	soundcheck.overload.in_flight     {request}  in flight
//	soundcheck.overload.queue.length  {request}  waiting
//	soundcheck.overload.limit         {request}  that may be in flight: fixed, or as found
func (c *Control) instrument(mp metric.MeterProvider) error {
	m := optional.MeterProvider(mp).Meter(scope)
	var err error
	if c.decisions, err = m.Int64Counter("soundcheck.overload.decisions", metric.WithUnit("{request}"),
		metric.WithDescription("Requests by what was decided: admitted, or the reason why they were refused.")); err != nil {
		return err
	}
	if c.waits, err = m.Float64Histogram("soundcheck.overload.queue.wait", metric.WithUnit("s"),
		metric.WithDescription("How long requests waited for their turn, of those that had to.")); err != nil {
		return err
	}
	for class := range classes {
		c.byClass[class] = metric.WithAttributeSet(attribute.NewSet(attribute.String(classKey, class.String())))
		c.sets[class] = map[Reason]metric.MeasurementOption{}
		for _, r := range []Reason{Admitted, GlobalRateLimit, ClientRateLimit, QueueFull, QueueTimeout, DeadlineExceeded, ClientGone} {
			c.sets[class][r] = metric.WithAttributeSet(attribute.NewSet(
				attribute.String(classKey, class.String()), attribute.String(decisionKey, string(r))))
		}
	}
	if !c.o.Concurrency.Enabled() {
		return nil
	}
	for _, gauge := range []struct {
		name, about string
		value       func(*gate) int
	}{
		{"in_flight", "Requests in flight.", func(g *gate) int { _, n := g.limiter.state(); return n }},
		{"queue.length", "Requests that wait for their turn.", func(g *gate) int { return int(g.waiting.Load()) }},
		{"limit", "Requests that may be in flight: a fixed number, or as many as the latency allows now.", func(g *gate) int { n, _ := g.limiter.state(); return n }},
	} {
		_, err := m.Int64ObservableGauge("soundcheck.overload."+gauge.name, metric.WithUnit("{request}"), metric.WithDescription(gauge.about),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				for class, g := range c.gates {
					o.Observe(int64(gauge.value(g)), c.byClass[class].(metric.ObserveOption))
				}
				return nil
			}))
		if err != nil {
			return err
		}
	}
	return nil
}

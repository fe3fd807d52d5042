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
//	soundcheck.overload.queue.wait    s          queue wait of queued requests
//	soundcheck.overload.in_flight     {request}  in flight
//	soundcheck.overload.queue.length  {request}  in the queue
//	soundcheck.overload.limit         {request}  concurrency limit: fixed or adaptive
func (c *Control) instrument(mp metric.MeterProvider) error {
	m := optional.MeterProvider(mp).Meter(scope)
	var err error
	if c.decisions, err = m.Int64Counter("soundcheck.overload.decisions", metric.WithUnit("{request}"),
		metric.WithDescription("Requests by decision: admitted, or the reason for shedding or rejecting them.")); err != nil {
		return err
	}
	if c.waits, err = m.Float64Histogram("soundcheck.overload.queue.wait", metric.WithUnit("s"),
		metric.WithDescription("Queue wait of requests that were queued.")); err != nil {
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
		{"queue.length", "Requests in the queue.", func(g *gate) int { return int(g.waiting.Load()) }},
		{"limit", "Concurrency limit: fixed, or the current adaptive limit.", func(g *gate) int { n, _ := g.limiter.state(); return n }},
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

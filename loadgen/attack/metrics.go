package attack

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of the metrics.
const (
	runKey      = "soundcheck.loadgen.run"
	scenarioKey = "soundcheck.loadgen.scenario"
	classKey    = "soundcheck.loadgen.class"
)

// meter tells of an attack while it lasts.
type meter struct {
	response metric.Float64Histogram
	lag      metric.Float64Histogram
	run      metric.MeasurementOption
	sets     map[string]map[Class]metric.MeasurementOption
	gauges   metric.Registration
}

// newMeter creates the metrics, all with the attribute soundcheck.loadgen.run:
//
//	soundcheck.loadgen.response_time  s            by scenario and class, with the requests' traces as exemplars
//	soundcheck.loadgen.lag            s            how late requests were sent
//	soundcheck.loadgen.rate           {request}/s  that the plan asks for now
//	soundcheck.loadgen.in_flight      {request}
func newMeter(c Config, p *pacer, tr *transport) (*meter, error) {
	m := c.MeterProvider.Meter("soundcheck/loadgen/attack")
	run := attribute.String(runKey, c.RunID)
	k := &meter{run: metric.WithAttributeSet(attribute.NewSet(run)), sets: map[string]map[Class]metric.MeasurementOption{}}
	for name := range c.Mix {
		k.sets[name] = map[Class]metric.MeasurementOption{}
		for _, class := range classes {
			k.sets[name][class] = metric.WithAttributeSet(attribute.NewSet(run, attribute.String(scenarioKey, name), attribute.String(classKey, string(class))))
		}
	}
	var err error
	if k.response, err = m.Float64Histogram("soundcheck.loadgen.response_time", metric.WithUnit("s"),
		metric.WithDescription("From when a request was due to the end of its answer.")); err != nil {
		return nil, err
	}
	if k.lag, err = m.Float64Histogram("soundcheck.loadgen.lag", metric.WithUnit("s"),
		metric.WithDescription("How much later than due requests were sent.")); err != nil {
		return nil, err
	}
	rate, err := m.Float64ObservableGauge("soundcheck.loadgen.rate", metric.WithUnit("{request}/s"),
		metric.WithDescription("Requests a second that the plan asks for now; of the closed model none."))
	if err != nil {
		return nil, err
	}
	inFlight, err := m.Int64ObservableGauge("soundcheck.loadgen.in_flight", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that are not answered yet."))
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	k.gauges, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if !p.closed {
			o.ObserveFloat64(rate, p.plan.Rate(time.Since(begun)), k.run)
		}
		o.ObserveInt64(inFlight, tr.inFlight.Load(), k.run)
		return nil
	}, rate, inFlight)
	return k, err
}

func (m *meter) add(scenario string, class Class, response, lag time.Duration, span trace.SpanContext) {
	ctx := trace.ContextWithSpanContext(context.Background(), span)
	m.response.Record(ctx, response.Seconds(), m.sets[scenario][class])
	m.lag.Record(ctx, lag.Seconds(), m.run)
}

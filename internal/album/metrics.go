package album

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"soundcheck/internal/optional"
)

// Holdings are a store's gauges.
type Holdings struct {
	Queued, Running int64 // operations
	Bytes           int64 // size of the albums table and its indexes, or of the database file; negative: unknown
}

// Observe creates the metrics of a store, which call read at each collection. If read fails
// they have no values: other metrics show that the database is unavailable. mp may be nil.
//
//	soundcheck.store.operations  {operation}  queued and running, by soundcheck.store.operation.status
//	soundcheck.store.size        By           of the albums in the database
func Observe(mp metric.MeterProvider, read func(context.Context) (Holdings, error)) (metric.Registration, error) {
	m := optional.MeterProvider(mp).Meter("soundcheck/internal/album")
	operations, err := m.Int64ObservableGauge("soundcheck.store.operations", metric.WithUnit("{operation}"),
		metric.WithDescription("Accepted operations that are queued or running."))
	if err != nil {
		return nil, err
	}
	size, err := m.Int64ObservableGauge("soundcheck.store.size", metric.WithUnit("By"),
		metric.WithDescription("Size of the albums in the database, indexes included."))
	if err != nil {
		return nil, err
	}
	status := func(s Status) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("soundcheck.store.operation.status", string(s))))
	}
	queued, running := status(Queued), status(Running)
	return m.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		h, err := read(ctx)
		if err != nil {
			return nil
		}
		o.ObserveInt64(operations, h.Queued, queued)
		o.ObserveInt64(operations, h.Running, running)
		if h.Bytes >= 0 {
			o.ObserveInt64(size, h.Bytes)
		}
		return nil
	}, operations, size)
}

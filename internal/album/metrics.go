package album

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"soundcheck/internal/optional"
)

// Holdings is what a store has at a moment.
type Holdings struct {
	Queued, Running int64 // operations that are not done
	Bytes           int64 // of the albums' table with its indexes, or of the file that holds it; negative: not known
}

// Observe creates the metrics of what a store holds, which read asks for whenever
// they are sent. While read fails there are none: that the database is away is
// told elsewhere. mp may be nil.
//
//	soundcheck.store.operations  {operation}  not done yet, by soundcheck.store.operation.status
//	soundcheck.store.size        By           of the albums in the database
func Observe(mp metric.MeterProvider, read func(context.Context) (Holdings, error)) (metric.Registration, error) {
	m := optional.MeterProvider(mp).Meter("soundcheck/internal/album")
	operations, err := m.Int64ObservableGauge("soundcheck.store.operations", metric.WithUnit("{operation}"),
		metric.WithDescription("Operations that were accepted and are not done yet."))
	if err != nil {
		return nil, err
	}
	size, err := m.Int64ObservableGauge("soundcheck.store.size", metric.WithUnit("By"),
		metric.WithDescription("Bytes of the albums in the database, with their indexes."))
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

#!/bin/sh
# OpenTelemetry Go sdk/metric v1.47.0: PeriodicReader.Shutdown cancels a periodic export in flight,
# and reports it as an error to otel.Handle although Shutdown itself exports again and returns nil.
#
# Expected: an export that began before Shutdown may end, within the context that Shutdown gets.
#   It "flushes pending telemetry and then stops the export pipeline":
#   https://pkg.go.dev/go.opentelemetry.io/otel/sdk/metric@v1.47.0#PeriodicReader.Shutdown
# Seen: the run loop's context is cancelled first, and the export's context is derived from it:
#   https://github.com/open-telemetry/opentelemetry-go/blob/sdk/metric/v1.47.0/sdk/metric/periodic_reader.go
#   A program that prints the errors of otel.Handle says "context canceled" at a clean end.
#   ForceFlush before Shutdown waits for the export in flight.
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// exporter takes until its second export is asked for, or its context ends.
type exporter struct {
	metric.Exporter
	begun chan struct{}
	n     int
}

func (e *exporter) Temporality(k metric.InstrumentKind) metricdata.Temporality {
	return metric.DefaultTemporalitySelector(k)
}
func (e *exporter) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return metric.DefaultAggregationSelector(k)
}
func (e *exporter) Export(ctx context.Context, _ *metricdata.ResourceMetrics) error {
	if e.n++; e.n > 1 {
		return nil
	}
	close(e.begun)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5 * time.Second):
		return nil
	}
}
func (e *exporter) ForceFlush(context.Context) error { return nil }
func (e *exporter) Shutdown(context.Context) error   { return nil }

func main() {
	ctx := context.Background()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { fmt.Println("otel.Handle:", err) }))
	e := &exporter{begun: make(chan struct{})}
	mp := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(e, metric.WithInterval(10*time.Millisecond))))
	counter, err := mp.Meter("finding").Int64Counter("n")
	if err != nil {
		panic(err)
	}
	counter.Add(ctx, 1)
	<-e.begun
	fmt.Println("Shutdown:", mp.Shutdown(ctx))
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get go.opentelemetry.io/otel@v1.47.0 go.opentelemetry.io/otel/sdk/metric@v1.47.0 >/dev/null 2>&1
got=$(go run .)
want='otel.Handle: context canceled
Shutdown: <nil>'
echo "$(go list -m go.opentelemetry.io/otel/sdk/metric)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

#!/bin/sh
# autoexport v0.72.0: WithFallbackMetricProducer is no option, but sets the producer of every later reader.
#
# Expected: an option of one NewMetricReader, as WithFallbackMetricReader, WithFallbackSpanExporter and
#   WithFallbackLogExporter are.
# Seen: it returns nothing. It sets a variable of the package, without a lock: each reader that is created later
#   has the producer, and two goroutines that set up telemetry are a data race (go run -race):
#   https://github.com/open-telemetry/opentelemetry-go-contrib/blob/exporters/autoexport/v0.72.0/exporters/autoexport/metrics.go
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
	"reflect"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

type producer struct{}

func (producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) { return nil, nil }

func main() {
	fmt.Println("values returned:", reflect.TypeOf(autoexport.WithFallbackMetricProducer).NumOut(), "by WithFallbackMetricProducer,",
		reflect.TypeOf(autoexport.WithFallbackMetricReader).NumOut(), "by WithFallbackMetricReader")
	autoexport.WithFallbackMetricProducer(func(context.Context) (metric.Producer, error) {
		fmt.Println("a producer is created")
		return producer{}, nil
	})
	for i := range 2 {
		fmt.Println("reader", i)
		if _, err := autoexport.NewMetricReader(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get go.opentelemetry.io/contrib/exporters/autoexport@v0.72.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
got=$(go run .)
want='values returned: 0 by WithFallbackMetricProducer, 1 by WithFallbackMetricReader
reader 0
a producer is created
reader 1
a producer is created'
echo "$(go list -m go.opentelemetry.io/contrib/exporters/autoexport)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

#!/bin/sh
# otlptracehttp v1.47.0: a batch that protobuf cannot encode is dropped whole and counted in no
# otel.sdk.exporter metric.
#
# Expected: 3 failed spans in otel.sdk.exporter.span.exported, with error.type, as after a 400. It is "the
#   number of spans for which the export has finished, either successful or failed":
#   https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/#metric-otelsdkexporterspanexported
# Seen: one attribute in Latin-1 (a file name, say), and UploadTraces returns before it counts the spans:
#   https://github.com/open-telemetry/opentelemetry-go/blob/v1.47.0/exporters/otlp/otlptrace/otlptracehttp/client.go
#   No span of the batch is sent, the two valid ones included. Only the error handler reports it.
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
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
)

// run exports one batch of 3 spans, the last one with this file name, and prints how it was counted.
func run(title, file string, status int) {
	ctx := context.Background()
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.WriteHeader(status)
	}))
	defer server.Close()
	reader := metric.NewManualReader()
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	failure := "none"
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { failure = err.Error() }))

	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(server.URL+"/v1/traces"))
	if err != nil {
		panic(err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter))
	for _, name := range []string{"a.txt", "b.txt", file} {
		_, span := provider.Tracer("finding").Start(ctx, "read")
		span.SetAttributes(attribute.String("file.name", name))
		span.End()
	}
	if err := provider.ForceFlush(ctx); err != nil {
		failure = err.Error()
	}

	var exported, failed int64
	metrics := 0
	var data metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &data); err != nil {
		panic(err)
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if strings.HasPrefix(m.Name, "otel.sdk.exporter.") {
				metrics++
			}
			if m.Name != "otel.sdk.exporter.span.exported" {
				continue
			}
			for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
				if point.Attributes.HasValue("error.type") {
					failed += point.Value
				} else {
					exported += point.Value
				}
			}
		}
	}
	fmt.Printf("%s: requests %d, spans exported %d, failed %d, otel.sdk.exporter metrics %d\n",
		title, requests, exported, failed, metrics)
	fmt.Fprintf(os.Stderr, "%s: error: %s\n", title, failure)
	_ = provider.Shutdown(ctx)
}

func main() {
	run("UTF-8", "café.txt", http.StatusOK)
	run("UTF-8, status 400", "café.txt", http.StatusBadRequest)
	run("Latin-1", "caf\xe9.txt", http.StatusOK)
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp@v1.47.0 \
	go.opentelemetry.io/otel/sdk/metric@v1.47.0 >/dev/null 2>&1
got=$(OTEL_GO_X_OBSERVABILITY=true go run .)
want='UTF-8: requests 1, spans exported 3, failed 0, otel.sdk.exporter metrics 3
UTF-8, status 400: requests 1, spans exported 0, failed 3, otel.sdk.exporter metrics 3
Latin-1: requests 0, spans exported 0, failed 0, otel.sdk.exporter metrics 0'
echo "$(go list -m go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

#!/bin/sh
# OpenTelemetry Go sdk/log v1.47.0: OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT cuts the attributes of spans, but not
# those of log records.
#
# Expected: both cut. "If both a general and a model-specific limit are implemented, then the SDK MUST first
#   attempt to use the model-specific limit, if it isn't set, then the SDK MUST attempt to use the general limit":
#   https://opentelemetry.io/docs/specs/otel/common/#attribute-limits
#   The general variable is not one of spans:
#   https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#attribute-limits
# Seen: sdk/log reads the OTEL_LOGRECORD_ variables only, newProviderConfig in provider.go:
#   https://github.com/open-telemetry/opentelemetry-go/blob/sdk/log/v1.47.0/sdk/log/provider.go
#   sdk/trace falls back on the general ones, trace/internal/env/env.go. The count limits differ alike.
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
	"os"

	"go.opentelemetry.io/otel/attribute"
	api "go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

type printer struct{}

func (printer) Export(_ context.Context, records []log.Record) error {
	for _, r := range records {
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			fmt.Println("  log record:", kv.Value.AsString())
			return true
		})
	}
	return nil
}

func (printer) Shutdown(context.Context) error   { return nil }
func (printer) ForceFlush(context.Context) error { return nil }

func run(variable string) {
	ctx := context.Background()
	os.Setenv(variable, "5")
	defer os.Unsetenv(variable)
	fmt.Println(variable + "=5")
	text := attribute.String("text", "0123456789")

	spans := tracetest.NewSpanRecorder()
	_, span := trace.NewTracerProvider(trace.WithSpanProcessor(spans)).Tracer("finding").Start(ctx, "span")
	span.SetAttributes(text)
	span.End()
	fmt.Println("  span:", spans.Ended()[0].Attributes()[0].Value.AsString())

	var record api.Record
	record.AddAttributes(text)
	log.NewLoggerProvider(log.WithProcessor(log.NewSimpleProcessor(printer{}))).Logger("finding").Emit(ctx, record)
}

func main() {
	run("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
	run("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT")
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get go.opentelemetry.io/otel/sdk/log@v1.47.0 go.opentelemetry.io/otel/sdk@v1.47.0 >/dev/null 2>&1
got=$(go run .)
want='OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=5
  span: 01234
  log record: 0123456789
OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT=5
  span: 0123456789
  log record: 01234'
echo "$(go list -m go.opentelemetry.io/otel/sdk/log)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

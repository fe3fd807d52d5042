#!/bin/sh
# OpenTelemetry Go v1.47.0, otlptracegrpc with gRPC v1.84.0: with OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1, a URL without a port, the
# exporter connects without TLS to port 443. otlptracehttp connects to port 80 with the same variable.
#
# Expected: 80, the port of http URLs (RFC 9110, section 4.2.1), or 4317, since "The default network port for OTLP/gRPC is 4317":
#   https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-default-port
# Seen: the exporter passes host and scheme on as "127.0.0.1" and "insecure". The default port of a gRPC target is 443:
#   https://github.com/grpc/grpc/blob/master/doc/naming.md
# It needs Go and a module proxy, and ports 80 and 443 of 127.0.0.1 on which nothing listens.
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
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/trace"
)

// export sends a span, and returns why that failed.
func export(client otlptrace.Client) string {
	exporter := otlptrace.NewUnstarted(client)
	if err := exporter.Start(context.Background()); err != nil {
		panic(err)
	}
	var cause error
	provider := trace.NewTracerProvider(trace.WithSyncer(observed{exporter, &cause}))
	_, span := provider.Tracer("finding").Start(context.Background(), "span")
	span.End()
	return fmt.Sprint(cause)
}

// observed stores the error of an export.
type observed struct {
	trace.SpanExporter
	cause *error
}

func (o observed) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	*o.cause = o.SpanExporter.ExportSpans(ctx, spans)
	return nil
}

func main() {
	os.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1")
	overHTTP := export(otlptracehttp.NewClient(otlptracehttp.WithRetry(otlptracehttp.RetryConfig{})))
	overGRPC := export(otlptracegrpc.NewClient(otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{})))
	fmt.Println("HTTP:", overHTTP)
	fmt.Println("gRPC:", overGRPC)
	if !strings.Contains(overHTTP, "127.0.0.1:80:") || !strings.Contains(overGRPC, "127.0.0.1:443:") {
		fmt.Println("CHANGED: the ports were 80 and 443")
		os.Exit(1)
	}
}
EOF
go mod init finding >/dev/null 2>&1
go get go.opentelemetry.io/otel/sdk@v1.47.0 go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc@v1.47.0 \
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp@v1.47.0 google.golang.org/grpc@v1.84.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
echo "$(go list -m go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc), $(go list -m google.golang.org/grpc)"
echo "expected: gRPC on port 80 or 4317 (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-default-port)"
go run .

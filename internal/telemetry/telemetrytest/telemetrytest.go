// Package telemetrytest records what code under test sends to OpenTelemetry.
package telemetrytest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/internal/cli/clitest"
	"soundcheck/internal/telemetry"
)

// Recorder holds providers, and what was sent to them.
type Recorder struct {
	TracerProvider *trace.TracerProvider
	MeterProvider  *metric.MeterProvider
	Propagator     propagation.TextMapPropagator
	Logger         *slog.Logger

	t       testing.TB
	spans   *tracetest.InMemoryExporter
	metrics *metric.ManualReader
	logs    clitest.Output
}

// New returns a Recorder that ends with the test.
func New(t testing.TB) *Recorder {
	r := &Recorder{t: t, spans: tracetest.NewInMemoryExporter(), metrics: metric.NewManualReader(), Propagator: propagation.TraceContext{}}
	r.TracerProvider = trace.NewTracerProvider(trace.WithSyncer(r.spans))
	r.MeterProvider = metric.NewMeterProvider(metric.WithReader(r.metrics))
	r.Logger = telemetry.NewLogger(&r.logs, "test")
	t.Cleanup(func() {
		ctx := context.Background()
		r.TracerProvider.Shutdown(ctx)
		r.MeterProvider.Shutdown(ctx)
	})
	return r
}

// Spans returns the spans that ended, in the order in which they did.
func (r *Recorder) Spans() tracetest.SpanStubs { return r.spans.GetSpans() }

// Metric returns the data of one instrument, or fails the test.
func (r *Recorder) Metric(name string) metricdata.Metrics {
	r.t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.metrics.Collect(context.Background(), &all); err != nil {
		r.t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == name {
				return m
			}
		}
	}
	r.t.Fatalf("no metric %s", name)
	return metricdata.Metrics{}
}

// Logs returns the JSON lines that were logged.
func (r *Recorder) Logs() string { return r.logs.String() }

// Attributes writes attributes as "k=v k=v", in order of key.
func Attributes(list []attribute.KeyValue) string {
	var parts []string
	for _, kv := range list {
		parts = append(parts, fmt.Sprintf("%s=%s", kv.Key, kv.Value.String()))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

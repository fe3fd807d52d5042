// Package telemetry sets up OpenTelemetry and logging for a program of the lab.
//
// Everything is configured by the standard OTEL_* variables (exporters,
// endpoints, protocol, sampler, resource attributes, batch sizes); Setup only
// supplies the lab's defaults for those that are unset:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT  http://localhost:4318, or http://localhost:4317 where OTEL_EXPORTER_OTLP_PROTOCOL
//	                             is grpc: the specification's, which the Go exporters take for https
//	OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION  base2_exponential_bucket_histogram
//	OTEL_GO_X_OBSERVABILITY         true: the SDK counts what it could not deliver
//	OTEL_GO_X_PER_SERIES_START_TIMESTAMPS  true: a series starts when it is first recorded, not with the
//	                                program: Prometheus puts a 0 there, and counts from it
//	OTEL_BSP_MAX_QUEUE_SIZE         32768 spans, in batches of OTEL_BSP_MAX_EXPORT_BATCH_SIZE 2048:
//	                                some seconds at full speed while the Collector restarts
//	OTEL_BLRP_MAX_QUEUE_SIZE        8192 log records, in batches of 2048
//	OTEL_METRIC_EXPORT_INTERVAL     5000 ms, of a command-line tool only: it may have ended within the usual minute
//	OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT  4096 characters: a backend may refuse a batch for one long text
//
// A variable that is set to something that cannot be honoured counts as unset, and is
// named in one warning; see checkEnvironment.
//
// No exporter waits for a Collector: a program starts and serves without one,
// and its telemetry flows as soon as one listens.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"soundcheck/internal/version"
)

// Namespace is the service.namespace of every program of the lab.
const Namespace = "soundcheck"

// Telemetry is what a program sends its signals through. The providers work,
// and do nothing, if OTEL_SDK_DISABLED is true.
type Telemetry struct {
	TracerProvider *trace.TracerProvider
	MeterProvider  *metric.MeterProvider
	Propagator     propagation.TextMapPropagator
	Logger         *slog.Logger
	// Disabled is true if OTEL_SDK_DISABLED is: whoever instruments requests can
	// save the work.
	Disabled bool
	// Metrics serves the program's metrics in Prometheus' text format.
	Metrics http.Handler
	// Errors counts what could not be delivered; see ErrorCounter.
	Errors *ErrorCounter

	patience  *patience
	lines     *writer
	shutdowns []func(context.Context) error
}

// Config says what Setup cannot learn from the environment.
type Config struct {
	Name string // service.name, unless OTEL_SERVICE_NAME is set
	// Logs receives one JSON line for each log record.
	Logs io.Writer
	// Quiet is for a command-line tool: it keeps delivery errors out of Logs, of
	// which the tool reports the count in Errors once, at its end; and metrics are
	// sent often, since a tool may not run for long.
	Quiet bool
	// IDs, if not nil, gives the traces and spans their ids.
	IDs trace.IDGenerator
	// Sampler, if not nil, is used and not what OTEL_TRACES_SAMPLER says.
	Sampler trace.Sampler
}

// Setup starts telemetry. The caller ends it with Shutdown, after its last span.
func Setup(ctx context.Context, c Config) (_ *Telemetry, err error) {
	ignoredVariables, err := checkEnvironment()
	if err = errors.Join(err, setDefaults(c.Quiet)); err != nil {
		return nil, err
	}
	t := &Telemetry{patience: newPatience(), Propagator: autoprop.NewTextMapPropagator()}
	t.lines = newWriter(c.Logs)
	local := NewLogger(t.lines, c.Name)
	t.Errors = &ErrorCounter{log: local, quiet: c.Quiet}
	otel.SetErrorHandler(t.Errors)
	otel.SetLogger(sdkLogger(t.lines, c.Name))
	otel.SetTextMapPropagator(t.Propagator)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("set up telemetry: %w", err), t.Shutdown(ctx))
		}
	}()

	res, err := newResource(ctx, c.Name)
	if err != nil { // there is a resource all the same
		otel.Handle(err)
	}
	registry := prometheus.NewRegistry()
	// A series that is not valid must not cost the others.
	t.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.ContinueOnError})
	page, err := promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithoutScopeInfo(), promexporter.WithAggregationSelector(metric.DefaultAggregationSelector))
	if err != nil {
		return nil, err
	}
	traces := []trace.TracerProviderOption{trace.WithResource(res)}
	if c.IDs != nil {
		traces = append(traces, trace.WithIDGenerator(c.IDs))
	}
	if c.Sampler != nil {
		traces = append(traces, trace.WithSampler(c.Sampler))
	}
	metrics := []metric.Option{metric.WithResource(res), metric.WithReader(page), metric.WithView(views)}
	logs := []sdklog.LoggerProviderOption{sdklog.WithResource(res)}
	t.Disabled = os.Getenv("OTEL_SDK_DISABLED") == "true"
	var e exporters
	if t.Disabled {
		traces = append(traces, trace.WithSampler(trace.NeverSample()))
	} else {
		e = newExporters(ctx, t.patience)
		for _, s := range e.spans {
			traces = append(traces, trace.WithBatcher(s))
		}
		for _, r := range e.readers {
			metrics = append(metrics, metric.WithReader(r))
		}
		for _, l := range e.logs {
			logs = append(logs, sdklog.WithProcessor(sdklog.NewBatchProcessor(l)))
		}
	}
	warn(local, append(ignoredVariables, e.failed...))
	// The SDK's own metrics come from the global provider, so it is set first.
	t.MeterProvider = metric.NewMeterProvider(metrics...)
	otel.SetMeterProvider(t.MeterProvider)
	for _, d := range e.deliveries {
		if err := d.instrument(t.MeterProvider); err != nil {
			return nil, err
		}
	}
	t.TracerProvider = trace.NewTracerProvider(traces...)
	lp := sdklog.NewLoggerProvider(logs...)
	// Metrics go last: they tell how the other two ended.
	t.shutdowns = append(t.shutdowns, t.TracerProvider.Shutdown, lp.Shutdown, t.endMetrics)
	t.Logger = local
	if t.Disabled {
		return t, nil
	}
	t.Logger = slog.New(slog.NewMultiHandler(local.Handler(), errorText{otelslog.NewHandler("soundcheck", otelslog.WithLoggerProvider(lp))}))
	return t, errors.Join(runtime.Start(runtime.WithMeterProvider(t.MeterProvider)), observeCPU(t.MeterProvider))
}

// warn names in one line the variables that are not honoured.
func warn(log *slog.Logger, list []ignored) {
	if len(list) == 0 {
		return
	}
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = v.String()
	}
	log.Warn("telemetry settings ignored", slog.Any("settings", texts))
}

// endMetrics waits for the periodic export before it stops: the SDK would cancel an export in
// flight, which then counts as lost although the last export delivers all of it.
func (t *Telemetry) endMetrics(ctx context.Context) error {
	_ = t.MeterProvider.ForceFlush(ctx) // Shutdown exports once more, and returns the error
	return t.MeterProvider.Shutdown(ctx)
}

// Shutdown delivers what is still held and stops. It must get a context of its
// own, with a time limit: the one that ended the program is over.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	t.patience.end()
	var errs []error
	for _, f := range t.shutdowns {
		errs = append(errs, f(ctx))
	}
	t.shutdowns = nil
	t.lines.end()
	if err := errors.Join(errs...); err != nil {
		return &UndeliveredError{err}
	}
	return nil
}

// flushTimeout is how long a command-line tool waits for its telemetry at its end.
const flushTimeout = 5 * time.Second

// Finish ends the telemetry of a command-line tool, and says in one line on w if
// not all of it was delivered. That is no failure of the tool's work.
func (t *Telemetry) Finish(ctx context.Context, w io.Writer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	err := t.Shutdown(ctx)
	if n, last := t.Errors.Last(); err == nil && n > 0 {
		err = last
	}
	if err == nil {
		return
	}
	line := "telemetry was not delivered: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	if hint := Hint(err); hint != "" {
		line += "\n" + hint
	}
	fmt.Fprintln(w, line)
}

// newResource returns a resource also with an error: it lacks something then.
func newResource(ctx context.Context, name string) (*resource.Resource, error) {
	// In order: later ones win, so the environment has the last word. The
	// process' command line and owner are left out: they can name persons.
	r, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
		resource.WithAttributes(
			attribute.String("service.name", name),
			attribute.String("service.namespace", Namespace),
			attribute.String("service.version", version.String()),
			attribute.String("service.instance.id", uuid.NewString()),
		),
		resource.WithFromEnv(),
	)
	if r == nil {
		r = resource.Empty()
	}
	return fitResource(r), err
}

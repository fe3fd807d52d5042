// Package telemetry sets up OpenTelemetry and logging for a component of the lab.
//
// The standard OTEL_* variables configure everything (exporters, endpoints, protocol, sampler,
// resource attributes, batch sizes). Setup adds defaults for unset variables:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT  http://localhost:4318, or http://localhost:4317 where OTEL_EXPORTER_OTLP_PROTOCOL
//	                             is grpc, as in the specification; the Go exporters default to https
//	OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION  base2_exponential_bucket_histogram
//	OTEL_GO_X_OBSERVABILITY         true: the SDK counts lost telemetry
//	OTEL_GO_X_PER_SERIES_START_TIMESTAMPS  true: a series starts at its first record, not with the
//	                                process: Prometheus adds a 0 at the start time
//	OTEL_BSP_MAX_QUEUE_SIZE         32768 spans, in batches of OTEL_BSP_MAX_EXPORT_BATCH_SIZE 2048:
//	                                some seconds at full speed while the Collector restarts
//	OTEL_BLRP_MAX_QUEUE_SIZE        8192 log records, in batches of 2048
//	OTEL_METRIC_EXPORT_INTERVAL     5000 ms, for command-line tools: many end within the default of a minute
//	OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT  4096 characters: a backend can reject a batch because of one long string
//
// An unsupported or invalid variable counts as unset. One warning names all of them; see
// checkEnvironment.
//
// A component starts and runs without a Collector, and exports as soon as one listens.
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
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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

	"soundcheck/internal/telemetry/environment"
	"soundcheck/internal/version"
)

// Namespace is the service.namespace of every component.
const Namespace = "soundcheck"

// Telemetry are the providers of a component. If OTEL_SDK_DISABLED is true, they are no-ops.
type Telemetry struct {
	TracerProvider *trace.TracerProvider
	MeterProvider  *metric.MeterProvider
	Propagator     propagation.TextMapPropagator
	Logger         *slog.Logger
	// Disabled is OTEL_SDK_DISABLED: callers can skip instrumentation.
	Disabled bool
	// Metrics serves the component's metrics in the Prometheus text format. Nil if Config.Quiet.
	Metrics http.Handler
	// Errors counts delivery errors; see ErrorCounter.
	Errors *ErrorCounter

	retrier   *retrier
	lines     *writer
	shutdowns []func(context.Context) error
}

// Config is the configuration that is not in the environment.
type Config struct {
	Name string // service.name, unless OTEL_SERVICE_NAME is set
	// Logs receives one JSON line for each log record.
	Logs io.Writer
	// Quiet is for a command-line tool: delivery errors are not in Logs, but reported once, by
	// Finish. Metrics are exported more often, because tools are short-lived.
	Quiet bool
	// IDs, if not nil, generates trace and span ids.
	IDs trace.IDGenerator
	// Sampler, if not nil, overrides OTEL_TRACES_SAMPLER.
	Sampler trace.Sampler
}

// oneSetup is held while Setup runs: the environment, the SDK's global providers and autoexport's registry of
// fallbacks are the process's own.
var oneSetup sync.Mutex

// Setup starts telemetry. The caller ends it with Shutdown, after its last span.
func Setup(ctx context.Context, c Config) (_ *Telemetry, err error) {
	oneSetup.Lock()
	defer oneSetup.Unlock()
	ignoredVariables, err := checkEnvironment()
	if err = errors.Join(err, setDefaults(c.Quiet)); err != nil {
		return nil, err
	}
	t := &Telemetry{retrier: newRetrier(), Propagator: autoprop.NewTextMapPropagator()}
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
	if err != nil { // the resource is usable
		otel.Handle(err)
	}
	traces := []trace.TracerProviderOption{trace.WithResource(res)}
	if c.IDs != nil {
		traces = append(traces, trace.WithIDGenerator(c.IDs))
	}
	if c.Sampler != nil {
		traces = append(traces, trace.WithSampler(c.Sampler))
	}
	metrics := []metric.Option{metric.WithResource(res), metric.WithView(views)}
	if !c.Quiet {
		page, err := t.page()
		if err != nil {
			return nil, err
		}
		metrics = append(metrics, metric.WithReader(page))
	}
	logs := []sdklog.LoggerProviderOption{sdklog.WithResource(res)}
	t.Disabled = os.Getenv("OTEL_SDK_DISABLED") == "true"
	var e exporters
	if t.Disabled {
		traces = append(traces, trace.WithSampler(trace.NeverSample()))
	} else {
		e = newExporters(ctx, t.retrier)
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
	// Metrics go last: they include the losses of the other two.
	t.shutdowns = append(t.shutdowns, t.TracerProvider.Shutdown, lp.Shutdown, t.endMetrics)
	t.Logger = slog.New(&fastHandler{Handler: local.Handler(), w: t.lines, service: c.Name})
	if t.Disabled {
		return t, nil
	}
	// Plain records have no duplicate keys. To look for them takes as long as the rest of a record.
	plain := sdklog.NewLoggerProvider(append(logs, sdklog.WithAllowKeyDuplication())...)
	t.Logger = slog.New(newLogHandler(t.lines, c.Name, lp, plain))
	return t, errors.Join(runtime.Start(runtime.WithMeterProvider(t.MeterProvider)), observeCPU(t.MeterProvider))
}

// page sets up Metrics.
func (t *Telemetry) page() (metric.Reader, error) {
	registry := prometheus.NewRegistry()
	// An invalid series must not affect others.
	t.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.ContinueOnError})
	return promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithoutScopeInfo(), promexporter.WithAggregationSelector(metric.DefaultAggregationSelector))
}

// warn logs one line with all ignored variables.
func warn(log *slog.Logger, list []environment.Ignored) {
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

// Shutdown flushes and stops. Its context must have a timeout of its own: the one that ended the
// component is done.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	t.retrier.end()
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

// flushTimeout is the timeout of a command-line tool's flush.
const flushTimeout = 5 * time.Second

// Finish flushes the telemetry of a command-line tool. It writes one line to w if telemetry was lost,
// which is no failure of the tool.
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

// newResource returns a resource even with an error: then it is incomplete.
func newResource(ctx context.Context, name string) (*resource.Resource, error) {
	// Later detectors win: the environment is last. The command line and the owner of the
	// process are omitted: they can contain personal data.
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

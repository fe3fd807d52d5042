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
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// Namespace is the service.namespace of every program of the lab.
const Namespace = "soundcheck"

// setDefaults supplies the standard variables that are unset.
func setDefaults(tool bool) error {
	interval := ""
	if tool {
		interval = "5000"
	}
	endpoint := "http://localhost:4318"
	if os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc" {
		endpoint = "http://localhost:4317"
	}
	for _, d := range [][2]string{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", endpoint},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"},
		{"OTEL_GO_X_OBSERVABILITY", "true"},
		{"OTEL_GO_X_PER_SERIES_START_TIMESTAMPS", "true"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "32768"},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2048"},
		{"OTEL_BLRP_MAX_QUEUE_SIZE", "8192"},
		{"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "2048"},
		{"OTEL_METRIC_EXPORT_INTERVAL", interval},
	} {
		if d[1] == "" || os.Getenv(d[0]) != "" {
			continue
		}
		if err := os.Setenv(d[0], d[1]); err != nil {
			return err
		}
	}
	return nil
}

// dropped are metrics that are recorded with every span or request and that answer
// no question: how many spans are open, and how long the bodies of requests are.
var dropped = []metric.View{
	metric.NewView(metric.Instrument{Name: "otel.sdk.span.live"}, metric.Stream{Aggregation: metric.AggregationDrop{}}),
	metric.NewView(metric.Instrument{Name: "http.*.request.body.size"}, metric.Stream{Aggregation: metric.AggregationDrop{}}),
}

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
	if err := setDefaults(c.Quiet); err != nil {
		return nil, err
	}
	t := &Telemetry{patience: newPatience(), Propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})}
	t.lines = newWriter(c.Logs)
	local := NewLogger(t.lines, c.Name)
	t.Errors = &ErrorCounter{log: local, quiet: c.Quiet}
	otel.SetErrorHandler(t.Errors)
	otel.SetTextMapPropagator(t.Propagator)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("set up telemetry: %w", err), t.Shutdown(ctx))
		}
	}()

	res, err := newResource(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	t.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
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
	metrics := []metric.Option{metric.WithResource(res), metric.WithReader(page), metric.WithView(dropped...)}
	logs := []sdklog.LoggerProviderOption{sdklog.WithResource(res)}
	t.Disabled = strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true")
	if !t.Disabled {
		spans, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return nil, exporterError("TRACES", err)
		}
		autoexport.WithFallbackMetricProducer(func(context.Context) (metric.Producer, error) { return producer{}, nil })
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return nil, errors.Join(exporterError("METRICS", err), spans.Shutdown(ctx))
		}
		records, err := autoexport.NewLogExporter(ctx)
		if err != nil {
			return nil, errors.Join(exporterError("LOGS", err), spans.Shutdown(ctx), reader.Shutdown(ctx))
		}
		traces = append(traces, trace.WithBatcher(redactor{spans, t.patience}))
		metrics = append(metrics, metric.WithReader(reader))
		logs = append(logs, sdklog.WithProcessor(sdklog.NewBatchProcessor(patientLogs{records, t.patience})))
	} else {
		traces = append(traces, trace.WithSampler(trace.NeverSample()))
	}
	// The SDK's own metrics come from the global provider, so it is set first.
	t.MeterProvider = metric.NewMeterProvider(metrics...)
	otel.SetMeterProvider(t.MeterProvider)
	t.TracerProvider = trace.NewTracerProvider(traces...)
	lp := sdklog.NewLoggerProvider(logs...)
	// Metrics go last: they tell how the other two ended.
	t.shutdowns = append(t.shutdowns, t.TracerProvider.Shutdown, lp.Shutdown, t.MeterProvider.Shutdown)
	t.Logger = local
	if t.Disabled {
		return t, nil
	}
	t.Logger = slog.New(slog.NewMultiHandler(local.Handler(), otelslog.NewHandler("soundcheck", otelslog.WithLoggerProvider(lp))))
	return t, errors.Join(runtime.Start(runtime.WithMeterProvider(t.MeterProvider)), observeCPU(t.MeterProvider))
}

// exporterError names the variables that choose a signal's exporter.
func exporterError(signal string, err error) error {
	name := "OTEL_" + signal + "_EXPORTER"
	return fmt.Errorf("%s=%q, OTEL_EXPORTER_OTLP_PROTOCOL=%q: %w", name, os.Getenv(name), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), err)
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
	return errors.Join(errs...)
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

func newResource(ctx context.Context, name string) (*resource.Resource, error) {
	// In order: later ones win, so the environment has the last word. The
	// process' command line and owner are left out: they can name persons.
	return resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
		resource.WithAttributes(
			attribute.String("service.name", name),
			attribute.String("service.namespace", Namespace),
			attribute.String("service.version", Version()),
			attribute.String("service.instance.id", uuid.NewString()),
		),
		resource.WithFromEnv(),
	)
}

// version is what the linker was told (-X), where the go command finds no repository to
// ask: an image is built from the sources alone.
var version string

// Version is the version of the running program: what it was linked with, or the module's,
// or the commit it was built from, with "-dirty" if files were changed; "devel" if nothing
// is known.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, dirty := "devel", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return revision + dirty
}

package telemetry

import (
	"cmp"
	"context"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"soundcheck/internal/telemetry/environment"
)

// exporters are those that the environment configures.
type exporters struct {
	spans      []trace.SpanExporter
	readers    []metric.Reader
	logs       []sdklog.Exporter
	deliveries []*delivery
	failed     []environment.Ignored // could not be made
}

func newExporters(ctx context.Context, p *retrier) (e exporters) {
	autoexport.WithFallbackMetricProducer(func(context.Context) (metric.Producer, error) { return producer{}, nil })
	e.each("TRACES", func(name string) error {
		if name == "otlp" {
			client := newTraceClient()
			err := client.Start(ctx)
			if err == nil {
				e.spans = append(e.spans, newWireExporter(client, e.delivery(p, "TRACES", name, spanItem), limitOf("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")))
			}
			return err
		}
		spans, err := autoexport.NewSpanExporter(ctx)
		if err == nil {
			e.spans = append(e.spans, spanExporter{spans, e.delivery(p, "TRACES", name, spanItem), limitOf("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")})
		}
		return err
	})
	e.each("METRICS", func(name string) error {
		if name != "otlp" {
			reader, err := autoexport.NewMetricReader(ctx)
			if err == nil {
				e.readers = append(e.readers, reader)
			}
			return err
		}
		metrics, err := newMetricExporter(ctx)
		if err == nil {
			e.readers = append(e.readers, metric.NewPeriodicReader(
				metricExporter{metrics, e.delivery(p, "METRICS", name, metricItem)}, metric.WithProducer(producer{})))
		}
		return err
	})
	e.each("LOGS", func(name string) error {
		records, err := autoexport.NewLogExporter(ctx)
		if err == nil {
			e.logs = append(e.logs, logExporter{records, e.delivery(p, "LOGS", name, logItem), limitOf("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT")})
		}
		return err
	})
	return e
}

// each calls create for each exporter of a signal. The variable is a list; autoexport supports only
// one name.
func (e *exporters) each(signal string, create func(name string) error) {
	variable := "OTEL_" + signal + "_EXPORTER"
	list := cmp.Or(os.Getenv(variable), "otlp")
	defer os.Setenv(variable, list)
	for name := range strings.SplitSeq(list, ",") {
		if name == "none" {
			continue
		}
		os.Setenv(variable, name)
		if err := create(name); err != nil {
			e.failed = append(e.failed, environment.Ignored{Name: variable, Value: name, Reason: err.Error()})
		}
	}
}

func (e *exporters) delivery(p *retrier, signal, exporter, item string) *delivery {
	component := exporter
	if exporter == "otlp" {
		component = map[bool]string{true: "otlp_grpc", false: "otlp_http"}[protocolOf(signal) == "grpc"]
	}
	d := newDelivery(p, item, component+"_"+strings.TrimSuffix(item, "_data_point")+"_exporter")
	e.deliveries = append(e.deliveries, d)
	return d
}

func protocolOf(signal string) string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"))
}

func newTraceClient() otlptrace.Client {
	if protocolOf("TRACES") == "grpc" {
		return otlptracegrpc.NewClient()
	}
	return otlptracehttp.NewClient()
}

// newMetricExporter creates the exporter that autoexport wraps in a reader.
func newMetricExporter(ctx context.Context) (metric.Exporter, error) {
	if protocolOf("METRICS") == "grpc" {
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

// limitOf returns the limit of a signal's attributes: its own or the general one.
func limitOf(variable string) text {
	limit, err := strconv.Atoi(cmp.Or(os.Getenv(variable), os.Getenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")))
	if err != nil {
		return plainText
	}
	return text{limit}
}

// views is one view for all instruments: several matching views would create several streams.
func views(i metric.Instrument) (metric.Stream, bool) {
	for _, v := range []metric.View{dropped("otel.sdk.span.live"), dropped("http.*.request.body.size"), dropped("otel.sdk.exporter.span.inflight"), exportedByOthers, withoutHost} {
		if s, ok := v(i); ok {
			return s, true
		}
	}
	return metric.Stream{}, false
}

// dropped drops metrics that cost time in each span or request and are not used, and the exporter's number of
// spans in flight: it cannot count encoded ones, and would always be 0.
func dropped(name string) metric.View {
	return metric.NewView(metric.Instrument{Name: name}, metric.Stream{Aggregation: metric.AggregationDrop{}})
}

// exportedByOthers drops the exporters' counters: see delivery.
func exportedByOthers(i metric.Instrument) (metric.Stream, bool) {
	if i.Scope.Name == scope {
		return metric.Stream{}, false
	}
	return dropped("otel.sdk.exporter.*.exported")(i)
}

// withoutHost drops the attributes of the Host header, from which a client could create a series per
// port. Our own instrumentation does not set them, and does without the cost of a filter.
func withoutHost(i metric.Instrument) (metric.Stream, bool) {
	if strings.HasPrefix(i.Scope.Name, "soundcheck/") {
		return metric.Stream{}, false
	}
	return metric.NewView(metric.Instrument{Name: "http.server.*"},
		metric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("server.address", "server.port")})(i)
}

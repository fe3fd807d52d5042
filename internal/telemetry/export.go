package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"soundcheck/internal/telemetry/wire"
)

// plainText is for strings that are no attributes: names of spans and events, status descriptions, log
// bodies. No variable sets their limit.
var plainText = text{4096}

// spanExporter exports spans without personal attributes and search terms, with truncated strings.
type spanExporter struct {
	trace.SpanExporter
	*delivery
	text
}

func (e spanExporter) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	out := make([]trace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		out[i] = exportedSpan{s, e.text}
	}
	return deliverParts(ctx, e.delivery, out, sizeOfSpan, e.SpanExporter.ExportSpans)
}

// wireExporter is spanExporter over OTLP: it encodes spans without the messages in between.
type wireExporter struct {
	client otlptrace.Client
	*delivery
	stop sync.Once

	mu    sync.Mutex
	spans *wire.Spans
}

func newWireExporter(client otlptrace.Client, d *delivery, t text) *wireExporter {
	filter := wire.Filter{Text: plainText.string, Attributes: func(list []attribute.KeyValue) []attribute.KeyValue { return t.attributes(redact(list)) }}
	return &wireExporter{client: client, delivery: d, spans: wire.New(filter)}
}

// ExportSpans implements trace.SpanExporter, in parts of maxBytes.
func (e *wireExporter) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	e.spans.Reset()
	for _, s := range spans {
		if e.spans.Add(s); e.spans.Size() > maxBytes && e.spans.Len() > 1 {
			e.spans.Undo()
			errs = append(errs, e.upload(ctx, s.Resource()))
			e.spans.Reset()
			e.spans.Add(s)
		}
	}
	if len(spans) > 0 {
		errs = append(errs, e.upload(ctx, spans[0].Resource()))
	}
	return errors.Join(errs...)
}

// upload exports the encoded spans. A provider's spans have the same resource.
func (e *wireExporter) upload(ctx context.Context, r *resource.Resource) error {
	message := e.spans.Message(r)
	return e.deliver(ctx, e.spans.Len(), func(ctx context.Context) error {
		if err := e.client.UploadTraces(ctx, message); err != nil {
			return fmt.Errorf("traces export: %w", err)
		}
		return nil
	})
}

// Shutdown implements trace.SpanExporter.
func (e *wireExporter) Shutdown(ctx context.Context) (err error) {
	e.stop.Do(func() { err = e.client.Stop(ctx) })
	return err
}

// sizeOfSpan is the approximate size of a span, in bytes.
func sizeOfSpan(s trace.ReadOnlySpan) int {
	n := 200 + len(s.Name()) + len(s.Status().Description) + sizeOf(s.Attributes()...)
	for _, e := range s.Events() {
		n += len(e.Name) + sizeOf(e.Attributes...)
	}
	for _, l := range s.Links() {
		n += l.SpanContext.TraceState().Len() + sizeOf(l.Attributes...)
	}
	return n
}

func sizeOf(list ...attribute.KeyValue) (n int) {
	for _, kv := range list {
		n += len(kv.Key) + 8
		if kv.Value.Type() == attribute.STRING {
			n += len(kv.Value.AsString())
		} else if !(text{}).fitsValue(kv.Value) {
			n += len(kv.Value.String())
		}
	}
	return n
}

// exportedSpan is a span as exported.
type exportedSpan struct {
	trace.ReadOnlySpan
	text text
}

func (s exportedSpan) Name() string { return plainText.string(s.ReadOnlySpan.Name()) }

func (s exportedSpan) Attributes() []attribute.KeyValue {
	return s.text.attributes(redact(s.ReadOnlySpan.Attributes()))
}

func (s exportedSpan) Status() trace.Status {
	st := s.ReadOnlySpan.Status()
	st.Description = plainText.string(st.Description)
	return st
}

func (s exportedSpan) Events() []trace.Event {
	events := append([]trace.Event(nil), s.ReadOnlySpan.Events()...)
	for i, e := range events {
		events[i].Name, events[i].Attributes = plainText.string(e.Name), s.text.attributes(redact(e.Attributes))
	}
	return events
}

func (s exportedSpan) Links() []trace.Link {
	links := append([]trace.Link(nil), s.ReadOnlySpan.Links()...)
	for i, l := range links {
		links[i].Attributes = s.text.attributes(redact(l.Attributes))
	}
	return links
}

// logExporter exports log records with truncated strings.
type logExporter struct {
	sdklog.Exporter
	*delivery
	text
}

func (e logExporter) Export(ctx context.Context, records []sdklog.Record) error {
	out := make([]sdklog.Record, len(records))
	for i, r := range records {
		out[i] = e.record(r)
	}
	return deliverParts(ctx, e.delivery, out, sizeOfRecord, e.Exporter.Export)
}

func sizeOfRecord(r sdklog.Record) int {
	n := 200 + sizeOf(attribute.KeyValue{Value: r.Body()})
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		n += sizeOf(kv)
		return true
	})
	return n
}

// record returns r, or a changed copy.
func (t text) record(r sdklog.Record) sdklog.Record {
	attributes := make([]attribute.KeyValue, 0, r.AttributesLen())
	fit := plainText.fitsValue(r.Body()) && plainText.fits(r.EventName()) && plainText.fits(r.SeverityText())
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		attributes = append(attributes, kv)
		fit = fit && t.fitsValue(kv.Value) && t.fits(string(kv.Key))
		return true
	})
	if fit {
		return r
	}
	r = r.Clone()
	r.SetBody(plainText.value(r.Body()))
	r.SetEventName(plainText.string(r.EventName()))
	r.SetSeverityText(plainText.string(r.SeverityText()))
	r.SetAttributes(t.attributes(attributes)...)
	return r
}

// metricExporter exports metrics with truncated strings.
type metricExporter struct {
	metric.Exporter
	*delivery
}

func (e metricExporter) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	n := 0
	for _, scope := range m.ScopeMetrics {
		for i := range scope.Metrics {
			n += fitPoints(scope.Metrics[i].Data)
		}
	}
	return e.deliver(ctx, n, func(ctx context.Context) error { return e.Exporter.Export(ctx, m) })
}

// fitPoints truncates the strings of a metric's points, and returns the number of points.
func fitPoints(data metricdata.Aggregation) int {
	switch d := data.(type) {
	case metricdata.Gauge[int64]:
		return fitData(d.DataPoints)
	case metricdata.Gauge[float64]:
		return fitData(d.DataPoints)
	case metricdata.Sum[int64]:
		return fitData(d.DataPoints)
	case metricdata.Sum[float64]:
		return fitData(d.DataPoints)
	case metricdata.Histogram[int64]:
		return fitHistogram(d.DataPoints)
	case metricdata.Histogram[float64]:
		return fitHistogram(d.DataPoints)
	case metricdata.ExponentialHistogram[int64]:
		return fitExponential(d.DataPoints)
	case metricdata.ExponentialHistogram[float64]:
		return fitExponential(d.DataPoints)
	}
	return 0 // this SDK creates no Summary
}

func fitData[N int64 | float64](points []metricdata.DataPoint[N]) int {
	for i := range points {
		points[i].Attributes = plainText.set(points[i].Attributes)
		fitExemplars(points[i].Exemplars)
	}
	return len(points)
}

func fitHistogram[N int64 | float64](points []metricdata.HistogramDataPoint[N]) int {
	for i := range points {
		points[i].Attributes = plainText.set(points[i].Attributes)
		fitExemplars(points[i].Exemplars)
	}
	return len(points)
}

func fitExponential[N int64 | float64](points []metricdata.ExponentialHistogramDataPoint[N]) int {
	for i := range points {
		points[i].Attributes = plainText.set(points[i].Attributes)
		fitExemplars(points[i].Exemplars)
	}
	return len(points)
}

// fitExemplars drops filtered attributes: only the trace of an exemplar is used.
func fitExemplars[N int64 | float64](exemplars []metricdata.Exemplar[N]) {
	for i := range exemplars {
		exemplars[i].FilteredAttributes = nil
	}
}

// fitResource returns r with truncated strings.
func fitResource(r *resource.Resource) *resource.Resource {
	return resource.NewWithAttributes(r.SchemaURL(), plainText.attributes(r.Attributes())...)
}

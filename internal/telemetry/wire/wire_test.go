package wire

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

type client struct{ got []*otlp.ResourceSpans }

func (c *client) Start(context.Context) error { return nil }
func (c *client) Stop(context.Context) error  { return nil }
func (c *client) UploadTraces(_ context.Context, s []*otlp.ResourceSpans) error {
	c.got = s
	return nil
}

var same = Filter{Attributes: func(l []attribute.KeyValue) []attribute.KeyValue { return l }, Text: func(s string) string { return s }}

// check compares what Spans encode with what otlptrace sends.
func check(t *testing.T, stubs tracetest.SpanStubs) {
	t.Helper()
	c := new(client)
	if err := otlptrace.NewUnstarted(c).ExportSpans(t.Context(), stubs.Snapshots()); err != nil {
		t.Fatal(err)
	}
	s := New(same)
	for range 2 { // with reused memory
		s.Reset()
		for _, span := range stubs.Snapshots() {
			s.Add(span)
			s.Undo()
			s.Add(span)
		}
		encoded, err := proto.Marshal(s.Message(stubs[0].Resource)[0])
		if err != nil {
			t.Fatal(err)
		}
		got := new(otlp.ResourceSpans)
		if err := proto.Unmarshal(encoded, got); err != nil {
			t.Fatal(err)
		}
		if len(c.got) != 1 || !proto.Equal(got, c.got[0]) {
			t.Errorf("%v\n, want\n%v", got, c.got)
		}
		if s.Len() != len(stubs) || s.Size() == 0 || s.Size() > len(encoded) {
			t.Errorf("%d spans, want %d; %d bytes of %d", s.Len(), len(stubs), s.Size(), len(encoded))
		}
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	state, err := oteltrace.ParseTraceState("a=b,c=d")
	if err != nil {
		t.Fatal(err)
	}
	context := func(n byte, remote bool) oteltrace.SpanContext {
		return oteltrace.NewSpanContext(oteltrace.SpanContextConfig{TraceID: oteltrace.TraceID{n}, SpanID: oteltrace.SpanID{n, n},
			TraceFlags: oteltrace.FlagsSampled, TraceState: state, Remote: remote})
	}
	attributes := []attribute.KeyValue{
		attribute.String("s", "x"), attribute.String("empty", ""), attribute.String("long", strings.Repeat("é", 70_000)), attribute.String("", "no key"),
		attribute.Bool("b", true), attribute.Bool("f", false), attribute.Int("i", -1), attribute.Int("zero", 0), attribute.Int64("max", math.MaxInt64),
		attribute.Float64("d", 1.5), attribute.Float64("nan", math.Inf(1)), attribute.BoolSlice("bs", []bool{true, false}), attribute.Int64Slice("is", []int64{1, -2}),
		attribute.Float64Slice("ds", []float64{0, 2}), attribute.StringSlice("ss", []string{"", "y"}), attribute.StringSlice("none", nil), {Key: "unset"},
		{Key: "map", Value: attribute.MapValue(attribute.Int("n", 1), attribute.String("m", "z"))}, {Key: "list", Value: attribute.SliceValue(attribute.IntValue(1), attribute.StringValue("2"))},
		{Key: "bytes", Value: attribute.ByteSliceValue([]byte{0, 255})},
	}
	r := resource.NewWithAttributes("https://example.com/schema", attribute.String("service.name", "test"), attribute.Int("process.pid", 1))
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	link := trace.Link{SpanContext: context(4, true), Attributes: attributes, DroppedAttributeCount: 2}
	full := tracetest.SpanStub{Name: "full", SpanContext: context(1, false), Parent: context(2, true), SpanKind: oteltrace.SpanKindServer, StartTime: at, EndTime: at.Add(time.Second),
		Attributes: attributes, Events: []trace.Event{{Name: "e", Attributes: attributes, Time: at, DroppedAttributeCount: 3}, {}}, Links: []trace.Link{link, {}},
		Status: trace.Status{Code: codes.Error, Description: "failed"}, DroppedAttributes: 1, DroppedEvents: 2, DroppedLinks: math.MaxInt64, Resource: r,
		InstrumentationScope: instrumentation.Scope{Name: "scope", Version: "1", SchemaURL: "https://example.com/s", Attributes: attribute.NewSet(attribute.Int("x", 1))}}
	stubs := tracetest.SpanStubs{full, {Resource: r, StartTime: at, EndTime: time.Unix(-1, 0)}, full}
	for k := oteltrace.SpanKindUnspecified; k <= oteltrace.SpanKindConsumer; k++ {
		stubs = append(stubs, tracetest.SpanStub{Name: k.String(), SpanKind: k, Resource: r, Status: trace.Status{Code: codes.Ok}, InstrumentationScope: instrumentation.Scope{Name: "other"}})
	}
	check(t, stubs)
	check(t, tracetest.SpanStubs{{Resource: resource.Empty()}})
}

// A filter applies to every name, description and attribute.
func TestFilter(t *testing.T) {
	t.Parallel()
	secret := []attribute.KeyValue{attribute.String("secret", "secret")}
	s := New(Filter{Attributes: func([]attribute.KeyValue) []attribute.KeyValue { return nil }, Text: func(text string) string { return strings.ReplaceAll(text, "secret", "") }})
	stub := tracetest.SpanStub{Name: "secret", Attributes: secret, Events: []trace.Event{{Name: "secret", Attributes: secret}}, Links: []trace.Link{{Attributes: secret}},
		Status: trace.Status{Code: codes.Error, Description: "secret"}}
	s.Add(stub.Snapshot())
	b, err := proto.Marshal(s.Message(resource.Empty())[0])
	if err = errors.Join(err, proto.Unmarshal(b, new(otlp.ResourceSpans))); err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("%q, %v", b, err)
	}
}

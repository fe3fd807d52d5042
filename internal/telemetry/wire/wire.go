// Package wire encodes spans in the binary form of OTLP, without the messages in between that
// otlptrace creates: about 35 objects for the spans of one request. The result is a message that
// has it as unknown fields, which Protocol Buffers copy as they are. So any otlptrace.Client
// sends it.
package wire

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
)

// Filter changes what is exported.
type Filter struct {
	Attributes func([]attribute.KeyValue) []attribute.KeyValue // of spans, events and links
	Text       func(string) string                             // names and descriptions
}

// Spans are encoded spans of one resource. The zero value has none.
type Spans struct {
	filter Filter
	scopes []scope
	n      int
	bytes  int
	out    []byte

	last   *scope // of the last span, and what was before it
	before int
}

type scope struct {
	instrumentation.Scope
	spans []byte
}

// New returns Spans that are changed by f.
func New(f Filter) *Spans { return &Spans{filter: f} }

// Len returns the number of spans.
func (s *Spans) Len() int { return s.n }

// Size returns the size of the spans, in bytes.
func (s *Spans) Size() int { return s.bytes }

// Reset removes the spans. It keeps the memory.
func (s *Spans) Reset() {
	for i := range s.scopes {
		s.scopes[i].spans = s.scopes[i].spans[:0]
	}
	s.n, s.bytes = 0, 0
}

// Add appends a span.
func (s *Spans) Add(span trace.ReadOnlySpan) {
	to, name := (*scope)(nil), span.InstrumentationScope()
	for i := range s.scopes {
		if s.scopes[i].Scope == name {
			to = &s.scopes[i]
			break
		}
	}
	if to == nil {
		s.scopes = append(s.scopes, scope{Scope: name})
		to = &s.scopes[len(s.scopes)-1]
	}
	s.last, s.before = to, len(to.spans)
	to.spans = s.appendSpan(to.spans, span)
	s.n++
	s.bytes += len(to.spans) - s.before
}

// Undo removes the span that Add has just appended.
func (s *Spans) Undo() {
	s.n--
	s.bytes -= len(s.last.spans) - s.before
	s.last.spans = s.last.spans[:s.before]
}

// Message returns the spans of a resource. It is valid until the next call of a method.
func (s *Spans) Message(r *resource.Resource) []*otlp.ResourceSpans {
	b, begun := begin(s.out[:0], 1)
	b = s.appendAttributes(b, 1, r.Attributes())
	b = end(b, begun)
	for _, scope := range s.scopes {
		if len(scope.spans) == 0 {
			continue
		}
		b, begun = begin(b, 2)
		if scope.Scope != (instrumentation.Scope{}) {
			var inner int
			b, inner = begin(b, 1)
			b = appendString(b, 1, scope.Name)
			b = appendString(b, 2, scope.Version)
			b = s.appendAttributes(b, 3, scope.Attributes.ToSlice())
			b = end(b, inner)
		}
		b = append(b, scope.spans...)
		b = appendString(b, 3, scope.SchemaURL)
		b = end(b, begun)
	}
	s.out = appendString(b, 3, r.SchemaURL())
	m := new(otlp.ResourceSpans)
	m.ProtoReflect().SetUnknown(s.out)
	return []*otlp.ResourceSpans{m}
}

// begin appends the tag of a message. Its length is inserted by end.
func begin(b []byte, field protowire.Number) (_ []byte, begun int) {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return append(b, 0), len(b)
}

// end inserts the length of a message, for which begin left one byte.
func end(b []byte, begun int) []byte {
	size := len(b) - begun - 1
	more := protowire.SizeVarint(uint64(size)) - 1
	if more > 0 {
		b = append(b, "\x00\x00\x00\x00\x00\x00\x00\x00\x00"[:more]...)
		copy(b[begun+1+more:], b[begun+1:begun+1+size])
	}
	protowire.AppendVarint(b[:begun], uint64(size))
	return b
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendNumber(b []byte, field protowire.Number, n int) []byte {
	if n <= 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(min(n, math.MaxUint32)))
}

func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	ns := t.UnixNano()
	if ns <= 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), uint64(ns))
}

// appendFlags appends the flags of a span or a link. Parent is the context whose origin they tell.
func appendFlags(b []byte, field protowire.Number, flags oteltrace.TraceFlags, parent oteltrace.SpanContext) []byte {
	v := uint32(flags) | uint32(otlp.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	if parent.IsRemote() {
		v |= uint32(otlp.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	return protowire.AppendFixed32(protowire.AppendTag(b, field, protowire.Fixed32Type), v)
}

// appendSpan appends a span as a field of ScopeSpans, with the fields in order of their numbers.
func (s *Spans) appendSpan(b []byte, span trace.ReadOnlySpan) []byte {
	b, begun := begin(b, 2)
	c, parent := span.SpanContext(), span.Parent()
	trace, id := c.TraceID(), c.SpanID()
	b = appendBytes(b, 1, trace[:])
	b = appendBytes(b, 2, id[:])
	if state := c.TraceState(); state.Len() > 0 {
		b = appendString(b, 3, state.String())
	}
	if id := parent.SpanID(); id.IsValid() {
		b = appendBytes(b, 4, id[:])
	}
	b = appendString(b, 5, s.filter.Text(span.Name()))
	b = appendNumber(b, 6, int(kind(span.SpanKind())))
	b = appendTime(b, 7, span.StartTime())
	b = appendTime(b, 8, span.EndTime())
	b = s.appendAttributes(b, 9, s.filter.Attributes(span.Attributes()))
	b = appendNumber(b, 10, span.DroppedAttributes())
	for _, e := range span.Events() {
		var inner int
		b, inner = begin(b, 11)
		b = appendTime(b, 1, e.Time)
		b = appendString(b, 2, s.filter.Text(e.Name))
		b = s.appendAttributes(b, 3, s.filter.Attributes(e.Attributes))
		b = end(appendNumber(b, 4, e.DroppedAttributeCount), inner)
	}
	b = appendNumber(b, 12, span.DroppedEvents())
	for _, l := range span.Links() {
		var inner int
		b, inner = begin(b, 13)
		trace, id := l.SpanContext.TraceID(), l.SpanContext.SpanID()
		b = appendBytes(b, 1, trace[:])
		b = appendBytes(b, 2, id[:])
		b = s.appendAttributes(b, 4, s.filter.Attributes(l.Attributes))
		b = appendNumber(b, 5, l.DroppedAttributeCount)
		b = end(appendFlags(b, 6, l.SpanContext.TraceFlags(), l.SpanContext), inner)
	}
	b = appendNumber(b, 14, span.DroppedLinks())
	status := span.Status()
	b, inner := begin(b, 15)
	b = appendString(b, 2, s.filter.Text(status.Description))
	switch status.Code {
	case codes.Ok:
		b = appendNumber(b, 3, int(otlp.Status_STATUS_CODE_OK))
	case codes.Error:
		b = appendNumber(b, 3, int(otlp.Status_STATUS_CODE_ERROR))
	}
	b = end(b, inner)
	return end(appendFlags(b, 16, c.TraceFlags(), parent), begun)
}

func kind(k oteltrace.SpanKind) otlp.Span_SpanKind {
	switch k {
	case oteltrace.SpanKindInternal:
		return otlp.Span_SPAN_KIND_INTERNAL
	case oteltrace.SpanKindClient:
		return otlp.Span_SPAN_KIND_CLIENT
	case oteltrace.SpanKindServer:
		return otlp.Span_SPAN_KIND_SERVER
	case oteltrace.SpanKindProducer:
		return otlp.Span_SPAN_KIND_PRODUCER
	case oteltrace.SpanKindConsumer:
		return otlp.Span_SPAN_KIND_CONSUMER
	}
	return otlp.Span_SPAN_KIND_UNSPECIFIED
}

package wire

import (
	"math"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/encoding/protowire"
)

// appendAttributes appends each attribute as a KeyValue.
func (s *Spans) appendAttributes(b []byte, field protowire.Number, list []attribute.KeyValue) []byte {
	for i := range list {
		kv := &list[i]
		var begun int
		b, begun = begin(b, field)
		b = appendString(b, 1, string(kv.Key))
		b = end(s.appendValue(b, 2, kv.Value), begun)
	}
	return b
}

// appendValue appends an AnyValue. Its members are a oneof, and have no default that is omitted.
func (s *Spans) appendValue(b []byte, field protowire.Number, v attribute.Value) []byte {
	b, begun := begin(b, field)
	switch v.Type() {
	case attribute.STRING:
		b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), v.AsString())
	case attribute.BOOL:
		b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), protowire.EncodeBool(v.AsBool()))
	case attribute.INT64:
		b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(v.AsInt64()))
	case attribute.FLOAT64:
		b = protowire.AppendFixed64(protowire.AppendTag(b, 4, protowire.Fixed64Type), math.Float64bits(v.AsFloat64()))
	case attribute.BYTESLICE:
		b = appendBytes(b, 7, v.AsByteSlice())
	case attribute.MAP:
		var inner int
		b, inner = begin(b, 6)
		b = end(s.appendAttributes(b, 1, v.AsMap()), inner)
	case attribute.EMPTY:
	case attribute.BOOLSLICE:
		b = appendList(s, b, v.AsBoolSlice(), attribute.BoolValue)
	case attribute.INT64SLICE:
		b = appendList(s, b, v.AsInt64Slice(), attribute.Int64Value)
	case attribute.FLOAT64SLICE:
		b = appendList(s, b, v.AsFloat64Slice(), attribute.Float64Value)
	case attribute.STRINGSLICE:
		b = appendList(s, b, v.AsStringSlice(), attribute.StringValue)
	case attribute.SLICE:
		b = appendList(s, b, v.AsSlice(), func(v attribute.Value) attribute.Value { return v })
	default: // as otlptrace
		b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), "INVALID")
	}
	return end(b, begun)
}

func appendList[T any](s *Spans, b []byte, list []T, value func(T) attribute.Value) []byte {
	b, begun := begin(b, 5)
	for _, v := range list {
		b = s.appendValue(b, 1, value(v))
	}
	return end(b, begun)
}

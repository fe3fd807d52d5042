package telemetry

import (
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
)

// textLimit is the default maximum length of a string, in characters. Jaeger's storage rejects a
// batch with one value of 65,000 bytes, and a character has up to four.
const textLimit = "4096"

// text makes strings exportable: valid UTF-8, because Protocol Buffers reject a batch with one invalid
// byte, and at most limit characters. A negative limit is none.
type text struct{ limit int }

func (t text) fits(s string) bool {
	return (t.limit < 0 || len(s) <= t.limit || utf8.RuneCountInString(s) <= t.limit) && utf8.ValidString(s)
}

func (t text) string(s string) string {
	if t.fits(s) {
		return s
	}
	// Truncate first: a string can be a megabyte.
	if t.limit >= 0 && len(s) > t.limit*utf8.UTFMax {
		s = s[:t.limit*utf8.UTFMax]
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	n := 0
	for i := range s {
		if n == t.limit {
			return s[:i]
		}
		n++
	}
	return s
}

func (t text) value(v attribute.Value) attribute.Value {
	switch v.Type() {
	case attribute.STRING:
		if s := v.AsString(); !t.fits(s) {
			return attribute.StringValue(t.string(s))
		}
	case attribute.STRINGSLICE:
		list := v.AsStringSlice()
		for i, s := range list {
			list[i] = t.string(s)
		}
		return attribute.StringSliceValue(list)
	case attribute.SLICE:
		list := v.AsSlice()
		for i, e := range list {
			list[i] = t.value(e)
		}
		return attribute.SliceValue(list...)
	case attribute.MAP:
		return attribute.MapValue(t.attributes(v.AsMap())...)
	}
	return v
}

// attributes returns list, or a changed copy.
func (t text) attributes(list []attribute.KeyValue) []attribute.KeyValue {
	copied := false
	for i, kv := range list {
		if t.fitsValue(kv.Value) && t.fits(string(kv.Key)) {
			continue
		}
		if !copied {
			list, copied = append([]attribute.KeyValue(nil), list...), true
		}
		list[i] = attribute.KeyValue{Key: attribute.Key(t.string(string(kv.Key))), Value: t.value(kv.Value)}
	}
	return list
}

// fitsValue reports whether a value needs no copy. Composite values are always copied.
func (t text) fitsValue(v attribute.Value) bool {
	switch v.Type() {
	case attribute.STRING:
		return t.fits(v.AsString())
	case attribute.STRINGSLICE, attribute.SLICE, attribute.MAP:
		return false
	}
	return true
}

func (t text) set(s attribute.Set) attribute.Set {
	for i := s.Iter(); i.Next(); {
		if kv := i.Attribute(); !t.fitsValue(kv.Value) || !t.fits(string(kv.Key)) {
			return attribute.NewSet(t.attributes(s.ToSlice())...)
		}
	}
	return s
}

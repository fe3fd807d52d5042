package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"soundcheck/loadgen/targets"
)

// Think is a think time: fixed, or uniformly distributed.
type Think struct{ From, To time.Duration }

// Set parses 2s or 1s..3s.
func (t *Think) Set(text string) (err error) {
	from, to, ranged := strings.Cut(text, "..")
	if !ranged {
		to = from
	}
	bad := fmt.Errorf("think %q is not a duration or a range of 0s to 1h, as in 2s or 1s..3s", text)
	if t.From, err = time.ParseDuration(from); err != nil {
		return bad
	}
	if t.To, err = time.ParseDuration(to); err != nil || t.From < 0 || t.To < t.From || t.To > maxThink {
		return bad
	}
	return nil
}

// String formats the think time for Set.
func (t *Think) String() string {
	if t.From == t.To {
		return t.From.String()
	}
	return t.From.String() + ".." + t.To.String()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// valueOf returns a scalar of YAML.
func valueOf(v any) (targets.Value, bool) {
	if text, ok := v.(string); ok {
		return targets.Value{Text: text}, true
	}
	switch v.(type) {
	case nil, bool, int, int64, uint64, float64:
		b, err := json.Marshal(v)
		return targets.Value{Text: string(b), Literal: true}, err == nil // else not a number
	}
	return targets.Value{}, false
}

// anyOf returns a value for expressions.
func anyOf(v targets.Value) any {
	if v.Literal {
		if x, err := decode([]byte(v.Text)); err == nil {
			return native(x)
		}
	}
	return v.Text
}

// decode decodes JSON. Integers stay exact: ids are often larger than a float64 can have. Those of more than 64 bits are
// json.Number.
func decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err == nil || d.More() {
		return nil, errors.New("more than one JSON value")
	}
	return exact(v), nil
}

// exact returns v with numbers as int64, or else uint64, or else, if they are no integers, float64.
func exact(v any) any {
	switch x := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(string(x), 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(string(x), 10, 64); err == nil {
			return n
		}
		if !strings.ContainsAny(string(x), ".eE") {
			return x
		}
		f, _ := x.Float64() // infinite if it is too large
		return f
	case []any:
		for i := range x {
			x[i] = exact(x[i])
		}
	case map[string]any:
		for name := range x {
			x[name] = exact(x[name])
		}
	}
	return v
}

// native returns v for expressions, whose numbers have at most 64 bits. It copies what it changes.
func native(v any) any {
	switch x := v.(type) {
	case json.Number:
		f, _ := x.Float64()
		return f
	case []any:
		if slices.ContainsFunc(x, large) {
			list := make([]any, len(x))
			for i := range x {
				list[i] = native(x[i])
			}
			return list
		}
	case map[string]any:
		for _, item := range x {
			if large(item) {
				object := map[string]any{}
				for name := range x {
					object[name] = native(x[name])
				}
				return object
			}
		}
	}
	return v
}

// large reports whether a value has a json.Number.
func large(v any) bool {
	switch x := v.(type) {
	case json.Number:
		return true
	case []any:
		return slices.ContainsFunc(x, large)
	case map[string]any:
		for _, item := range x {
			if large(item) {
				return true
			}
		}
	}
	return false
}

// response is a response whose JSON is decoded once, if something needs it.
type response struct {
	header  http.Header
	body    []byte
	err     error // the body could not be read
	decoded bool
	value   any
	invalid error
}

func (r *response) json() (any, error) {
	if r.err == nil && !r.decoded {
		r.decoded = true
		if r.value, r.invalid = decode(r.body); r.invalid != nil {
			r.invalid = fmt.Errorf("the body is not JSON: %w", r.invalid)
		}
	}
	return r.value, r.failed()
}

func (r *response) failed() error {
	if r.err != nil {
		return r.err
	}
	return r.invalid
}

// literal returns a JSON value.
func literal(v any) (targets.Value, any, error) {
	if text, ok := v.(string); ok {
		return targets.Value{Text: text}, text, nil
	}
	b, err := json.Marshal(v)
	return targets.Value{Text: string(b), Literal: true}, native(v), err
}

// jsonBody encodes a JSON body. A string that is only a placeholder becomes its value, with its type; columns of CSV are
// strings.
func (f *Flow) jsonBody(v any) ([]byte, error) {
	var b bytes.Buffer
	err := f.writeJSON(&b, v)
	return b.Bytes(), err
}

func (f *Flow) writeJSON(b *bytes.Buffer, v any) error {
	switch x := v.(type) {
	case yaml.MapSlice:
		b.WriteByte('{')
		for i, item := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			key, ok := item.Key.(string)
			if !ok {
				key = fmt.Sprint(item.Key)
			}
			if err := f.writeJSON(b, jsonKey(key)); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := f.writeJSON(b, item.Value); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := f.writeJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	case string:
		if placeholder.FindString(x) == x && x != "" && f.typed(strings.TrimSpace(x[2:len(x)-2])) {
			b.WriteString(x)
			return nil
		}
		return f.writeJSON(b, jsonKey(x))
	case jsonKey:
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(string(x)); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // the line feed
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("json: %w", err)
		}
		b.Write(text)
	}
	return nil
}

// jsonKey is a string that stays one.
type jsonKey string

// typed reports whether a variable's values have types: not those of CSV.
func (f *Flow) typed(name string) bool {
	return f.data == nil || !slices.Contains(f.data.Columns, name) || f.data.Typed()
}

package traces

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"soundcheck/internal/jaegerapi"
)

// matches returns the spans for which the filter holds.
func (f Filter) matches(t *trace) (list []*span) {
	for _, s := range t.spans {
		if f.hold(func(c condition) bool { return c.holds(t, s) }) {
			list = append(list, s)
		}
	}
	return list
}

// hold reports whether every term holds.
func (f Filter) hold(holds func(condition) bool) bool {
	for _, t := range f {
		one := func(f Filter) bool { return f.hold(holds) }
		if t.any == nil && !holds(t.condition) || t.any != nil && !slices.ContainsFunc(t.any, one) {
			return false
		}
	}
	return true
}

func (c condition) holds(t *trace, s *span) bool {
	if c.scope == intrinsic && c.key == "duration" {
		return ordered(c.op, float64(time.Duration(s.Duration)*time.Microsecond), float64(c.duration))
	}
	v := c.of(t, s)
	switch c.op {
	case "exists":
		return v != nil
	case "not exists":
		return v == nil
	}
	if v == nil {
		return false
	}
	text := jaegerapi.Tag{Value: v}.Text()
	switch c.op {
	case "contains":
		return strings.Contains(text, c.value)
	case "not contains":
		return !strings.Contains(text, c.value)
	case "=~":
		return c.pattern.MatchString(text)
	case "!~":
		return !c.pattern.MatchString(text)
	}
	if c.number != nil {
		// Long ids that differ can be the same float64.
		if n, err := strconv.ParseFloat(text, 64); err == nil && (slices.Contains(order, c.op) || math.Abs(n) < maxExact) {
			return ordered(c.op, n, *c.number)
		}
	}
	return c.op == "=" && text == c.value || c.op == "!=" && text != c.value
}

func ordered(op string, a, b float64) bool {
	switch op {
	case "=":
		return a == b
	case "!=":
		return a != b
	case ">":
		return a > b
	case ">=":
		return a >= b
	case "<":
		return a < b
	default:
		return a <= b
	}
}

// of returns the value of the key, or nil.
func (c condition) of(t *trace, s *span) any {
	switch c.scope {
	case ofSpan:
		return s.Tags.Get(c.key)
	case ofResource:
		return t.Processes[s.ProcessID].Tags.Get(c.key)
	case anywhere:
		if v := s.Tags.Get(c.key); v != nil {
			return v
		}
		return t.Processes[s.ProcessID].Tags.Get(c.key)
	}
	switch c.key {
	case "service":
		return s.service
	case "name":
		return s.OperationName
	case "kind":
		if kind := s.Tags.Get("span.kind"); kind != nil {
			return kind
		}
		return "internal" // Jaeger leaves it out in some versions
	}
	if s.Failed() {
		return "error"
	} else if s.Tags.Get("otel.status_code") == "OK" {
		return "ok"
	}
	return "unset"
}

// service returns whether a span of a service can match, as far as its name decides that.
func (f Filter) service(name string) bool {
	return f.hold(func(c condition) bool {
		return c.scope != intrinsic || c.key != "service" || c.holds(nil, &span{service: name})
	})
}

// push adds conditions to a query of /api/traces, and returns which. Jaeger compares texts, of
// attributes of spans and resources, for equality; not necessarily of the same span, and it knows no
// alternatives. So its result has every matching trace, and others.
func (f Filter) push(q url.Values) (pushed []string) {
	tags := map[string]string{}
	for _, t := range f {
		c := t.condition
		name, value := c.key, c.value
		switch {
		case t.any != nil:
			continue
		case c.scope == intrinsic && c.key == "duration":
			if c.pushDuration(q) {
				pushed = append(pushed, c.text)
			}
			continue
		case c.op != "=":
			continue
		case c.scope == intrinsic && c.key == "name":
			if q.Get("operation") == "" {
				q.Set("operation", value)
				pushed = append(pushed, c.text)
			}
			continue
		case c.scope == intrinsic && c.key == "status" && value == "error":
			name, value = "error", "true"
		case c.scope == intrinsic || value == "":
			continue
		case c.number != nil && strconv.FormatFloat(*c.number, 'f', -1, 64) != value:
			continue // 1e3 and 1000.0 are 1000
		}
		if _, ok := tags[name]; !ok {
			tags[name] = value
			pushed = append(pushed, c.text)
		}
	}
	if len(tags) > 0 {
		b, err := json.Marshal(tags)
		if err != nil {
			panic(err) // of strings
		}
		q.Set("tags", string(b))
	}
	return pushed
}

// pushDuration adds a bound of the duration, unless the query has a narrower one.
func (c condition) pushDuration(q url.Values) bool {
	narrower := func(name string, better func(d, than time.Duration) bool, d time.Duration) {
		if old, err := time.ParseDuration(q.Get(name)); err != nil || better(d, old) {
			q.Set(name, fmt.Sprintf("%dus", d.Microseconds()))
		}
	}
	if c.op == "=" || strings.HasPrefix(c.op, ">") {
		narrower("minDuration", func(d, than time.Duration) bool { return d > than }, c.duration)
	}
	if c.op == "=" || strings.HasPrefix(c.op, "<") {
		narrower("maxDuration", func(d, than time.Duration) bool { return d < than }, c.duration.Truncate(time.Microsecond)+time.Microsecond)
	}
	return c.op != "!="
}

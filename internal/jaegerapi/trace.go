package jaegerapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Trace is a trace in Jaeger's JSON.
type Trace struct {
	TraceID   string             `json:"traceID"`
	Spans     []*Span            `json:"spans"`
	Processes map[string]Process `json:"processes"`
}

// Process is where spans come from.
type Process struct {
	ServiceName string `json:"serviceName"`
	Tags        Tags   `json:"tags"` // resource attributes
}

// Span is a span in Jaeger's JSON.
type Span struct {
	TraceID       string      `json:"traceID"`
	SpanID        string      `json:"spanID"`
	ParentSpanID  string      `json:"parentSpanID,omitempty"` // of older versions, instead of a reference
	OperationName string      `json:"operationName"`
	References    []Reference `json:"references"`
	StartTime     int64       `json:"startTime"` // µs since 1970
	Duration      int64       `json:"duration"`  // µs
	Tags          Tags        `json:"tags"`      // attributes, with span.kind, error and otel.status_code
	Logs          []Log       `json:"logs"`      // events
	ProcessID     string      `json:"processID"`
	Warnings      []string    `json:"warnings"`
}

// Log is an event of a span. The field "event" has its name.
type Log struct {
	Timestamp int64 `json:"timestamp"` // µs since 1970
	Fields    Tags  `json:"fields"`
}

// Reference is a span that another one refers to: its parent (CHILD_OF), or a link.
type Reference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

// Tag is an attribute.
type Tag struct {
	Key   string `json:"key"`
	Value any    `json:"value"` // string, bool or float64, as in JSON
}

// Tags are attributes.
type Tags []Tag

// Get returns the value of the first tag with one of these keys, or nil.
func (t Tags) Get(keys ...string) any {
	for _, tag := range t {
		if slices.Contains(keys, tag.Key) {
			return tag.Value
		}
	}
	return nil
}

// Text returns the value of the first tag with a key as text, or "".
func (t Tags) Text(key string) string { return Tag{Value: t.Get(key)}.Text() }

// Text returns the value as text, or "" for nil. A JSON number is a float64, even of an id.
func (t Tag) Text() string {
	switch v := t.Value.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// Service returns the name of the service that sent a span.
func (t *Trace) Service(s *Span) string { return t.Processes[s.ProcessID].ServiceName }

// Parent returns the id of a span's parent, or "". A link is FOLLOWS_FROM, even one to a span
// of the same trace.
func (t *Trace) Parent(s *Span) string {
	for _, r := range s.References {
		if r.RefType == "CHILD_OF" && SameID(r.TraceID, t.TraceID) {
			return r.SpanID
		}
	}
	return s.ParentSpanID
}

// Start returns when the span began.
func (s *Span) Start() time.Time { return time.UnixMicro(s.StartTime) }

// End returns when the span ended.
func (s *Span) End() time.Time { return time.UnixMicro(s.StartTime + s.Duration) }

// Failed reports whether the span's status is an error.
func (s *Span) Failed() bool {
	return s.Tags.Text("error") == "true" || s.Tags.Get("otel.status_code") == "ERROR"
}

// SameID compares ids of traces. Jaeger writes those whose first half is 0 without it.
func SameID(a, b string) bool { return strings.TrimLeft(a, "0") == strings.TrimLeft(b, "0") }

package traces

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"soundcheck/console/otlp"
	"soundcheck/internal/jaegerapi"
)

// The parts of a request in OTLP's JSON form that the page shows. As the protocol wants, unknown
// fields are ignored.
type (
	otlpRequest struct {
		ResourceSpans []struct {
			Resource struct {
				Attributes []otlp.Attribute `json:"attributes"`
			} `json:"resource"`
			ScopeSpans []struct {
				Scope struct {
					Name    string `json:"name"`
					Version string `json:"version"`
				} `json:"scope"`
				Spans []otlpSpan `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"resourceSpans"`
	}
	otlpSpan struct {
		TraceID    string           `json:"traceId"`
		SpanID     string           `json:"spanId"`
		Parent     string           `json:"parentSpanId"`
		Name       string           `json:"name"`
		Kind       otlpEnum         `json:"kind"`
		Start      otlpTime         `json:"startTimeUnixNano"`
		End        otlpTime         `json:"endTimeUnixNano"`
		Attributes []otlp.Attribute `json:"attributes"`
		Events     []struct {
			Time       otlpTime         `json:"timeUnixNano"`
			Name       string           `json:"name"`
			Attributes []otlp.Attribute `json:"attributes"`
		} `json:"events"`
		Links []struct {
			TraceID string `json:"traceId"`
			SpanID  string `json:"spanId"`
		} `json:"links"`
		Status struct {
			Code    otlpEnum `json:"code"`
			Message string   `json:"message"`
		} `json:"status"`
	}
	// otlpTime is a number, or a text with one, as JavaScript cannot represent it.
	otlpTime struct{ text string }
	// otlpEnum is a number, or the name of a value, as some programs write.
	otlpEnum struct{ text string }
)

func (t *otlpTime) UnmarshalJSON(b []byte) error { t.text = strings.Trim(string(b), `"`); return nil }
func (e *otlpEnum) UnmarshalJSON(b []byte) error { e.text = strings.Trim(string(b), `"`); return nil }

// micros returns the time in µs since 1970, and the nanoseconds.
func (t otlpTime) micros() (us, ns int64, ok bool) {
	ns, err := strconv.ParseInt(t.text, 10, 64)
	return ns / 1000, ns, err == nil && ns > 0
}

// spanKinds and statusCodes are the values of the protocol's enumerations, in its order.
var (
	spanKinds   = []string{"unspecified", "internal", "server", "client", "producer", "consumer"}
	statusCodes = []string{"unset", "ok", "error"}
)

// of returns the value: its name without the prefix, in small letters. Missing is the first.
func (e otlpEnum) of(names []string, prefix string) (string, bool) {
	if n, err := strconv.Atoi(cmp.Or(e.text, "0")); err == nil && n >= 0 && n < len(names) {
		return names[n], true
	}
	for _, name := range names {
		if e.text == prefix+strings.ToUpper(name) {
			return name, true
		}
	}
	return "", false
}

// otlp adds the spans of a request.
func (r *fileReader) otlp(d document, path string, request otlpRequest) error {
	for i, resource := range request.ResourceSpans {
		tags := tagsOf(resource.Resource.Attributes)
		process := jaegerapi.Process{ServiceName: cmp.Or(tags.Text("service.name"), "unknown_service")}
		for _, t := range tags {
			if t.Key != "service.name" {
				process.Tags = append(process.Tags, t)
			}
		}
		b, err := json.Marshal(process)
		if err != nil {
			return r.wrong(d, "%s[%d].resource: %v", path, i, err)
		}
		for k, scope := range resource.ScopeSpans {
			for n, s := range scope.Spans {
				field := fmt.Sprintf("%s[%d].scopeSpans[%d].spans[%d]", path, i, k, n)
				span, problem := s.jaeger()
				if problem != "" {
					return r.wrong(d, "%s.%s", field, problem)
				}
				for _, t := range []jaegerapi.Tag{{Key: "otel.scope.name", Value: scope.Scope.Name}, {Key: "otel.scope.version", Value: scope.Scope.Version}} {
					if t.Value != "" {
						span.Tags = append(span.Tags, t)
					}
				}
				r.add(span, process, string(b))
			}
		}
	}
	return nil
}

// add adds a span to its trace. A process is the same if all of it is: known is its JSON.
func (r *fileReader) add(s *jaegerapi.Span, p jaegerapi.Process, known string) {
	t := r.byID[s.TraceID]
	if t == nil {
		t = &jaegerapi.Trace{TraceID: s.TraceID, Processes: map[string]jaegerapi.Process{}}
		r.byID[s.TraceID] = t
		r.traces = append(r.traces, t)
	}
	key := s.TraceID + known
	if r.processes[key] == "" {
		r.processes[key] = fmt.Sprint("p", len(t.Processes)+1)
		t.Processes[r.processes[key]] = p
	}
	s.ProcessID = r.processes[key]
	t.Spans = append(t.Spans, s)
}

// jaeger converts a span, with the tags that Jaeger adds. The problem starts with a field's name.
func (s otlpSpan) jaeger() (_ *jaegerapi.Span, problem string) {
	kind, knownKind := s.Kind.of(spanKinds, "SPAN_KIND_")
	status, knownStatus := s.Status.Code.of(statusCodes, "STATUS_CODE_")
	start, startNano, okStart := s.Start.micros()
	_, endNano, okEnd := s.End.micros()
	switch {
	case len(s.TraceID) != 32 || !hexadecimal(s.TraceID, 32):
		return nil, fmt.Sprintf("traceId: %q is not 32 hexadecimal digits", s.TraceID)
	case len(s.SpanID) != 16 || !hexadecimal(s.SpanID, 16):
		return nil, fmt.Sprintf("spanId: %q is not 16 hexadecimal digits", s.SpanID)
	case s.Parent != "" && (len(s.Parent) != 16 || strings.Trim(strings.ToLower(s.Parent), "0123456789abcdef") != ""):
		return nil, fmt.Sprintf("parentSpanId: %q is not 16 hexadecimal digits", s.Parent)
	case !knownKind:
		return nil, fmt.Sprintf("kind: %q is not 0 to 5", s.Kind.text)
	case !knownStatus:
		return nil, fmt.Sprintf("status.code: %q is not 0 to 2", s.Status.Code.text)
	case !okStart:
		return nil, fmt.Sprintf("startTimeUnixNano: %q is not a time in ns since 1970", s.Start.text)
	case !okEnd:
		return nil, fmt.Sprintf("endTimeUnixNano: %q is not a time in ns since 1970", s.End.text)
	}
	id := strings.ToLower(s.TraceID)
	span := &jaegerapi.Span{TraceID: id, SpanID: strings.ToLower(s.SpanID), OperationName: s.Name, StartTime: start, Duration: (endNano - startNano) / 1000, Tags: tagsOf(s.Attributes)}
	if endNano < startNano {
		span.Duration, span.Warnings = 0, []string{"Ends before it starts: shown without length."}
	}
	if strings.Trim(s.Parent, "0") != "" {
		span.References = append(span.References, jaegerapi.Reference{RefType: "CHILD_OF", TraceID: id, SpanID: strings.ToLower(s.Parent)})
	}
	for _, l := range s.Links {
		span.References = append(span.References, jaegerapi.Reference{RefType: "FOLLOWS_FROM", TraceID: strings.ToLower(l.TraceID), SpanID: strings.ToLower(l.SpanID)})
	}
	if kind != "unspecified" {
		span.Tags = append(span.Tags, jaegerapi.Tag{Key: "span.kind", Value: kind})
	}
	if status != "unset" {
		span.Tags = append(span.Tags, jaegerapi.Tag{Key: "otel.status_code", Value: strings.ToUpper(status)})
	}
	if status == "error" {
		span.Tags = append(span.Tags, jaegerapi.Tag{Key: "error", Value: true})
	}
	if s.Status.Message != "" {
		span.Tags = append(span.Tags, jaegerapi.Tag{Key: "otel.status_description", Value: s.Status.Message})
	}
	for i, e := range s.Events {
		at, _, ok := e.Time.micros()
		if !ok {
			return nil, fmt.Sprintf("events[%d].timeUnixNano: %q is not a time in ns since 1970", i, e.Time.text)
		}
		span.Logs = append(span.Logs, jaegerapi.Log{Timestamp: at, Fields: append(jaegerapi.Tags{{Key: "event", Value: e.Name}}, tagsOf(e.Attributes)...)})
	}
	return span, ""
}

// maxExact is the first integer that JavaScript cannot represent.
const maxExact = 1 << 53

func tagsOf(list []otlp.Attribute) (tags jaegerapi.Tags) {
	for _, a := range list {
		v := a.Value.Plain()
		if n, ok := v.(json.Number); ok {
			if i, err := n.Int64(); err != nil || i >= maxExact || i <= -maxExact {
				v = n.String()
			}
		}
		tags = append(tags, jaegerapi.Tag{Key: a.Key, Value: v})
	}
	return tags
}

package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// jaeger is Jaeger's query API.
type jaeger struct{ backend }

type tag struct {
	Key   string
	Value any
}

// tags are attributes.
type tags []tag

func (t tags) get(key string) string {
	for _, kv := range t {
		if kv.Key == key {
			return text(kv.Value)
		}
	}
	return ""
}

// text is a value as it is written; a JSON number is a float64, also of an id.
func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// reference is a span that another one refers to.
type reference struct{ RefType, TraceID, SpanID string }

// span is one span as Jaeger's API gives it.
type span struct {
	TraceID       string
	SpanID        string
	OperationName string
	References    []reference
	StartTime     int64 // µs since 1970
	Duration      int64 // µs
	Tags          tags
	Logs          []struct{ Fields tags }
	ProcessID     string

	service  string
	resource tags
}

func (s *span) parent() string {
	for _, r := range s.References {
		if r.RefType == "CHILD_OF" && r.TraceID == s.TraceID {
			return r.SpanID
		}
	}
	return ""
}

func (s *span) kind() string { return s.Tags.get("span.kind") }
func (s *span) isError() bool {
	return s.Tags.get("error") == "true" || s.Tags.get("otel.status_code") == "ERROR"
}
func (s *span) status() int    { n, _ := strconv.Atoi(s.Tags.get("http.response.status_code")); return n }
func (s *span) end() time.Time { return time.UnixMicro(s.StartTime + s.Duration) }
func (s *span) is(service, kind string) bool {
	return s.service == service && s.kind() == kind
}
func (s *span) String() string { return fmt.Sprintf("%s %s %q", s.service, s.kind(), s.OperationName) }

// traceOf is the spans of a trace.
type traceOf []*span

// root returns the first span without a parent, or nil.
func (t traceOf) root() *span {
	if i := slices.IndexFunc(t, func(s *span) bool { return s.parent() == "" }); i >= 0 {
		return t[i]
	}
	return nil
}

type traceAnswer struct {
	Data []struct {
		Spans     []*span
		Processes map[string]struct {
			ServiceName string
			Tags        tags
		}
	}
}

func (a traceAnswer) traces() []traceOf {
	var all []traceOf
	for _, t := range a.Data {
		for _, s := range t.Spans {
			p := t.Processes[s.ProcessID]
			s.service, s.resource = p.ServiceName, p.Tags
		}
		slices.SortFunc(t.Spans, func(x, y *span) int { return cmp.Compare(x.StartTime, y.StartTime) })
		all = append(all, t.Spans)
	}
	return all
}

// trace returns a trace's spans that are stored so far; none if it is not known.
func (j *jaeger) trace(ctx context.Context, id string) (traceOf, error) {
	body, status, err := j.get(ctx, "/api/traces/"+url.PathEscape(id), nil)
	if status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var a traceAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("trace %s of %s is no JSON as expected: %w", id, j.name, err)
	}
	if t := a.traces(); len(t) > 0 {
		return t[0], nil
	}
	return nil, nil
}

// parallel is how many traces are asked for at a time.
const parallel = 4

// each asks for traces, several at a time, and tells done each in turn. It returns the
// first error.
func (j *jaeger) each(ctx context.Context, ids []string, done func(id string, t traceOf)) error {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		first error
	)
	todo := make(chan string)
	for range parallel {
		wg.Go(func() {
			for id := range todo {
				t, err := j.trace(ctx, id)
				mu.Lock()
				if err == nil {
					done(id, t)
				}
				first = cmp.Or(first, err)
				mu.Unlock()
			}
		})
	}
	for _, id := range ids {
		mu.Lock()
		stop := first != nil
		mu.Unlock()
		if stop {
			break
		}
		todo <- id
	}
	close(todo)
	wg.Wait()
	return first
}

// search asks for traces in which a service has a span, and returns at most limit.
func (j *jaeger) search(ctx context.Context, service string, more url.Values, from, to time.Time, limit int) ([]traceOf, error) {
	q := url.Values{"service": {service}, "start": {fmt.Sprint(from.UnixMicro())}, "end": {fmt.Sprint(to.UnixMicro())}, "limit": {fmt.Sprint(limit)}}
	for k, v := range more {
		q[k] = v
	}
	var a traceAnswer
	if err := j.getJSON(ctx, "/api/traces", q, &a); err != nil {
		return nil, err
	}
	return a.traces(), nil
}

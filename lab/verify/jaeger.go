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

	"golang.org/x/sync/errgroup"
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
	if i := slices.IndexFunc(t, func(kv tag) bool { return kv.Key == key }); i >= 0 {
		return text(t[i].Value)
	}
	return ""
}

// text formats a value; a JSON number is a float64, even an ID.
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

// ask returns the traces of a response, or its status and an error.
func (j *jaeger) ask(ctx context.Context, path string, query url.Values) (all []traceOf, status int, err error) {
	var a struct {
		Data []struct {
			Spans     traceOf
			Processes map[string]struct {
				ServiceName string
				Tags        tags
			}
		}
	}
	body, status, err := j.get(ctx, path, query)
	if err != nil {
		return nil, status, err
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, status, fmt.Errorf("the response of %s to %s is not the expected JSON: %w", j.name, path, err)
	}
	for _, t := range a.Data {
		for _, s := range t.Spans {
			p := t.Processes[s.ProcessID]
			s.service, s.resource = p.ServiceName, p.Tags
		}
		slices.SortFunc(t.Spans, func(x, y *span) int { return cmp.Compare(x.StartTime, y.StartTime) })
		all = append(all, t.Spans)
	}
	return all, status, nil
}

// trace returns the spans of a trace that are stored so far.
func (j *jaeger) trace(ctx context.Context, id string) (traceOf, error) {
	list, status, err := j.ask(ctx, "/api/traces/"+url.PathEscape(id), nil)
	if status == http.StatusNotFound {
		return nil, nil
	}
	if len(list) == 0 {
		return nil, err
	}
	return list[0], err
}

// parallel is the max number of traces requested at a time.
const parallel = 4

// each requests traces, several at a time, and calls done with each in turn. It stops at
// the first error and returns it.
func (j *jaeger) each(ctx context.Context, ids []string, done func(id string, t traceOf)) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, id := range ids {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t, err := j.trace(ctx, id)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done(id, t)
			return nil
		})
	}
	return g.Wait()
}

// search returns at most limit traces in which a service has a span. Tags, if
// not empty, are attributes of the span or its resource, as JSON.
func (j *jaeger) search(ctx context.Context, service, tags string, from, to time.Time, limit int) ([]traceOf, error) {
	q := url.Values{"service": {service}, "start": {fmt.Sprint(from.UnixMicro())}, "end": {fmt.Sprint(to.UnixMicro())}, "limit": {fmt.Sprint(limit)}}
	if tags != "" {
		q.Set("tags", tags)
	}
	list, _, err := j.ask(ctx, "/api/traces", q)
	return list, err
}

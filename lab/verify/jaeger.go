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

	"soundcheck/internal/jaegerapi"
)

// jaeger is Jaeger's query API.
type jaeger struct{ backend }

// span is one span with what its trace says about it.
type span struct {
	*jaegerapi.Span
	service  string
	parent   string // id of the parent span; "": none
	resource jaegerapi.Tags
}

func (s *span) kind() string { return s.Tags.Text("span.kind") }
func (s *span) status() int  { n, _ := strconv.Atoi(s.Tags.Text("http.response.status_code")); return n }
func (s *span) is(service, kind string) bool {
	return s.service == service && s.kind() == kind
}
func (s *span) String() string { return fmt.Sprintf("%s %s %q", s.service, s.kind(), s.OperationName) }

// traceOf is the spans of a trace.
type traceOf []*span

// root returns the first span without a parent, or nil.
func (t traceOf) root() *span {
	if i := slices.IndexFunc(t, func(s *span) bool { return s.parent == "" }); i >= 0 {
		return t[i]
	}
	return nil
}

// ask returns the traces of a response, or its status and an error.
func (j *jaeger) ask(ctx context.Context, path string, query url.Values) (all []traceOf, status int, err error) {
	var a struct{ Data []*jaegerapi.Trace }
	body, status, err := j.get(ctx, path, query)
	if err != nil {
		return nil, status, err
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, status, fmt.Errorf("the response of %s to %s is not the expected JSON: %w", j.name, path, err)
	}
	for _, t := range a.Data {
		var spans traceOf
		for _, sp := range t.Spans {
			spans = append(spans, &span{sp, t.Service(sp), t.Parent(sp), t.Processes[sp.ProcessID].Tags})
		}
		slices.SortFunc(spans, func(x, y *span) int { return cmp.Compare(x.StartTime, y.StartTime) })
		all = append(all, spans)
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

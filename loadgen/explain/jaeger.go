package explain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"

	"soundcheck/internal/jaegerapi"
)

// Jaeger is the query API of a Jaeger.
type Jaeger struct {
	URL    string // without a final slash
	Client *http.Client
}

func (j Jaeger) api() jaegerapi.Client { return jaegerapi.Client(j) }

// Reach returns an error if no Jaeger answers.
func (j Jaeger) Reach(ctx context.Context) error {
	_, err := j.api().Services(ctx)
	return err
}

// pageMark is in the front page of a Jaeger that has pages: not all are built with them.
const pageMark = "jaeger-ui-root"

// console is what the lab's console is called. It passes on the API of a Jaeger, and has
// pages of its own.
const console = "console"

// Page returns the address of a trace's page, to which its id belongs; where nobody has
// pages, of its JSON.
func (j Jaeger) Page(ctx context.Context) string {
	var status struct{ Service string }
	if err := j.api().Get(ctx, "/status", nil, &status); err == nil && status.Service == console {
		return j.URL + "/trace/"
	}
	if bytes.Contains(j.front(ctx), []byte(pageMark)) {
		return j.URL + "/trace/"
	}
	return j.URL + "/api/traces/"
}

// front returns the front page, or the beginning of a long one.
func (j Jaeger) front(ctx context.Context) []byte {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.URL+"/", nil)
	if err != nil {
		return nil
	}
	resp, err := j.Client.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	return b
}

// Traces returns the spans that Jaeger has so far of some traces, by their ids: nothing of
// one that it does not know.
func (j Jaeger) Traces(ctx context.Context, ids []string) (map[string][]Span, error) {
	list, err := j.api().Search(ctx, url.Values{"traceID": ids})
	var status *jaegerapi.Error
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	traces := map[string][]Span{}
	for _, t := range list {
		i := slices.IndexFunc(ids, func(id string) bool { return jaegerapi.SameID(id, t.TraceID) })
		if i < 0 {
			continue
		}
		for _, s := range t.Spans {
			traces[ids[i]] = append(traces[ids[i]], Span{ID: s.SpanID, Name: s.OperationName, Service: t.Service(s), Parent: t.Parent(s),
				Kind: s.Tags.Text("span.kind"), Start: s.Start(), End: s.End()})
		}
	}
	return traces, nil
}

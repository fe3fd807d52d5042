package explain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"

	"soundcheck/internal/criticalpath"
	"soundcheck/internal/jaegerapi"
)

// Jaeger is a client of Jaeger's query API.
type Jaeger struct {
	URL    string // without a trailing slash
	Client *http.Client
}

func (j Jaeger) api() jaegerapi.Client { return jaegerapi.Client(j) }

// Reach returns an error if Jaeger does not respond.
func (j Jaeger) Reach(ctx context.Context) error {
	_, err := j.api().Services(ctx)
	return err
}

// pageMark is in the front page of a Jaeger that is built with its UI.
const pageMark = "jaeger-ui-root"

// console is the service name of the lab's console. It proxies Jaeger's API, and has its own
// trace pages.
const console = "console"

// Page returns the base URL of trace pages, to which a trace id is appended; without pages,
// that of the traces' JSON.
func (j Jaeger) Page(ctx context.Context) string {
	if j.Console(ctx) {
		return j.URL + "/trace/"
	}
	if bytes.Contains(j.front(ctx), []byte(pageMark)) {
		return j.URL + "/trace/"
	}
	return j.URL + "/api/traces/"
}

// Console reports whether the lab's console is at the URL.
func (j Jaeger) Console(ctx context.Context) bool {
	var status struct{ Service string }
	return j.api().Get(ctx, "/status", nil, &status) == nil && status.Service == console
}

// front returns the front page, up to 64 KiB.
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

// Traces returns the spans of traces so far, by trace id, without unknown traces.
func (j Jaeger) Traces(ctx context.Context, ids []string) (map[string][]criticalpath.Span, error) {
	list, err := j.api().Search(ctx, url.Values{"traceID": ids})
	var status *jaegerapi.Error
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	traces := map[string][]criticalpath.Span{}
	for _, t := range list {
		i := slices.IndexFunc(ids, func(id string) bool { return jaegerapi.SameID(id, t.TraceID) })
		if i < 0 {
			continue
		}
		traces[ids[i]] = append(traces[ids[i]], criticalpath.Spans(t)...)
	}
	return traces, nil
}

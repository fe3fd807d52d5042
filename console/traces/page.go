package traces

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"soundcheck/internal/criticalpath"
	"soundcheck/internal/jaegerapi"
)

// Page is a trace for the page that shows it.
type Page struct {
	Trace any `json:"trace"` // in Jaeger's JSON
	// Critical is the critical path of the first root, latest part first.
	Critical []CriticalPart `json:"critical"`
}

// CriticalPart is a part of the critical path; times are µs since 1970.
type CriticalPart struct {
	Span string `json:"span"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
}

// ErrNotFound means that Jaeger does not have the trace.
var ErrNotFound = errors.New("trace not found")

// Page returns a trace with everything that Jaeger's JSON has of it.
func (j Jaeger) Page(ctx context.Context, id string) (Page, error) {
	var body struct{ Data []json.RawMessage }
	path := "/api/traces/" + url.PathEscape(id)
	if err := j.api().Get(ctx, path, nil, &body); err != nil {
		return Page{}, err
	}
	if len(body.Data) == 0 {
		return Page{}, ErrNotFound
	}
	var t jaegerapi.Trace
	if err := json.Unmarshal(body.Data[0], &t); err != nil {
		return Page{}, fmt.Errorf("read the trace of %s: %w", path, err)
	}
	return Page{body.Data[0], critical(&t)}, nil
}

// OTLP returns a trace as OTLP JSON, from Jaeger's API v3.
func (j Jaeger) OTLP(ctx context.Context, id string) ([]byte, error) {
	var body struct {
		Result json.RawMessage `json:"result"`
	}
	if err := j.api().Get(ctx, "/api/v3/traces/"+url.PathEscape(id), nil, &body); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(body.Result, []byte("{")) {
		return nil, ErrNotFound
	}
	return body.Result, nil
}

func critical(t *jaegerapi.Trace) []CriticalPart {
	spans := criticalpath.Spans(t)
	root, _ := criticalpath.Root(spans)
	parts := []CriticalPart{}
	for _, p := range criticalpath.Path(spans, root) {
		parts = append(parts, CriticalPart{p.Span.ID, p.From.UnixMicro(), p.To.UnixMicro()})
	}
	return parts
}

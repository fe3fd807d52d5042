package explain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Jaeger is the query API of a Jaeger.
type Jaeger struct {
	URL    string // without a final slash
	Client *http.Client
}

// maxTraces is how much of a response is read.
const maxTraces = 256 << 20

// Reach returns an error if no Jaeger answers.
func (j Jaeger) Reach(ctx context.Context) error {
	var services struct{ Data []string }
	_, err := j.get(ctx, "/api/services", &services)
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
	if found, err := j.get(ctx, "/status", &status); err == nil && found && status.Service == console {
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
	var answer struct {
		Data []struct {
			TraceID string
			Spans   []struct {
				SpanID        string
				OperationName string
				References    []struct{ RefType, TraceID, SpanID string }
				StartTime     int64 // µs since 1970
				Duration      int64 // µs
				Tags          []struct {
					Key   string
					Value any
				}
				ProcessID string
			}
			Processes map[string]struct{ ServiceName string }
		}
	}
	if found, err := j.get(ctx, "/api/traces?"+url.Values{"traceID": ids}.Encode(), &answer); err != nil || !found {
		return nil, err
	}
	traces := map[string][]Span{}
	for _, t := range answer.Data {
		i := slices.IndexFunc(ids, func(id string) bool { return sameID(id, t.TraceID) })
		if i < 0 {
			continue
		}
		for _, s := range t.Spans {
			span := Span{ID: s.SpanID, Name: s.OperationName, Service: t.Processes[s.ProcessID].ServiceName,
				Start: time.UnixMicro(s.StartTime), End: time.UnixMicro(s.StartTime + s.Duration)}
			for _, r := range s.References {
				if r.RefType == "CHILD_OF" && sameID(r.TraceID, t.TraceID) {
					span.Parent = r.SpanID
				}
			}
			for _, tag := range s.Tags {
				if tag.Key == "span.kind" {
					span.Kind = fmt.Sprint(tag.Value)
				}
			}
			traces[ids[i]] = append(traces[ids[i]], span)
		}
	}
	return traces, nil
}

// sameID compares ids of traces. Jaeger writes those whose first half is 0 without it.
func sameID(a, b string) bool { return strings.TrimLeft(a, "0") == strings.TrimLeft(b, "0") }

// get reads a JSON answer. Found is false for a 404.
func (j Jaeger) get(ctx context.Context, path string, into any) (found bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.URL+path, nil)
	if err != nil {
		return false, err
	}
	resp, err := j.Client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	b, err := read(resp.Body, maxTraces)
	switch {
	case err != nil:
		return false, fmt.Errorf("%s%.80s: %w", j.URL, path, err)
	case resp.StatusCode == http.StatusNotFound:
		return false, nil
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("%s%s answered %s", j.URL, path, resp.Status)
	case !strings.Contains(resp.Header.Get("Content-Type"), "json"):
		return false, fmt.Errorf("%s%s answered %q: that is no Jaeger", j.URL, path, resp.Header.Get("Content-Type"))
	}
	if err := json.Unmarshal(b, into); err != nil {
		return false, fmt.Errorf("%s%s: %w", j.URL, path, err)
	}
	return true, nil
}

// read reads a response of at most so many bytes.
func read(body io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("the response is larger than %d MiB", limit>>20)
	}
	return b, err
}

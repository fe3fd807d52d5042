package traces

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Jaeger is the query API of a Jaeger.
type Jaeger struct {
	URL    *url.URL
	Client *http.Client
}

// ResponseError is an error response of Jaeger itself.
type ResponseError struct {
	Status int
	Text   string
}

func (r *ResponseError) Error() string { return r.Text }

// maxAnswer is how much of an answer is read: 1500 traces have some ten MB.
const maxAnswer = 256 << 20

func (j Jaeger) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	u := j.URL.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := j.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read Jaeger's answer: %w", err)
	case len(b) > maxAnswer:
		return nil, fmt.Errorf("Jaeger's answer is larger than %d MiB: ask for less", maxAnswer>>20)
	case resp.StatusCode != http.StatusOK:
		var said struct{ Errors []struct{ Msg string } }
		if json.Unmarshal(b, &said) == nil && len(said.Errors) > 0 {
			return nil, &ResponseError{resp.StatusCode, said.Errors[0].Msg}
		}
		return nil, &ResponseError{resp.StatusCode, fmt.Sprintf("Jaeger: %s: %.300s", resp.Status, b)}
	}
	return b, nil
}

// Search returns the traces that Jaeger's /api/traces finds, in its order.
func (j Jaeger) Search(ctx context.Context, query url.Values) ([]Summary, error) {
	list, err := j.search(ctx, query)
	if err != nil {
		return nil, err
	}
	found := make([]Summary, 0, len(list))
	for _, t := range list {
		if s, ok := t.summary(); ok {
			found = append(found, s)
		}
	}
	return found, nil
}

func (j Jaeger) search(ctx context.Context, query url.Values) ([]*trace, error) {
	b, err := j.get(ctx, "/api/traces", query)
	if err != nil {
		return nil, err
	}
	list, err := read(b)
	if err != nil {
		return nil, fmt.Errorf("read Jaeger's answer: %w", err)
	}
	return list, nil
}

// Map is who calls whom, counted in a sample of traces.
type Map struct {
	Services []string `json:"services"` // that have sent spans
	Traces   int      `json:"traces"`   // in the sample
	Slices   int      `json:"slices"`   // of the time, each with its own part of the sample
	PerSlice int      `json:"per_slice"`
	Edges    []Edge   `json:"edges"`
}

// The sample: so many of the newest traces of each service in each part of the time, a few
// searches at once.
const (
	slicesOfTime = 3
	perSlice     = 30
	atOnce       = 4
)

// Map samples traces from start to end. Jaeger's own answer (/api/dependencies) is made, for
// the lab's storage, of the newest 100 traces at most, and lacks services that were quiet
// meanwhile.
func (j Jaeger) Map(ctx context.Context, start, end time.Time) (Map, error) {
	m := Map{Slices: slicesOfTime, PerSlice: perSlice}
	b, err := j.get(ctx, "/api/services", nil)
	if err != nil {
		return m, err
	}
	var services struct{ Data []string }
	if err := json.Unmarshal(b, &services); err != nil {
		return m, fmt.Errorf("read Jaeger's answer: %w", err)
	}
	m.Services = append([]string{}, services.Data...)
	slices.Sort(m.Services)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	var mu sync.Mutex
	byID := map[string]*trace{}
	part := end.Sub(start) / slicesOfTime
	for _, service := range m.Services {
		for i := range slicesOfTime {
			from := start.Add(time.Duration(i) * part)
			group.Go(func() error {
				list, err := j.search(ctx, url.Values{"service": {service}, "limit": {strconv.Itoa(perSlice)},
					"start": {strconv.FormatInt(from.UnixMicro(), 10)}, "end": {strconv.FormatInt(from.Add(part).UnixMicro(), 10)}})
				mu.Lock()
				defer mu.Unlock()
				for _, t := range list {
					byID[t.TraceID] = t
				}
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return m, err
	}
	sample := slices.SortedFunc(maps.Values(byID), func(a, b *trace) int { return cmp.Compare(a.TraceID, b.TraceID) })
	m.Traces, m.Edges = len(sample), edges(sample)
	return m, nil
}

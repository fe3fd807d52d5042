package traces

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"soundcheck/internal/jaegerapi"
)

// Jaeger is the query API of a Jaeger.
type Jaeger struct {
	URL    *url.URL
	Client *http.Client
}

func (j Jaeger) api() jaegerapi.Client {
	return jaegerapi.Client{URL: strings.TrimSuffix(j.URL.String(), "/"), Client: j.Client}
}

func (j Jaeger) search(ctx context.Context, query url.Values) ([]*trace, error) {
	found, err := j.api().Search(ctx, query)
	list := make([]*trace, len(found))
	for i, t := range found {
		list[i] = newTrace(t)
	}
	return list, err
}

// Map has the calls between services, counted in a sample of traces.
type Map struct {
	Services []string `json:"services"` // that have sent spans
	Traces   int      `json:"traces"`   // in the sample
	Slices   int      `json:"slices"`   // of the time, each with its own part of the sample
	PerSlice int      `json:"per_slice"`
	Edges    []Edge   `json:"edges"`
}

// The sample: perSlice newest traces of each service in each slice of the time range, atOnce
// searches in parallel.
const (
	slicesOfTime = 3
	perSlice     = 30
	atOnce       = 4
)

// Map samples traces from start to end. Jaeger computes /api/dependencies, for
// the lab's storage, from the newest 100 traces at most, so it lacks services without traffic
// in these.
func (j Jaeger) Map(ctx context.Context, start, end time.Time) (Map, error) {
	m := Map{Slices: slicesOfTime, PerSlice: perSlice}
	services, err := j.api().Services(ctx)
	if err != nil {
		return m, err
	}
	m.Services = append([]string{}, services...)
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

package traces

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// MaxLimit is the max number of traces that one search reads from Jaeger, for each service.
const MaxLimit = 1500

// Query is a search for traces.
type Query struct {
	Service    string // that has a span in the trace; "": any
	Operation  string // of a span of the service; "": any
	Min, Max   time.Duration
	Start, End time.Time
	Filter     Filter
	Limit      int // of the result: 1 to MaxLimit
}

// Result are the traces that a search found.
type Result struct {
	Traces  []Summary `json:"traces"`   // newest first, at most the limit
	Matched int       `json:"matched"`  // of the traces that were read
	Read    int       `json:"read"`     // traces from Jaeger
	ReadMax int       `json:"read_max"` // limit of the last query to Jaeger, for each service
	// Cut: Jaeger has older traces in the time range that were not read.
	Cut      bool     `json:"cut"`
	Services []string `json:"services"`         // that were searched
	Pushed   []string `json:"pushed,omitempty"` // conditions by which Jaeger selected
}

// Search reads traces from Jaeger, which compares only for equality, and filters them. With a
// filter, if too few of the newest traces match, it reads MaxLimit traces.
func (j Jaeger) Search(ctx context.Context, q Query) (Result, error) {
	r := Result{Traces: []Summary{}}
	filter := q.conditions()
	var err error
	if r.Services, err = j.searched(ctx, q.Service, filter); err != nil || len(r.Services) == 0 {
		return r, err
	}
	query := url.Values{"start": {strconv.FormatInt(q.Start.UnixMicro(), 10)}, "end": {strconv.FormatInt(q.End.UnixMicro(), 10)}}
	r.Pushed = filter.push(query)
	for _, limit := range []int{q.Limit, MaxLimit} {
		r.ReadMax = limit
		var list []*trace
		if list, r.Cut, err = j.searchAll(ctx, r.Services, query, limit); err != nil {
			return r, err
		}
		r.Read = len(list)
		r.Traces = summaries(list, filter, r.Services)
		r.Matched = len(r.Traces)
		if len(filter) == 0 || r.Matched >= q.Limit || !r.Cut {
			break
		}
	}
	r.Traces = r.Traces[:min(len(r.Traces), q.Limit)]
	return r, nil
}

// conditions are the filter, with those of the other fields.
func (q Query) conditions() Filter {
	var f Filter
	add := func(key, op, value string, d time.Duration) {
		f = append(f, term{condition: condition{text: key + " " + op + " " + value, key: key, scope: intrinsic, op: op, value: value, duration: d}})
	}
	if q.Operation != "" {
		add("name", "=", q.Operation, 0)
	}
	if q.Min > 0 {
		add("duration", ">=", q.Min.String(), q.Min)
	}
	if q.Max > 0 {
		add("duration", "<=", q.Max.String(), q.Max)
	}
	return append(f, q.Filter...)
}

// searched returns the services to search.
func (j Jaeger) searched(ctx context.Context, service string, f Filter) ([]string, error) {
	list := []string{service}
	if service == "" {
		var err error
		if list, err = j.api().Services(ctx); err != nil {
			return nil, err
		}
		slices.Sort(list)
	}
	return slices.DeleteFunc(append([]string{}, list...), func(s string) bool { return !f.service(s) }), nil
}

// searchAll searches services, each with the limit. Cut: one of them has reached it.
func (j Jaeger) searchAll(ctx context.Context, services []string, query url.Values, limit int) (list []*trace, cut bool, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	var mu sync.Mutex
	byID := map[string]*trace{}
	for _, service := range services {
		q := maps.Clone(query)
		q.Set("service", service)
		q.Set("limit", strconv.Itoa(limit))
		group.Go(func() error {
			found, err := j.search(ctx, q)
			mu.Lock()
			defer mu.Unlock()
			cut = cut || len(found) >= limit
			for _, t := range found {
				byID[t.TraceID] = t
			}
			return err
		})
	}
	err = group.Wait()
	return slices.Collect(maps.Values(byID)), cut, err
}

// summaries returns the traces with a span of one of the services that matches, newest first.
func summaries(list []*trace, f Filter, services []string) []Summary {
	found := []Summary{}
	for _, t := range list {
		s, ok := t.summary()
		if !ok {
			continue
		}
		if len(f) > 0 {
			matched := slices.DeleteFunc(f.matches(t), func(s *span) bool { return !slices.Contains(services, s.service) })
			if len(matched) == 0 {
				continue
			}
			s.Matched, s.Match = len(matched), matched[0].SpanID
		}
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(b.Start, a.Start), strings.Compare(a.ID, b.ID))
	})
	return found
}

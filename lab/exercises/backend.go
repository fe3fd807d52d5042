package exercises

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"soundcheck/internal/jaegerapi"
	"soundcheck/lab/plan"
)

// Lab is a running lab with an active exercise.
type Lab struct {
	plan.Lab
	Begun time.Time // when the load of the exercise began
}

var client = &http.Client{Timeout: 15 * time.Second}

// Expand replaces the placeholders of a query.
func (l Lab) Expand(query string) string {
	d := min(max(time.Since(l.Begun), minSince), maxSince)
	return strings.NewReplacer(since, fmt.Sprintf("%.0fs", d.Seconds()), "${store}", port(l.Store()), "${second-store}", port(l.SecondStore()),
		"${proxy}", port(l.Proxy())).Replace(strings.TrimSpace(query))
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// badQuery is a query that Prometheus rejects.
type badQuery struct{ error }

// value is a value of a query's result.
type value struct {
	labels map[string]string
	number float64
}

// query evaluates an expression now, or at a time. A scalar has no labels and is not an error.
func (l Lab) query(ctx context.Context, expr string, at time.Time) (list []value, err error) {
	q := url.Values{"query": {l.Expand(expr)}}
	if !at.IsZero() {
		q.Set("time", strconv.FormatInt(at.Unix(), 10))
	}
	var body struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	status, err := getJSON(ctx, l.Prometheus()+"/api/v1/query?"+q.Encode(), &body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("Prometheus: %w", err)
	case status == http.StatusBadRequest || status == http.StatusUnprocessableEntity:
		return nil, badQuery{fmt.Errorf("Prometheus rejects the query: %s", body.Error)}
	case body.Status != "success":
		return nil, fmt.Errorf("Prometheus responded %d: %s", status, body.Error)
	}
	var result []struct {
		Metric map[string]string
		Value  [2]any
	}
	if body.Data.ResultType == "scalar" {
		result = append(result, struct {
			Metric map[string]string
			Value  [2]any
		}{})
		err = json.Unmarshal(body.Data.Result, &result[0].Value)
	} else {
		err = json.Unmarshal(body.Data.Result, &result)
	}
	if err != nil {
		return nil, badQuery{fmt.Errorf("the query must have numbers as its result, not a %s", body.Data.ResultType)}
	}
	for _, r := range result {
		text, _ := r.Value[1].(string)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil { // a native histogram
			return nil, badQuery{fmt.Errorf("the query must have numbers as its result")}
		}
		if !math.IsNaN(n) {
			list = append(list, value{r.Metric, n})
		}
	}
	return list, nil
}

// one evaluates an expression of an exercise. ok is false if it has no value.
func (l Lab) one(ctx context.Context, expr string) (n float64, ok bool, err error) {
	list, err := l.query(ctx, expr, time.Time{})
	if err != nil || len(list) == 0 {
		return 0, false, err
	}
	if len(list) > 1 {
		return 0, false, fmt.Errorf("%s has %d values, want one", l.Expand(expr), len(list))
	}
	return list[0].number, true, nil
}

// getJSON reads a response of any status that is JSON.
func getJSON(ctx context.Context, address string, into any) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	return resp.StatusCode, err
}

// faults returns the active faults of a service, hidden ones too.
func (l Lab) faults(ctx context.Context, service string) ([]string, error) {
	var body struct{ Faults []string }
	status, err := getJSON(ctx, l.admin(service)+"?hidden=true", &body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	if err != nil {
		return nil, fmt.Errorf("faults of %s: %w", service, err)
	}
	return body.Faults, nil
}

// admin returns the URL of a service's faults.
func (l Lab) admin(service string) string {
	return map[string]string{plan.StoreName: l.StoreAdmin(), plan.ProxyName: l.ProxyAdmin(), plan.SecondStoreName: l.SecondStoreAdmin()}[service]
}

func (l Lab) jaeger() jaegerapi.Client { return jaegerapi.Client{URL: l.Jaeger(), Client: client} }

// traceDelay is how long the spans of a trace take to arrive, at most.
const traceDelay = 3 * time.Second

// search returns the traces of a query since the exercise began.
func (l Lab) search(ctx context.Context, query string) ([]*jaegerapi.Trace, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	q.Set("start", strconv.FormatInt(l.Begun.UnixMicro(), 10))
	q.Set("end", strconv.FormatInt(time.Now().Add(-traceDelay).UnixMicro(), 10))
	return l.jaeger().Search(ctx, q)
}

// skew returns the median time from the start of a client span to the start of the service's span
// below it, of traces since the exercise began.
func (l Lab) skew(ctx context.Context, service string) (d time.Duration, ok bool, err error) {
	list, err := l.search(ctx, "service="+service+"&limit=20")
	if err != nil {
		return 0, false, err
	}
	var all []time.Duration
	for _, t := range list {
		for _, s := range t.Spans {
			if parent := spanOf(t, t.Parent(s)); parent != nil && t.Service(s) == service && t.Service(parent) != service {
				all = append(all, s.Start().Sub(parent.Start()))
			}
		}
	}
	if len(all) == 0 {
		return 0, false, nil
	}
	slices.Sort(all)
	return all[len(all)/2], true, nil
}

// holds reports whether a trace has a span for each condition.
func holds(t *jaegerapi.Trace, conditions []Span) bool {
	for _, c := range conditions {
		n := 0
		for _, s := range t.Spans {
			if c.match(t, s) {
				n++
			}
		}
		if c.None && n > 0 || !c.None && n < max(c.Least, 1) {
			return false
		}
	}
	return true
}

func (c Span) match(t *jaegerapi.Trace, s *jaegerapi.Span) bool {
	if c.Service != "" && t.Service(s) != c.Service || c.Kind != "" && s.Tags.Text("span.kind") != c.Kind {
		return false
	}
	if c.Name != "" && !regexp.MustCompile("^(?:"+c.Name+")$").MatchString(s.OperationName) {
		return false
	}
	for name, want := range c.Tags {
		if got := s.Tags.Text(name); got != want && t.Processes[s.ProcessID].Tags.Text(name) != want {
			return false
		}
	}
	parent := spanOf(t, t.Parent(s))
	switch {
	case c.Longer > 0 && duration(s) < c.Longer,
		c.Self > 0 && self(t, s) < c.Self,
		c.Failed && !s.Failed(),
		c.Root && t.Parent(s) != "",
		c.Outside > 0 && (parent == nil || parent.Start().Sub(s.Start()) < c.Outside && s.Start().Sub(parent.End()) < c.Outside):
		return false
	}
	return true
}

func duration(s *jaegerapi.Span) time.Duration { return time.Duration(s.Duration) * time.Microsecond }

func spanOf(t *jaegerapi.Trace, id string) *jaegerapi.Span {
	if i := slices.IndexFunc(t.Spans, func(s *jaegerapi.Span) bool { return s.SpanID == id }); i >= 0 && id != "" {
		return t.Spans[i]
	}
	return nil
}

// self is the time of a span in which none of its children runs.
func self(t *jaegerapi.Trace, s *jaegerapi.Span) time.Duration {
	var children []*jaegerapi.Span
	for _, c := range t.Spans {
		if t.Parent(c) == s.SpanID {
			children = append(children, c)
		}
	}
	slices.SortFunc(children, func(a, b *jaegerapi.Span) int { return a.Start().Compare(b.Start()) })
	left, at := time.Duration(0), s.Start()
	for _, c := range children {
		if from := c.Start(); from.After(at) {
			left += from.Sub(at)
		}
		if c.End().After(at) {
			at = c.End()
		}
	}
	if s.End().After(at) {
		left += s.End().Sub(at)
	}
	return left
}

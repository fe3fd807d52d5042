package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// prometheus is Prometheus' query API.
type prometheus struct{ backend }

// sample is a value at a time. Of a native histogram it is the number of observations.
type sample struct {
	at    time.Time
	value float64
}

// UnmarshalJSON reads [time, "value"] and [time, {"count": "value", …}].
func (s *sample) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	var at float64
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	if err := json.Unmarshal(pair[0], &at); err != nil {
		return fmt.Errorf("%s is no time: %w", pair[0], err)
	}
	s.at = time.UnixMilli(int64(math.Round(at * 1000)))
	var text string
	if json.Unmarshal(pair[1], &text) != nil {
		var h struct{ Count string }
		if err := json.Unmarshal(pair[1], &h); err != nil {
			return fmt.Errorf("%.100s is no value: %w", pair[1], err)
		}
		text = h.Count
	}
	var err error
	s.value, err = strconv.ParseFloat(text, 64)
	return err
}

// series is one time series of a query's result.
type series struct {
	labels  map[string]string
	samples []sample
}

// valueAt is the last value that is not after t; 0: there is none.
func (r series) valueAt(t time.Time) (v float64) {
	for _, s := range r.samples {
		if !s.at.After(t) {
			v = s.value
		}
	}
	return v
}

// data reads the data of a successful response.
func (p *prometheus) data(ctx context.Context, path string, query url.Values, into any) error {
	var a struct {
		Status string
		Error  string
		Data   json.RawMessage
	}
	if err := p.getJSON(ctx, path, query, &a); err != nil {
		return err
	}
	if a.Status != "success" {
		return fmt.Errorf("%s: %q: %s", p.name, a.Status, a.Error)
	}
	if err := json.Unmarshal(a.Data, into); err != nil {
		return fmt.Errorf("unexpected data of %s for %s: %w", p.name, path, err)
	}
	return nil
}

// query evaluates an expression now.
func (p *prometheus) query(ctx context.Context, expr string) ([]series, error) {
	return p.queryAt(ctx, expr, time.Time{})
}

// queryAt evaluates an expression at a time; now, if that is zero.
func (p *prometheus) queryAt(ctx context.Context, expr string, at time.Time) ([]series, error) {
	query := url.Values{"query": {expr}}
	if !at.IsZero() {
		query.Set("time", unix(at))
	}
	return p.evaluate(ctx, "/api/v1/query", query)
}

// queryRange evaluates an expression every step.
func (p *prometheus) queryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]series, error) {
	return p.evaluate(ctx, "/api/v1/query_range", url.Values{"query": {expr}, "start": {unix(from)}, "end": {unix(to)}, "step": {fmt.Sprint(step.Seconds())}})
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func (p *prometheus) evaluate(ctx context.Context, path string, query url.Values) (all []series, err error) {
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	if err := p.data(ctx, path, query, &data); err != nil {
		return nil, err
	}
	var list []struct {
		Metric             map[string]string
		Value, Histogram   *sample
		Values, Histograms []sample
	}
	if data.ResultType == "scalar" {
		all = []series{{samples: make([]sample, 1)}}
		err = json.Unmarshal(data.Result, &all[0].samples[0])
	} else {
		err = json.Unmarshal(data.Result, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: unexpected result: %w", p.name, err)
	}
	for _, r := range list {
		found := series{r.Metric, slices.Concat(r.Values, r.Histograms)}
		for _, s := range []*sample{r.Value, r.Histogram} {
			if s != nil {
				found.samples = append(found.samples, *s)
			}
		}
		slices.SortFunc(found.samples, func(a, b sample) int { return a.at.Compare(b.at) })
		all = append(all, found)
	}
	return all, nil
}

// one evaluates an expression with a single value. False: it has none.
func (p *prometheus) one(ctx context.Context, expr string) (float64, bool, error) {
	list, err := p.query(ctx, expr)
	switch {
	case err != nil:
		return 0, false, err
	case len(list) > 1:
		return 0, false, fmt.Errorf("%s has %d values, want one", expr, len(list))
	case len(list) == 0 || len(list[0].samples) == 0:
		return 0, false, nil
	}
	return list[0].samples[0].value, true, nil
}

// exemplar is an exemplar of a service's histogram.
type exemplar struct{ metric, service, trace, span string }

// exemplars returns those of a metric, by service.
func (p *prometheus) exemplars(ctx context.Context, metric string, from, to time.Time) (map[string][]exemplar, error) {
	var data []struct {
		SeriesLabels map[string]string
		Exemplars    []struct{ Labels map[string]string }
	}
	if err := p.data(ctx, "/api/v1/query_exemplars", url.Values{"query": {metric}, "start": {unix(from)}, "end": {unix(to)}}, &data); err != nil {
		return nil, err
	}
	all := map[string][]exemplar{}
	for _, s := range data {
		service := s.SeriesLabels["service_name"]
		for _, e := range s.Exemplars {
			all[service] = append(all[service], exemplar{metric, service, e.Labels["trace_id"], e.Labels["span_id"]})
		}
	}
	return all, nil
}

// names returns every metric name.
func (p *prometheus) names(ctx context.Context) (names []string, err error) {
	err = p.data(ctx, "/api/v1/label/__name__/values", nil, &names)
	return names, err
}

// rule is one that Prometheus evaluates.
type rule struct{ Name, Query, Health, LastError string }

func (p *prometheus) rules(ctx context.Context) (all []rule, err error) {
	var data struct{ Groups []struct{ Rules []rule } }
	err = p.data(ctx, "/api/v1/rules", nil, &data)
	for _, g := range data.Groups {
		all = append(all, g.Rules...)
	}
	return all, err
}

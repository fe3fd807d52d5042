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

// series is what a query found.
type series struct {
	labels  map[string]string
	samples []sample
}

func (p *prometheus) answer(ctx context.Context, path string, query url.Values, into any) error {
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
		return fmt.Errorf("the data of %s for %s are not as expected: %w", p.name, path, err)
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

func (p *prometheus) evaluate(ctx context.Context, path string, query url.Values) ([]series, error) {
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	if err := p.answer(ctx, path, query, &data); err != nil {
		return nil, err
	}
	if data.ResultType == "scalar" {
		var pair [2]json.RawMessage
		if err := json.Unmarshal(data.Result, &pair); err != nil {
			return nil, err
		}
		s, err := readSample(pair)
		return []series{{samples: []sample{s}}}, err
	}
	var list []struct {
		Metric     map[string]string
		Value      *[2]json.RawMessage
		Values     [][2]json.RawMessage
		Histogram  *[2]json.RawMessage
		Histograms [][2]json.RawMessage
	}
	if err := json.Unmarshal(data.Result, &list); err != nil {
		return nil, fmt.Errorf("%s: the result is not as expected: %w", p.name, err)
	}
	var all []series
	for _, r := range list {
		found := series{labels: r.Metric}
		pairs := slices.Concat(r.Values, r.Histograms)
		for _, one := range []*[2]json.RawMessage{r.Value, r.Histogram} {
			if one != nil {
				pairs = append(pairs, *one)
			}
		}
		for _, pair := range pairs {
			s, err := readSample(pair)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			found.samples = append(found.samples, s)
		}
		slices.SortFunc(found.samples, func(a, b sample) int { return a.at.Compare(b.at) })
		all = append(all, found)
	}
	return all, nil
}

// readSample reads [time, "value"] and [time, {"count": "value", …}].
func readSample(pair [2]json.RawMessage) (s sample, err error) {
	var at float64
	if err := json.Unmarshal(pair[0], &at); err != nil {
		return s, fmt.Errorf("%s is no time: %w", pair[0], err)
	}
	s.at = time.UnixMilli(int64(math.Round(at * 1000)))
	var text string
	if json.Unmarshal(pair[1], &text) != nil {
		var h struct{ Count string }
		if err := json.Unmarshal(pair[1], &h); err != nil {
			return s, fmt.Errorf("%.100s is no value: %w", pair[1], err)
		}
		text = h.Count
	}
	s.value, err = strconv.ParseFloat(text, 64)
	return s, err
}

// one evaluates an expression that has one value. False: it has none.
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

// exemplar is a request that a histogram names.
type exemplar struct {
	metric, service string
	trace, span     string
}

// exemplars returns those of the metrics that a selector names.
func (p *prometheus) exemplars(ctx context.Context, selector string, from, to time.Time) ([]exemplar, error) {
	var data []struct {
		SeriesLabels map[string]string
		Exemplars    []struct{ Labels map[string]string }
	}
	if err := p.answer(ctx, "/api/v1/query_exemplars", url.Values{"query": {selector}, "start": {unix(from)}, "end": {unix(to)}}, &data); err != nil {
		return nil, err
	}
	var all []exemplar
	for _, s := range data {
		for _, e := range s.Exemplars {
			all = append(all, exemplar{s.SeriesLabels["__name__"], s.SeriesLabels["service_name"], e.Labels["trace_id"], e.Labels["span_id"]})
		}
	}
	return all, nil
}

// names returns every metric name.
func (p *prometheus) names(ctx context.Context) (map[string]bool, error) {
	var list []string
	if err := p.answer(ctx, "/api/v1/label/__name__/values", nil, &list); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, n := range list {
		names[n] = true
	}
	return names, nil
}

// rule is one that Prometheus evaluates.
type rule struct {
	Name, Query, Health, LastError, Type string
	LastEvaluation                       time.Time
}

func (p *prometheus) rules(ctx context.Context) ([]rule, error) {
	var data struct{ Groups []struct{ Rules []rule } }
	if err := p.answer(ctx, "/api/v1/rules", nil, &data); err != nil {
		return nil, err
	}
	var all []rule
	for _, g := range data.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}

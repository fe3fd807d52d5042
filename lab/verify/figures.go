package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"soundcheck/dashboards"
	"soundcheck/loadgen/measure"
)

// lookback is how far before a range Prometheus looks for the sample at which the range is
// anchored.
const lookback = 5 * time.Minute

// figure is a panel value with its expected number.
type figure struct {
	dashboard, panel, ref string
	vars                  map[string][]string // chosen values of the dashboard's variables
	row                   map[string]string   // labels of the value; empty: the panel has only one
	at                    time.Time           // the end of the range; zero: now
	over                  time.Duration       // the range
	want                  float64
	of                    string // the counted requests, for errors
}

// find returns the expression of the panel.
func (s *session) find(f figure) (string, error) {
	for _, d := range s.Dashboards {
		if d.UID != f.dashboard {
			continue
		}
		for _, p := range d.Panels {
			for _, t := range p.Targets {
				if p.Title == f.panel && t.RefID == f.ref {
					return t.Expr, nil
				}
			}
		}
		return "", fmt.Errorf("dashboard %s has no panel %q with a query %s", f.dashboard, f.panel, f.ref)
	}
	return "", fmt.Errorf("no dashboard %s with panel %q", f.dashboard, f.panel)
}

// figures checks that panels show as many requests as were sent. It evaluates the
// panels' expressions: a raw count can be right where an increase is not.
func (s *session) figures(ctx context.Context) Check {
	right := 0
	wrong := s.eventually(ctx, func(wrong *problems) error {
		right = 0
		list := s.runFigures()
		for _, service := range []string{proxyService, storeService} {
			more, err := s.routeFigures(ctx, service)
			if err != nil {
				wrong.add("%v", err)
			}
			list = append(list, more...)
		}
		for _, f := range list {
			if err := s.compare(ctx, f); err != nil {
				wrong.add("%v", err)
				continue
			}
			right++
		}
		return nil
	})
	return verdict("panel values", wrong, "%d panel values match the load, within %g%%", right, 100*countTolerance)
}

func (s *session) compare(ctx context.Context, f figure) error {
	expr, err := s.find(f)
	if err != nil {
		return err
	}
	list, err := s.prom.queryAt(ctx, dashboards.Interpolate(expr, f.vars, f.over, minStep), f.at)
	if err != nil {
		return err
	}
	shown, found := 0.0, false
	for _, r := range list {
		match := true
		for name, value := range f.row {
			match = match && r.labels[name] == value
		}
		if match && len(r.samples) > 0 {
			shown, found = shown+r.samples[0].value, true
		}
	}
	switch {
	case !found:
		return fmt.Errorf("panel %q of %s has no data for %s", f.panel, f.dashboard, f.of)
	case apart(shown, f.want) > countTolerance:
		return fmt.Errorf("panel %q of %s shows %.4g for %s, want %.4g: %.1f%% apart", f.panel, f.dashboard, shown, f.of, f.want, 100*apart(shown, f.want))
	}
	return nil
}

// runFigures are the expected values for loadgen's run.
func (s *session) runFigures() []figure {
	r, over := &s.load.Report, time.Since(s.load.Begin)+lead
	of := func(panel string, want float64, what string, row map[string]string) figure {
		return figure{dashboard: "load-test", panel: panel, ref: "A", vars: map[string][]string{"run": {r.RunID}}, row: row, over: over, want: want, of: what}
	}
	list := []figure{
		of("Requests sent", float64(r.Sent), "requests", nil),
		of("Runs", float64(r.Sent), "requests of the run", nil),
		of("Good", float64(r.Classes[measure.Good])/float64(max(1, r.Sent)), "good requests", nil),
	}
	for _, sc := range r.Scenarios {
		list = append(list, of("Scenarios", float64(sc.Requests), "scenario "+sc.Name, map[string]string{"soundcheck_loadgen_scenario": sc.Name}))
	}
	return list
}

// routeFigures are the expected request counts of a service from a minute before the load to after it, by
// method and route: from its raw samples, which serviceCount compares with spans.
func (s *session) routeFigures(ctx context.Context, service string) ([]figure, error) {
	from := s.load.Begin.Add(-lead)
	list, err := s.prom.query(ctx, fmt.Sprintf("http_server_request_duration_seconds{service_name=%q}[%ds]", service, int((time.Since(from)+lookback).Seconds())))
	if err != nil {
		return nil, err
	}
	firsts := map[string]time.Time{}
	for _, r := range list {
		for _, v := range r.samples {
			if first := firsts[r.labels["instance"]]; v.at.After(s.load.End) && (first.IsZero() || v.at.Before(first)) {
				firsts[r.labels["instance"]] = v.at
			}
		}
	}
	if len(firsts) == 0 {
		return nil, fmt.Errorf("Prometheus has no sample of %s after the load", service)
	}
	to := slices.MaxFunc(slices.Collect(maps.Values(firsts)), time.Time.Compare) // each process has exported by then
	over := to.Sub(from).Truncate(time.Second)
	from = to.Add(-over)
	type key struct{ method, route string }
	counted := map[key]float64{}
	for _, r := range list {
		counted[key{r.labels["http_request_method"], r.labels["http_route"]}] += r.valueAt(to) - r.valueAt(from)
	}
	var figures []figure
	for k, n := range counted {
		if n > 0 {
			figures = append(figures, figure{dashboard: "service-latency", panel: "Routes", ref: "A", vars: map[string][]string{"service": {service}},
				row: map[string]string{"http_request_method": k.method, "http_route": k.route}, at: to, over: over, want: n,
				of: fmt.Sprintf("%s %s of %s", k.method, k.route, service)})
		}
	}
	if figures == nil {
		return nil, fmt.Errorf("Prometheus counted no request of %s during the load", service)
	}
	return figures, nil
}

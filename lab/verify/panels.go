package verify

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"soundcheck/dashboards"
)

const (
	// lead is how long before the load the panels' range starts.
	lead = time.Minute
	// points is the max number of points in a panel.
	points = 200
	// minStep is the export interval of metrics.
	minStep = 5 * time.Second
)

// settled is the time after the load until its telemetry is in Prometheus. Panels with a rate over
// the last 30 seconds have data then, and none later.
const settled = 10 * time.Second

// ends returns the times at which panels are evaluated: now, for rules evaluated once a minute,
// and shortly after the load, for panels of the last seconds. The other checks may take minutes.
func (s *session) ends() []time.Time {
	now := time.Now()
	if end := s.load.End.Add(settled); !s.load.End.IsZero() && now.After(end) {
		return []time.Time{now, end}
	}
	return []time.Time{now}
}

// window returns the range of panels that ends at to, and its step.
func (s *session) window(to time.Time) (from time.Time, step time.Duration) {
	from = s.load.Begin.Add(-lead)
	return from, max(minStep, (to.Sub(from) / points).Truncate(time.Second))
}

// interpolate sets the range, and every variable to All.
func (s *session) interpolate(expr string, to time.Time) string {
	from, step := s.window(to)
	return dashboards.Interpolate(expr, nil, to.Sub(from), step)
}

// panels checks that every panel has data, and the values of some.
func (s *session) panels(ctx context.Context) []Check {
	checks := []Check{s.figures(ctx)}
	for _, d := range s.Dashboards {
		checks = append(checks, s.dashboard(ctx, d))
	}
	if len(s.Dashboards) == 0 {
		return []Check{failed("dashboards", "no dashboards")}
	}
	return checks
}

// view is the result of a panel's queries.
type view struct {
	empty string   // why it has no data; "" if it has
	quiet []string // queries without data beside one with
}

// dashboard checks that every panel of a dashboard has data.
func (s *session) dashboard(ctx context.Context, d dashboards.Dashboard) Check {
	d.Panels = slices.DeleteFunc(slices.Clone(d.Panels), func(p dashboards.Panel) bool { return p.Type == "row" || p.Type == "text" })
	views := make([]view, len(d.Panels))
	var notes []string
	var queries, shown, excused int
	wrong := s.eventually(ctx, func(wrong *problems) error {
		notes, queries, shown, excused = nil, 0, 0, 0
		for i, p := range d.Panels {
			if views[i].empty != "" || views[i].quiet == nil {
				views[i] = s.view(ctx, p)
			}
			queries += len(p.Targets)
			switch v := views[i]; {
			case v.empty == "":
				shown++
				for _, q := range v.quiet {
					notes = append(notes, fmt.Sprintf("%q has data, but none for %s", p.Title, q))
				}
			case s.mayBeEmpty(p) != "":
				excused++
				notes = append(notes, fmt.Sprintf("%q may be empty: %s", p.Title, s.mayBeEmpty(p)))
			default:
				wrong.add("%q: %s", p.Title, v.empty)
			}
		}
		return nil
	})
	c := verdict("dashboard "+d.UID, wrong, "%d of %d panels show data (%d queries)", shown, len(d.Panels), queries)
	if excused > 0 {
		c.Text += fmt.Sprintf("; %d may be empty", excused)
	}
	c.Details = append(c.Details, notes...)
	return c
}

// view evaluates the queries of a panel.
func (s *session) view(ctx context.Context, p dashboards.Panel) view {
	if len(p.Targets) == 0 {
		return view{empty: "no query"}
	}
	v := view{quiet: []string{}}
	for _, t := range p.Targets {
		shows := false
		var expr string
		for _, to := range s.ends() {
			from, step := s.window(to)
			expr = s.interpolate(t.Expr, to)
			var list []series
			var err error
			if t.Instant {
				list, err = s.prom.queryAt(ctx, expr, to)
			} else {
				list, err = s.prom.queryRange(ctx, expr, from, to, step)
			}
			if err != nil {
				return view{empty: fmt.Sprintf("query %s: %v", t.RefID, err)}
			}
			if shows = hasNumber(list); shows {
				break
			}
		}
		if !shows {
			v.quiet = append(v.quiet, fmt.Sprintf("query %s: %s", t.RefID, clip(expr)))
		}
	}
	if len(v.quiet) == len(p.Targets) {
		return view{empty: "no data for " + v.quiet[0]}
	}
	return v
}

// clip shortens an expression for display.
func clip(expr string) string {
	if r := []rune(expr); len(r) > 160 {
		return string(r[:160]) + "…"
	}
	return expr
}

func hasNumber(list []series) bool {
	return slices.ContainsFunc(list, func(r series) bool {
		return slices.ContainsFunc(r.samples, func(v sample) bool { return !math.IsNaN(v.value) })
	})
}

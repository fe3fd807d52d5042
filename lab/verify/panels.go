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
	// lead is how long before the load the panels' range begins.
	lead = time.Minute
	// points is how many a panel shows at most.
	points = 200
	// minStep is how often metrics come.
	minStep = 5 * time.Second
)

// settled is how long after the load its telemetry is in Prometheus. Panels that show a rate of
// the last 30 seconds have data then, though later they have none.
const settled = 10 * time.Second

// ends returns the times that panels are looked at: now, for what rules evaluate once a minute,
// and shortly after the load, for what shows the last seconds. The other checks may take minutes.
func (s *session) ends() []time.Time {
	now := time.Now()
	if end := s.load.End.Add(settled); !s.load.End.IsZero() && now.After(end) {
		return []time.Time{now, end}
	}
	return []time.Time{now}
}

// window returns the range of panels that are looked at so late, and its step.
func (s *session) window(to time.Time) (from time.Time, step time.Duration) {
	from = s.load.Begin.Add(-lead)
	return from, max(minStep, (to.Sub(from) / points).Truncate(time.Second))
}

// interpolate fills in the range, and for each variable all values.
func (s *session) interpolate(expr string, to time.Time) string {
	from, step := s.window(to)
	return dashboards.Interpolate(expr, nil, to.Sub(from), step)
}

// panels makes sure that every panel shows something, and what it shows is right.
func (s *session) panels(ctx context.Context) []Check {
	checks := []Check{s.figures(ctx)}
	for _, d := range s.Dashboards {
		checks = append(checks, s.dashboard(ctx, d))
	}
	if len(s.Dashboards) == 0 {
		return []Check{failed("dashboards", "there is none")}
	}
	return checks
}

// view is what came of a panel.
type view struct {
	empty string   // why it shows nothing; "" if it does
	quiet []string // queries without data beside one with
}

// dashboard makes sure that every panel of a dashboard shows something.
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
					notes = append(notes, fmt.Sprintf("%q shows data, but none for %s", p.Title, q))
				}
			case p.MayBeEmpty != "":
				excused++
				notes = append(notes, fmt.Sprintf("%q may be empty: %s", p.Title, p.MayBeEmpty))
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

// view asks what a panel asks.
func (s *session) view(ctx context.Context, p dashboards.Panel) view {
	if len(p.Targets) == 0 {
		return view{empty: "it has no query"}
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

// clip shortens an expression that is only to be recognized.
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

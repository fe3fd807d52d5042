package verify

import (
	"context"
	"fmt"
	"math"
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

// window returns the range of the panels, and its step.
func (s *session) window() (from, to time.Time, step time.Duration) {
	from, to = s.load.Begin.Add(-lead), time.Now()
	return from, to, max(minStep, (to.Sub(from) / points).Truncate(time.Second))
}

// all are the variables, each with all values.
var all = map[string][]string{"environment": {".*"}, "service": {".*"}, "route": {".*"}, "run": {".*"}}

func (s *session) interpolate(expr string) string {
	from, to, step := s.window()
	return dashboards.Interpolate(expr, all, to.Sub(from), step)
}

// panels makes sure that every panel shows something.
func (s *session) panels(ctx context.Context) []Check {
	var checks []Check
	for _, d := range s.Dashboards {
		checks = append(checks, s.dashboard(ctx, d))
	}
	if checks == nil {
		return []Check{failed("dashboards", "there is none")}
	}
	return checks
}

func (s *session) dashboard(ctx context.Context, d dashboards.Dashboard) Check {
	todo := map[int]dashboards.Panel{}
	queries, shown := 0, 0
	for i, p := range d.Panels {
		if p.Type != "row" && p.Type != "text" {
			todo[i] = p
			queries += len(p.Targets)
			shown++
		}
	}
	why := map[int]string{}
	s.eventually(ctx, func() bool {
		wait := false
		for i, p := range todo {
			if why[i] = s.empty(ctx, p); why[i] == "" {
				delete(todo, i)
				continue
			}
			wait = wait || p.MayBeEmpty == ""
		}
		return !wait
	})
	var problems, notes []string
	for i, p := range d.Panels {
		if _, left := todo[i]; !left {
			continue
		}
		if p.MayBeEmpty != "" {
			notes = append(notes, fmt.Sprintf("%q may be empty: %s", p.Title, p.MayBeEmpty))
		} else {
			problems = append(problems, fmt.Sprintf("%q: %s", p.Title, why[i]))
		}
	}
	c := verdict("dashboard "+d.UID, problems, "%d of %d panels (%d queries) show data; %d may be empty, and are", shown-len(todo), shown, queries, len(notes))
	c.Details = append(c.Details, notes...)
	return c
}

// empty says why a panel shows nothing, or not all that it is to show; "" if it does.
func (s *session) empty(ctx context.Context, p dashboards.Panel) string {
	if len(p.Targets) == 0 {
		return "it has no query"
	}
	from, to, step := s.window()
	for _, t := range p.Targets {
		expr := s.interpolate(t.Expr)
		var list []series
		var err error
		if t.Instant {
			list, err = s.prom.query(ctx, expr)
		} else {
			list, err = s.prom.queryRange(ctx, expr, from, to, step)
		}
		switch {
		case err != nil:
			return fmt.Sprintf("query %s: %v", t.RefID, err)
		case !hasNumber(list):
			return fmt.Sprintf("no data for query %s: %s", t.RefID, expr)
		}
	}
	return ""
}

func hasNumber(list []series) bool {
	for _, r := range list {
		for _, v := range r.samples {
			if !math.IsNaN(v.value) {
				return true
			}
		}
	}
	return false
}

package verify

import (
	"strings"
	"testing"

	"soundcheck/dashboards"
	"soundcheck/loadgen/attack"
)

// A panel that shows another number than was sent is named, with both numbers.
func TestFigures(t *testing.T) {
	t.Parallel()
	panel := func(title, expr string) dashboards.Panel {
		return dashboards.Panel{Title: title, Type: "stat", Targets: []dashboards.Target{{RefID: "A", Expr: expr, Instant: true}}}
	}
	for name, tt := range map[string]struct {
		runs float64
		says string
	}{
		"right":           {3, "3 numbers of panels are what was sent, within 1%"},
		"an export short": {2.72, `panel "Runs" of load-test shows 2.72 for requests of the run, want 3: 9.3% apart`},
		"nothing":         {-1, `panel "Runs" of load-test shows nothing of requests of the run`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.board = dashboards.Dashboard{UID: "load-test", Panels: []dashboards.Panel{
				panel("Requests sent", `sent{run=~"$run"}[$__range]`), panel("Runs", `runs{run=~"$run"}`), panel("Good", "good")}}
			w.panels = map[string]float64{`sent{run=~"run-1"}[10`: 3, `runs{run=~"run-1"}`: tt.runs, "good": 1}
			if tt.runs < 0 {
				delete(w.panels, `runs{run=~"run-1"}`)
			}
			c := w.session(t).figures(t.Context())
			if said := c.Text + strings.Join(c.Details, "; "); !strings.Contains(said, tt.says) || (c.Outcome == OK) != (tt.runs == 3) {
				t.Errorf("%v, want %q", c, tt.says)
			}
		})
	}
}

// What a service counted is taken from a minute before the load to the first samples
// after it; a series that began within that time counts as a whole.
func TestRouteFigures(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.server[proxyService] = append([][2]float64{{-70, 90}}, w.server[proxyService]...)
	s := w.session(t)
	for service, want := range map[string]float64{proxyService: 15, storeService: 12} {
		list, err := s.routeFigures(t.Context(), service)
		if err != nil || len(list) != 1 || list[0].want != want || !list[0].at.After(w.load.End) {
			t.Errorf("%s: %+v, %v, want %g", service, list, err, want)
		}
	}
}

// The dashboards have the panels whose numbers are compared.
func TestFiguresExist(t *testing.T) {
	t.Parallel()
	all, err := dashboards.All()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.load.Report.Scenarios = []attack.Row{{Name: "get", Requests: 3}}
	s := w.session(t)
	s.Dashboards = all
	list := s.runFigures()
	routes, err := s.routeFigures(t.Context(), proxyService)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(list, routes...) {
		if expr, ok, err := s.find(f); expr == "" || !ok || err != nil {
			t.Errorf("%s, %q: %q, %v, %v", f.dashboard, f.panel, expr, ok, err)
		}
	}
}

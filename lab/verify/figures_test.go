package verify

import (
	"strings"
	"testing"

	"soundcheck/dashboards"
	"soundcheck/loadgen/report"
)

// addNumbers adds the dashboards whose numbers are compared, and what their panels show.
func (w *world) addNumbers() {
	panel := func(title, expr string) dashboards.Panel {
		return dashboards.Panel{Title: title, Type: "stat", Targets: []dashboards.Target{{RefID: "A", Expr: expr, Instant: true}}}
	}
	w.numbers = []dashboards.Dashboard{
		{UID: "load-test", Panels: []dashboards.Panel{
			panel("Requests sent", `sent{run=~"$run"}[$__range]`), panel("Runs", `runs{run=~"$run"}`), panel("Good", "good")}},
		{UID: "service-latency", Panels: []dashboards.Panel{panel("Routes", `routes{service=~"$service"}`)}},
	}
	for query, n := range map[string]float64{`sent{run=~"run-1"}[`: 3, `runs{run=~"run-1"}`: 3, "good": 1,
		`routes{service=~"proxy-service"}`: 105, `routes{service=~"album-store"}`: 12,
		`sent{run=~".*"}`: 3, `runs{run=~".*"}`: 3, `routes{service=~".*"}`: 117} {
		w.panels[query] = n
	}
}

// A panel that shows another number than was sent is named, with both numbers. One that is
// not there is no panel that is right.
func TestFigures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		breaks func(*world)
		says   string
	}{
		"right":              {nil, "5 panel values match the load, within 1%"},
		"an export short":    {func(w *world) { w.panels[`runs{run=~"run-1"}`] = 2.72 }, `panel "Runs" of load-test shows 2.72 for requests of the run, want 3: 9.3% apart`},
		"nothing":            {func(w *world) { delete(w.panels, `runs{run=~"run-1"}`) }, `panel "Runs" of load-test has no data for requests of the run`},
		"no panel":           {func(w *world) { w.numbers[0].Panels = w.numbers[0].Panels[:2] }, `4 panel values match the load, within 1%; dashboard load-test has no panel "Good" with a query A`},
		"no dashboard":       {func(w *world) { w.numbers = w.numbers[1:] }, `no dashboard load-test with panel "Runs"`},
		"nothing compared":   {func(w *world) { w.numbers = nil }, "0 panel values"},
		"no request counted": {func(w *world) { w.server[storeService] = [][2]float64{{22, 0}} }, "Prometheus counted no request of album-store during the load"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			if tt.breaks != nil {
				tt.breaks(w)
			}
			c := w.session(t).figures(t.Context())
			if said := strings.Join(append([]string{c.Text}, c.Details...), "; "); !strings.Contains(said, tt.says) || (c.Outcome == OK) != (tt.breaks == nil) {
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
	w.load.Report.Scenarios = []report.Row{{Name: "get", Requests: 3}}
	s := w.session(t)
	s.Dashboards = all
	list := s.runFigures()
	routes, err := s.routeFigures(t.Context(), proxyService)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(list, routes...) {
		if expr, err := s.find(f); expr == "" || err != nil {
			t.Errorf("%s, %q: %q, %v", f.dashboard, f.panel, expr, err)
		}
	}
}

package verify

import (
	"strings"
	"testing"
)

// Without a database its metrics and panels may be missing, and nothing else.
func TestInMemory(t *testing.T) {
	t.Parallel()
	const statements = `sum(rate(traces_span_metrics_duration_seconds{service_name="album-store",span_kind="SPAN_KIND_CLIENT"}[1m]))`
	for _, tt := range []struct {
		expr           string
		memory         bool
		metrics, panel Outcome
	}{
		{"sum(db_sql_connection_open)", true, OK, OK},
		{"sum(db_sql_connection_open)", false, Failed, Failed},
		{statements, true, OK, OK},
		{statements, false, OK, Failed},
		{"sum(soundcheck_store_nothing)", true, Failed, Failed},
	} {
		w := newWorld()
		w.memory, w.board.Panels[2].Targets[0].Expr = tt.memory, tt.expr
		w.names = append(w.names, "traces_span_metrics_duration_seconds")
		found := w.checks(t)
		if c := found["metric names"]; c.Outcome != tt.metrics {
			t.Errorf("%s, in memory %t: %v, want %s", tt.expr, tt.memory, c, tt.metrics)
		}
		if c := found["dashboard first"]; c.Outcome != tt.panel || tt.panel == OK && !strings.Contains(c.String(), "may be empty: the album store has no database") {
			t.Errorf("%s, in memory %t: %v, want %s", tt.expr, tt.memory, c, tt.panel)
		}
	}
}

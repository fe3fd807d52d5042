package dashboards

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The panel of lost telemetry counts the first export, too: a counter of the Collector or of
// Jaeger begins with it.
func TestLostPanel(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	pipeline := all[slices.IndexFunc(all, func(d Dashboard) bool { return d.UID == "pipeline" })]
	panel := pipeline.Panels[slices.IndexFunc(pipeline.Panels, func(p Panel) bool { return p.Title == "Lost telemetry by stage" })]
	lost := map[string]int{
		"dropped by components": 0, "undelivered by components": 0,
		"refused by the Collector": 60, "failed in the Collector": 60, "refused or failed in Jaeger": 30,
	}
	var text strings.Builder
	text.WriteString("evaluation_interval: 10s\ntests:\n  - interval: 10s\n    input_series:\n")
	for _, service := range []string{"otel-collector", "jaeger"} {
		for _, counter := range []string{"receiver_refused_%s", "receiver_failed_%s", "exporter_send_failed_%s", "exporter_enqueue_failed_%s"} {
			for _, signal := range []string{"spans", "metric_points", "log_records"} {
				fmt.Fprintf(&text, "      - {series: 'otelcol_%s_total{service_name=%q}', values: _x12 3 10x360}\n", fmt.Sprintf(counter, signal), service)
			}
		}
	}
	text.WriteString("    promql_expr_test:\n")
	for _, target := range panel.Targets {
		want, ok := lost[target.LegendFormat]
		if !ok {
			t.Errorf("%q is not tested", target.LegendFormat)
		}
		expr := Interpolate(target.Expr, nil, 30*time.Minute, 10*time.Second)
		fmt.Fprintf(&text, "      - {expr: %q, eval_time: 20m, exp_samples: [{labels: '{}', value: %d}]}\n", expr, want)
		fmt.Fprintf(&text, "      - {expr: %q, eval_time: 50m, exp_samples: [{labels: '{}', value: 0}]}\n", expr)
	}
	file := filepath.Join(t.TempDir(), "lost.yml")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, ".", "test", "rules", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

package dashboards

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The dashboard of load tests adds up the workers of a run, and shows which one lags. A run of
// one process comes before: 50 req/s from 0 to 20 s. From 45 s on, each of three workers should
// send 100 req/s, and the last one sends 60.
func TestLoadTestOfWorkers(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	dashboard := all[slices.IndexFunc(all, func(d Dashboard) bool { return d.UID == "load-test" })]
	var text strings.Builder
	text.WriteString("evaluation_interval: 5s\nfuzzy_compare: true\ntests:\n  - interval: 5s\n    input_series:\n")
	series := func(worker string, before, samples int, target, actual float64, bucket int) {
		labels := fmt.Sprintf("instance=%q,soundcheck_loadgen_run=%q", "i"+worker, map[bool]string{true: "alone", false: "together"}[worker == ""])
		if worker != "" {
			labels += fmt.Sprintf(",soundcheck_loadgen_worker=%q", worker)
		}
		gap := ""
		if before > 0 {
			gap = fmt.Sprintf("_x%d ", before)
		}
		n := 5 * actual // in an export interval
		histogram := fmt.Sprintf("%s{{schema:0 count:0 sum:0}}+{{schema:0 count:%g sum:1 offset:%d buckets:[%g]}}x%d", gap, n, bucket, n, samples)
		for name, values := range map[string]string{
			"rate_per_second{":    fmt.Sprintf("%s%gx%d", gap, target, samples),
			"in_flight{":          fmt.Sprintf("%s10x%d", gap, samples),
			"send_delay_seconds{": histogram,
			`response_time_seconds{soundcheck_loadgen_class="good",`: histogram,
		} {
			fmt.Fprintf(&text, "      - {series: 'soundcheck_loadgen_%s%s}', values: '%s'}\n", name, labels, values)
		}
	}
	const quick, slow = -9, 0 // buckets up to 1/512 s and 1 s
	series("", 0, 4, 50, 50, quick)
	series("0", 9, 20, 100, 100, quick)
	series("1", 9, 20, 100, 100, quick)
	series("2", 9, 20, 100, 60, slow)
	// The 99th percentile of one bucket, by exponential interpolation.
	quickP99, slowP99 := math.Exp2(quick-0.01), math.Exp2(slow-0.01)
	text.WriteString("    promql_expr_test:\n")
	expect := func(at time.Duration, title, ref string, want map[string]float64) {
		t.Helper()
		i := slices.IndexFunc(dashboard.Panels, func(p Panel) bool { return p.Title == title })
		if i < 0 {
			t.Fatalf("no panel %q", title)
		}
		targets := dashboard.Panels[i].Targets
		j := slices.IndexFunc(targets, func(t Target) bool { return t.RefID == ref })
		expr := Interpolate(targets[j].Expr, nil, at, 5*time.Second)
		fmt.Fprintf(&text, "      - expr: %q\n        eval_time: %s\n        exp_samples:\n", expr, at)
		for _, labels := range slices.Sorted(maps.Keys(want)) {
			fmt.Fprintf(&text, "          - {labels: '{%s}', value: %v}\n", labels, want[labels])
		}
	}
	const byWorker, byRun = "soundcheck_loadgen_worker=", "soundcheck_loadgen_run="
	const first, second = 20 * time.Second, 100 * time.Second
	expect(first, "Peak target rate", "A", map[string]float64{"": 50})
	expect(second, "Peak target rate", "A", map[string]float64{"": 300})
	expect(second, "Peak actual rate", "A", map[string]float64{"": 260})
	expect(second, "Target rate and actual rate", "A", map[string]float64{"": 300})
	expect(second, "Target rate and actual rate", "B", map[string]float64{"": 260})
	expect(second, "Requests in flight", "A", map[string]float64{byRun + `"together"`: 30})
	expect(second, "Runs", "A", map[string]float64{byRun + `"alone"`: 1000, byRun + `"together"`: 55 * 260})
	expect(second, "Runs", "B", map[string]float64{byRun + `"alone"`: 50, byRun + `"together"`: 300})
	expect(first, "p99 send delay by worker", "A", map[string]float64{byWorker + `"one process"`: quickP99})
	expect(second, "p99 send delay by worker", "A", map[string]float64{byWorker + `"0"`: quickP99, byWorker + `"1"`: quickP99, byWorker + `"2"`: slowP99})
	expect(first, "Actual / target rate by worker", "A", map[string]float64{byWorker + `"one process"`: 1})
	expect(second, "Actual / target rate by worker", "A", map[string]float64{byWorker + `"0"`: 1, byWorker + `"1"`: 1, byWorker + `"2"`: 0.6})
	file := filepath.Join(t.TempDir(), "workers.yml")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, ".", "test", "rules", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

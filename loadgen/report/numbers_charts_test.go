package report

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// checkCharts compares the data of a page's charts, whose times are in ms, with the
// intervals and histograms of report.json.
func checkCharts(t *testing.T, r *Report, page []byte) {
	t.Helper()
	var c charts
	if err := json.Unmarshal(dataPattern.FindSubmatch(page)[1], &c); err != nil {
		t.Fatal(err)
	}
	near := func(what string, got *float64, seconds float64, count int64) {
		t.Helper()
		if (got == nil) != (count == 0) || got != nil && math.Abs(*got-1000*seconds) > 1e-6 {
			t.Errorf("%s of a chart is %v ms, in report.json %v s of %d requests", what, got, seconds, count)
		}
	}
	if len(c.At) != len(r.Intervals) {
		t.Fatalf("%d intervals of charts, %d in report.json", len(c.At), len(r.Intervals))
	}
	for i, v := range r.Intervals {
		near("p50", c.P50[i], v.Response.P50, v.Response.Count)
		near("p99", c.P99[i], v.Response.P99, v.Response.Count)
		near("max", c.Max[i], v.Response.Max, v.Response.Count)
		end := c.End
		if i+1 < len(c.At) {
			end = c.At[i+1]
		}
		if c.At[i] != v.At || c.RateTarget[i] != v.RateTarget || end > v.At+v.Seconds {
			t.Errorf("interval %d of charts begins at %v, ends at %v, target rate %v; in report.json %+v", i, c.At[i], end, c.RateTarget[i], v)
		}
		for _, k := range c.Classes {
			if n := k.Rate[i] * (end - c.At[i]); math.Abs(n-float64(v.Classes[k.Class])) > 1e-3 {
				t.Errorf("interval %d of charts has %v %s requests, in report.json %v", i, n, k.Class, v.Classes)
			}
		}
		if len(c.Heat.Cells) > 0 {
			sum := int64(0)
			for k := 1; k < len(c.Heat.Cells[i]); k += 2 {
				sum += c.Heat.Cells[i][k]
			}
			if sum != v.Response.Count {
				t.Errorf("interval %d of the heat map has %d requests, in report.json %d", i, sum, v.Response.Count)
			}
		}
	}
	for name, list := range map[string][]*float64{"response": c.Percentiles.Response, "service": c.Percentiles.Service, "send_delay": c.Percentiles.SendDelay} {
		h := r.Times(name)
		bars := barsOf(h)
		for i, v := range list {
			if v == nil {
				continue
			}
			q, d := 1-math.Pow(10, -c.Percentiles.Nines[i]), time.Duration(*v*1e6)
			longer, n := float64(above(bars, d+d/500+2)), float64(h.Count())
			shorter := n - float64(above(bars, d-d/500))
			if longer > n*(1-q)+1e-6 || shorter > math.Ceil(q*n-1e-6) {
				t.Errorf("percentile %v of %s is %v ms: in report.json %v of %v are longer, and %v shorter", q, name, *v, longer, n, shorter)
			}
		}
	}
}

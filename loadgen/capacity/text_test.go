package capacity

import (
	"bytes"
	"testing"
	"time"

	"soundcheck/internal/golden"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	base := Result{Version: ResultVersion, RunID: "20260102T030405Z-0001", Target: "http://127.0.0.1:9070", Objectives: []string{"p99<100ms", "served>99%"},
		StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Steps: []Step{
			{Rate: 50, RateActual: 50, Goodput: 50, P50: 0.012, P99: 0.021, SendDelay: 0.0002, Requests: 500, Elapsed: 12, Passed: true},
			{Rate: 100, RateActual: 100, Goodput: 99.9, P50: 0.013, P99: 0.044, SendDelay: 0.0002, Requests: 1000, Elapsed: 7, Passed: true, Early: true},
			{Rate: 200, RateActual: 199.5, Goodput: 140, P50: 0.09, P99: 1.06, SendDelay: 0.0003, Requests: 500, Elapsed: 4, Reason: "p99<100ms: 1060.00 ms", Early: true},
		}}
	for name, change := range map[string]func(r *Result){
		"target":      func(r *Result) { r.Limit, r.Rate, r.Fails = Target, 100, 104.9 },
		"hysteresis":  func(r *Result) { r.Limit, r.Rate, r.Fails, r.Hysteresis = Target, 50, 52, []float64{100, 75} },
		"generator":   func(r *Result) { r.Limit, r.Rate, r.Fails, r.Steps[2].Generator = Generator, 100, 200, true },
		"nothing":     func(r *Result) { r.Limit, r.Rate, r.Fails = Generator, 0, 50 },
		"lowest":      func(r *Result) { r.Limit, r.Rate, r.Fails = Lowest, 0, 50 },
		"highest":     func(r *Result) { r.Limit, r.Rate = Highest, 100 },
		"interrupted": func(r *Result) { r.Ended, r.Limit, r.Rate, r.Fails = "interrupted", Target, 100, 200 },
		"at_once":     func(r *Result) { r.Ended, r.Steps = "interrupted", []Step{} },
	} {
		r := base
		r.Steps = append([]Step{}, base.Steps...)
		change(&r)
		var text, js bytes.Buffer
		if err := r.Write(&text); err != nil {
			t.Fatal(err)
		}
		if err := r.WriteJSON(&js); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "testdata/"+name+".txt", text.Bytes())
		if name == "hysteresis" {
			golden.Check(t, "testdata/"+name+".json", js.Bytes())
		}
	}
}

package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/loadgen/measure"
)

// The parts of a run have each measured request, those after the last tick too, and SLOs
// judged by them have the verdicts of the report.
func TestParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testParts)
}

func testParts(t *testing.T) {
	c := Config{Plan: hundred(2500 * time.Millisecond), WarmUp: 100 * time.Millisecond, Parts: true}
	c.SLOs = slos(t, "p99<10s", "good(get)>99%", "p50(create)<1ns")
	sum, calls, last := measure.NewSum(), 0, Progress{}
	c.Progress = func(p Progress) {
		if err := sum.Add(p.Parts); err != nil {
			t.Error(err)
		}
		calls, last = calls+1, p
	}
	r := fakeAttack(t, t.Context(), c, func(at time.Duration) served { return served{after: time.Millisecond + at/10} })
	if calls != 3 || last.Requests != 240 {
		t.Errorf("%d calls of Progress, the last with %d requests, want 3 and 240", calls, last.Requests)
	}
	for scenario, name := range map[string]string{"": "response", "get": "response/get", "create": "response/create"} {
		cell, intervals := sum.Of(scenario)
		if want := r.Times(name); cell == nil || !cell.Served.HDR().Equals(want.HDR()) || cell.Served.Summary() != want.Summary() {
			t.Fatalf("%s: %+v, want %+v", name, cell, want.Summary())
		}
		n := 0
		for _, i := range intervals {
			for _, k := range i.Classes {
				n += k
			}
		}
		if n != cell.Requests() {
			t.Errorf("%s: %d requests in intervals, %d in total", name, n, cell.Requests())
		}
	}
	for i, o := range c.SLOs {
		got, want := o.Outlook(sum.Of(o.Scenario())), r.SLOs[i]
		want.Generator = false // needs service times
		if got.Verdict != want {
			t.Errorf("%+v, want %+v", got.Verdict, want)
		}
	}

	c.Parts = false
	c.Progress = func(p Progress) {
		if p.Parts != nil {
			t.Errorf("%d parts without Parts", len(p.Parts))
		}
	}
	fakeAttack(t, t.Context(), c, quick(0, 0, served{}))
}

package report

import (
	"testing"
	"time"

	"soundcheck/loadgen/measure"
)

// A run with doubled intervals merges with one without.
func TestMergeIntervals(t *testing.T) {
	t.Parallel()
	fine, wide := &measure.Intervals{Width: time.Second}, &measure.Intervals{Width: time.Second}
	for i := range 10 {
		fine.Add(time.Duration(i)*time.Second, measure.Good, time.Millisecond)
		wide.Add(time.Duration(i)*time.Second, measure.Shed, time.Millisecond)
	}
	wide.Add(700*time.Second, measure.Failed, time.Millisecond)
	if wide.Width != 2*time.Second || len(wide.List) != 351 {
		t.Fatalf("%s wide, %d of them", wide.Width, len(wide.List))
	}
	for _, order := range [][]*measure.Intervals{{fine, wide}, {wide, fine}} {
		m := &measure.Intervals{}
		for _, s := range order {
			part, err := measured(intervalsOf(s, func(time.Duration) float64 { return 0 }))
			if err != nil {
				t.Fatal(err)
			}
			m.Merge(part)
		}
		if len(m.List) != 351 || m.List[4].Classes != [4]int{2, 0, 2, 0} || m.List[350].Classes != [4]int{0, 0, 0, 1} || m.List[0].Served.TotalCount() != 2 {
			t.Errorf("merged: %d intervals, %v", len(m.List), m.List[4].Classes)
		}
	}
}

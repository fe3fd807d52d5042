package report

import (
	"fmt"
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

// Shards of one closed-model plan differ by at most one worker or user.
func TestMergeClosed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		workers []int
		flow    bool
		want    string
	}{
		{[]int{3, 3, 3}, true, ""},
		{[]int{4, 3, 3}, true, ""},
		{[]int{3, 4}, false, ""},
		{[]int{3, 30}, true, "r0 and r1 have different plans: closed model with 3 and with 30 users; shards of one plan differ by at most 1"},
		{[]int{30, 3}, false, "r0 and r1 have different plans: closed model with 30 and with 3 workers; shards of one plan differ by at most 1"},
		{[]int{3, 4, 2}, true, "r1 and r2 have different plans: closed model with 4 and with 2 users; shards of one plan differ by at most 1"},
	} {
		var reports []*Report
		sum := 0
		for i, n := range tt.workers {
			s := Setup{RunID: fmt.Sprint("r", i), Workers: n}
			if tt.flow {
				s.Flow = &Flow{Name: "buy"}
			}
			r := NewBuilder(s).Finish(time.Unix(1e9, 0), time.Second, time.Second, 1, false)
			if err := r.encodeHistograms(); err != nil {
				t.Fatal(err)
			}
			reports = append(reports, r)
			sum += n
		}
		r, err := Merge(reports)
		if tt.want == "" && (err != nil || r.Workers != sum) || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("%v: %v, %+v, want %q", tt.workers, err, r, tt.want)
		}
	}
}

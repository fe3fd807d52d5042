package compare

import (
	"fmt"
	"testing"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// An interrupted A/B run counts up to its last complete quad.
func TestArms(t *testing.T) {
	t.Parallel()
	s := &measure.Intervals{Width: time.Second}
	for i := range 10 {
		s.Add(time.Duration(i)*time.Second, measure.Good, time.Duration(i+1)*time.Millisecond)
	}
	for elapsed, want := range map[time.Duration]string{
		-time.Second: "[] []", 3900 * time.Millisecond: "[] []", 9 * time.Second: "[1 1 1 1] [1 1 1 1]", 12 * time.Second: "[1 1 1 1 1 0] [1 1 1 1 1 0]",
	} {
		both, err := arms(&report.Report{Sent: 10, Intervals: written(s)}, elapsed, time.Second, 1)
		var good [2][]int
		for i, arm := range both {
			for _, b := range arm {
				good[i] = append(good[i], b.Good)
			}
		}
		if got := fmt.Sprint(good[0], good[1]); err != nil || got != want {
			t.Errorf("after %s: %s, %v, want %s", elapsed, got, err, want)
		}
	}
}

package compare

import (
	"slices"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
)

// Turns compares the two targets of an A/B run, whose report has an interval for each block. A
// is the baseline; tolerance is the accepted regression, a share of A's value. A run that
// ended early counts up to its last complete quad.
func Turns(r *report.Report, plan schedule.Plan, block time.Duration, a, b string, tolerance float64) (*Result, error) {
	elapsed := plan.Duration()
	if r.Ended != "" {
		elapsed = min(elapsed, measure.Seconds(r.Elapsed))
	}
	arms, err := arms(r, elapsed-measure.Seconds(r.WarmUpTime), block, plan.Average(0))
	if err != nil {
		return nil, err
	}
	c := comparison{A: Side{Name: a, Blocks: arms[0]}, B: Side{Name: b, Blocks: arms[1]}, Tolerance: tolerance, Invalid: r.Invalid}
	if reason := failures(r); reason != "" {
		c.Warnings = []string{"both: " + reason}
	}
	return c.quads(), nil
}

// arms returns the blocks of both targets, in complete quads within elapsed. Two blocks can have
// different numbers of scheduled requests. A block's duration is the time of its requests at the
// target rate.
func arms(r *report.Report, elapsed, block time.Duration, rate float64) (arms [2][]Block, err error) {
	list, err := blocks(r)
	if err != nil {
		return arms, err
	}
	n := max(int(elapsed/block)/schedule.Quad*schedule.Quad, 0)
	list = append(list, slices.Repeat([]Block{{}}, max(n-len(list), 0))...)
	for i, b := range list[:n] {
		b.Seconds = 0
		if i < len(r.Intervals) {
			for _, n := range r.Intervals[i].Classes {
				b.Seconds += float64(n) / rate
			}
		}
		arms[schedule.Arm(i)] = append(arms[schedule.Arm(i)], b)
	}
	return arms, nil
}

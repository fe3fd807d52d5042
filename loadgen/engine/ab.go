package engine

import (
	"context"
	"net/url"
	"time"

	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
)

// AB runs one open-model load on two targets in alternating blocks of time. The plan is
// c.WarmUp, in blocks too but not measured, followed by complete A B B A sequences. Both
// targets get the same requests in the same order, except for ids and pages from their own
// responses. The report covers both, with an interval for each block.
func AB(ctx context.Context, c Config, a, b string, block time.Duration) (*report.Report, error) {
	c.URL = a + " and " + b + ", alternating"
	for _, s := range []string{a, b} {
		u, err := url.Parse(s)
		if err != nil {
			return nil, err
		}
		c.arms = append(c.arms, u)
	}
	c.interval, c.arm = block, schedule.Turns(c.WarmUp, block)
	return Run(ctx, c)
}

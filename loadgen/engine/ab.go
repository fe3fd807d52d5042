package engine

import (
	"context"
	"net/url"
	"time"

	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
)

// AB sends to two targets in turn, a block of time each, as Run does to one, in the open
// model. The plan is c.WarmUp and then whole quads of blocks: what is due in the warm-up
// goes to both in turn too, and is not counted. The targets get the same requests in the
// same order, as far as the plan has as many for both, but for the ids and pages that each
// names. The report is of both together, with an interval for each block.
func AB(ctx context.Context, c Config, a, b string, block time.Duration) (*report.Report, error) {
	c.URL = a + " and " + b + ", in turn"
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

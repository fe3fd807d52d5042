package attack

import (
	"context"
	"net/url"
	"time"

	"soundcheck/loadgen/compare"
)

// Limits of an attack in turns.
const (
	MinBlock  = 200 * time.Millisecond
	MaxBlocks = maxIntervals
	quad      = 4 // blocks
)

// ABReport is what came of an attack on two targets in turn.
type ABReport struct {
	*Report                 // of both together
	A, B    []compare.Block // in order of time; two of each are a quad
}

// abba is the arm of block n: 0 for A, 1 for B. In A B B A what grows steadily is the
// same for both on average.
func abba(n int) int {
	if n = n % quad; n == 0 || n == quad-1 {
		return 0
	}
	return 1
}

// turns says which arm is attacked when. The warm-up's turns are as if there were blocks
// before the first one.
func turns(warmUp, block time.Duration) func(due time.Duration) int {
	ahead := (warmUp/(quad*block) + 1) * quad * block
	return func(due time.Duration) int { return abba(int((due - warmUp + ahead) / block)) }
}

// AB attacks two targets in turn, a block of time each, as Run does with one, in the open model. The
// plan is c.WarmUp and then whole quads of blocks: what is due in the warm-up goes to both in turn
// too, and is not counted. The targets get the same requests in the same order, as far as
// the plan has as many for both, but for the ids and pages that each names. If ctx
// ends, only quads that are complete are reported.
func AB(ctx context.Context, c Config, a, b string, block time.Duration) (*ABReport, error) {
	c.URL = a + " and " + b + ", in turn"
	for _, s := range []string{a, b} {
		u, err := url.Parse(s)
		if err != nil {
			return nil, err
		}
		c.arms = append(c.arms, u)
	}
	c.interval = block
	c.arm = turns(c.WarmUp, block)
	r, err := Run(ctx, c)
	if err != nil {
		return nil, err
	}
	elapsed := c.Plan.Duration()
	if ctx.Err() != nil || r.Ended != "" {
		elapsed = min(elapsed, seconds(r.Elapsed))
	}
	arms, err := r.inTurns(elapsed-c.WarmUp, block, c.Plan.average(0))
	if err != nil {
		return nil, err
	}
	return &ABReport{r, arms[0], arms[1]}, nil
}

// Compare compares the two, by their names: see compare.Comparison.
func (r *ABReport) Compare(a, b string, tolerance float64) *compare.Result {
	c := compare.Comparison{A: compare.Side{Name: a, Blocks: r.A}, B: compare.Side{Name: b, Blocks: r.B}, Tolerance: tolerance, Invalid: r.Invalid}
	if why := r.failures(); why != "" {
		c.Warnings = []string{"of both, " + why}
	}
	return c.Quads()
}

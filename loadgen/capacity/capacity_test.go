package capacity

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// atMost is a target that passes up to a rate.
func atMost(limit float64) func(context.Context, float64) (Step, error) {
	return func(_ context.Context, rate float64) (Step, error) {
		return Step{Rate: rate, Passed: rate <= limit}, nil
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	r := Range{Lowest: 10, Highest: 20_000, Precision: 0.05}
	for _, limit := range []float64{10, 11, 19.9, 20, 137, 1000, 1024, 7777, 19_999} {
		res, err := Search(t.Context(), r, atMost(limit))
		if err != nil || res.Limit != Target || res.Rate > limit || res.Fails <= limit || res.Fails > res.Rate*(1+r.Precision)*(1+1e-9) || len(res.Hysteresis) != 0 {
			t.Errorf("limit %g: %+v, %v", limit, res, err)
		}
		// The rate passed after the last failure: it is the rate after an overload.
		last := res.Steps[len(res.Steps)-1]
		if !last.Passed || last.Rate != res.Rate {
			t.Errorf("limit %g: the last step was %+v", limit, last)
		}
		if n := len(res.Steps); n > 20 {
			t.Errorf("limit %g: %d steps", limit, n)
		}
	}
	if res, err := Search(t.Context(), r, atMost(1e9)); err != nil || res.Limit != Highest || res.Rate != 20_000 || res.Fails != 0 {
		t.Errorf("a target without a limit: %+v, %v", res, err)
	}
	if res, err := Search(t.Context(), r, atMost(9)); err != nil || res.Limit != Lowest || res.Rate != 0 || res.Fails != 10 || len(res.Steps) != 1 {
		t.Errorf("a target that can do nothing: %+v, %v", res, err)
	}
}

// A target with a lower capacity after an overload, as with full queues or cold caches: the
// result is the rate after the overload.
func TestHysteresis(t *testing.T) {
	t.Parallel()
	limit := 1000.0
	res, err := Search(t.Context(), Range{10, 20_000, 0.05}, func(ctx context.Context, rate float64) (Step, error) {
		st, err := atMost(limit)(ctx, rate)
		if !st.Passed {
			limit = 500
		}
		return st, err
	})
	if err != nil || res.Rate > 500 || res.Rate < 450 || len(res.Hysteresis) == 0 {
		t.Errorf("%+v, %v, want about 500", res, err)
	}
}

// The limit of the generator is not reported as the target's.
func TestGeneratorLimit(t *testing.T) {
	t.Parallel()
	res, err := Search(t.Context(), Range{10, 20_000, 0.05}, func(ctx context.Context, rate float64) (Step, error) {
		st, err := atMost(3000)(ctx, rate)
		st.Generator = !st.Passed
		return st, err
	})
	if err != nil || res.Limit != Generator || res.Rate > 3000 || res.Rate < 2800 {
		t.Errorf("%+v, %v, want some 3000 and the generator's limit", res, err)
	}
}

// Near its limit a target passes by chance. The search terminates with a result near the limit.
func TestNoisyTarget(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		res, err := Search(t.Context(), Range{10, 20_000, 0.05}, func(_ context.Context, rate float64) (Step, error) {
			return Step{Rate: rate, Passed: rate < 1000*(1+0.1*rng.NormFloat64())}, nil
		})
		if err != nil || res.Rate < 600 || res.Rate > 1300 {
			t.Errorf("seed %d: %g after %d steps, %v", seed, res.Rate, len(res.Steps), err)
		}
	}
}

func TestSearchEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := Search(t.Context(), Range{10, 100, 0.05}, func(context.Context, float64) (Step, error) { return Step{}, broken }); !errors.Is(err, broken) {
		t.Errorf("a step that fails: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	res, err := Search(ctx, Range{10, 100, 0.05}, func(_ context.Context, rate float64) (Step, error) {
		if rate > 20 {
			cancel(fmt.Errorf("enough"))
		}
		return Step{Rate: rate, Passed: true}, nil
	})
	if err == nil || err.Error() != "enough" || len(res.Steps) != 2 || res.Rate != 20 {
		t.Errorf("ended: %+v, %v", res, err)
	}
}

// A target whose verdicts contradict each other is unsteady.
func TestUnsteady(t *testing.T) {
	t.Parallel()
	n := 0
	res, err := Search(t.Context(), Range{10, 20_000, 0.05}, func(_ context.Context, rate float64) (Step, error) {
		n++
		return Step{Rate: rate, Passed: rate <= 10 || n%2 == 0}, nil
	})
	if err == nil && (res.Rate == 0 || res.Ended != "") || err != nil && (!errors.Is(err, ErrUnsteady) || res.Ended != "unsteady" || len(res.Steps) != MaxSteps) {
		t.Errorf("%+v, %v", res, err)
	}
}

package measure

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"soundcheck/loadgen/explain"
)

// Sizes of a scenario's sample for tail-latency attribution.
const (
	maxKept      = 400 // random sample
	maxExplained = 20  // slowest requests, and as many typical ones
	minExplained = 5   // fewer are not compared
)

// sampler stores the slowest requests of a scenario, and a random sample.
type sampler struct {
	rng  *rand.Rand
	seen int
	kept []explain.Request // a reservoir
	slow []explain.Request // slowest first
}

func (s *sampler) add(r explain.Request) {
	s.seen++
	if len(s.kept) < maxKept {
		s.kept = append(s.kept, r)
	} else if i := s.rng.IntN(s.seen); i < maxKept {
		s.kept[i] = r
	}
	at, _ := slices.BinarySearchFunc(s.slow, r, func(a, b explain.Request) int { return cmp.Compare(b.Response, a.Response) })
	if at < maxExplained {
		s.slow = slices.Insert(s.slow, at, r)
		s.slow = s.slow[:min(len(s.slow), maxExplained)]
	}
}

// group returns the slowest requests and those nearest to the median. False: too few
// requests.
func (s *sampler) group(scenario string, median time.Duration) (explain.Group, bool) {
	n := min(maxExplained, s.seen/4)
	if n < minExplained {
		return explain.Group{}, false
	}
	slow := s.slow[:n]
	typical := slices.DeleteFunc(slices.Clone(s.kept), func(r explain.Request) bool { return slices.Contains(slow, r) })
	slices.SortStableFunc(typical, func(a, b explain.Request) int {
		return cmp.Compare((a.Response - median).Abs(), (b.Response - median).Abs())
	})
	return explain.Group{Scenario: scenario, Slow: slices.Clone(slow), Typical: typical[:min(n, len(typical))]}, true
}

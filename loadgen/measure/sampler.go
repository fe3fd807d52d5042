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
	return Pick(explain.Group{Scenario: scenario, Slow: s.slow, Typical: s.kept}, s.seen, median)
}

// candidates returns the requests from which the group of several processes is picked. A
// process with few requests has some of the slowest of all.
func (s *sampler) candidates(scenario string, median time.Duration) explain.Group {
	typical := nearest(s.kept, median)
	return explain.Group{Scenario: scenario, Slow: slices.Clone(s.slow), Typical: typical[:min(len(typical), maxTypical)]}
}

// maxTypical is the max number of typical candidates of a process: enough if the group of
// all has its slowest ones among them.
const maxTypical = 2 * maxExplained

// Pick returns the slowest candidates, and of the others those nearest to the median, for a
// number of served requests. False: too few requests.
func Pick(candidates explain.Group, served int, median time.Duration) (explain.Group, bool) {
	n := min(maxExplained, served/4, len(candidates.Slow))
	if n < minExplained {
		return explain.Group{}, false
	}
	slow := slices.Clone(candidates.Slow[:n])
	typical := slices.DeleteFunc(nearest(candidates.Typical, median), func(r explain.Request) bool { return slices.Contains(slow, r) })
	return explain.Group{Scenario: candidates.Scenario, Slow: slow, Typical: typical[:min(n, len(typical))]}, true
}

// MergeCandidates adds the candidates of another process.
func MergeCandidates(to *explain.Group, from explain.Group) {
	to.Slow = slices.Concat(to.Slow, from.Slow)
	slices.SortStableFunc(to.Slow, func(a, b explain.Request) int { return cmp.Compare(b.Response, a.Response) })
	to.Slow = to.Slow[:min(len(to.Slow), maxExplained)]
	to.Typical = append(to.Typical, from.Typical[:min(len(from.Typical), maxTypical)]...)
}

// nearest returns the requests by distance from the median.
func nearest(list []explain.Request, median time.Duration) []explain.Request {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b explain.Request) int {
		return cmp.Compare((a.Response - median).Abs(), (b.Response - median).Abs())
	})
	return list
}

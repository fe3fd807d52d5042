package slo

import (
	"math"

	"soundcheck/loadgen/measure"
)

// Outlook is the state of an SLO during a run.
type Outlook struct {
	Objective
	Verdict
	Clear bool // more requests would not change the verdict
}

// clearBy is the min distance of a share from its bound, in standard errors. A run checks
// every second, so that a single check must rarely be wrong.
const clearBy = 3.5

// Outlook judges the SLO by the requests so far, in total and by interval.
func (s Objective) Outlook(c *measure.Cell, intervals []*measure.Interval) Outlook {
	o := Outlook{Objective: s, Verdict: s.Judge(c, intervals)}
	if c != nil {
		o.Clear = s.clear(c, intervals)
	}
	return o
}

// Violated names an SLO that is clearly violated; "": none is.
func Violated(list []Outlook) string {
	for _, o := range list {
		if o.Clear && !o.Met {
			return "SLO " + o.Objective.String() + " violated"
		}
	}
	return ""
}

// generator reports whether a violated SLO would have been met if all requests had been sent
// at their scheduled times: the service times meet it, and the send delay is above its limit.
// Without the second condition, a target just beyond its bound would blame the generator.
func (s Objective) generator(c *measure.Cell) bool {
	if c == nil || c.Requests() == 0 {
		return false
	}
	if s.quantile > 0 {
		response, service := c.Served.Quantile(s.quantile), c.Service.Quantile(s.quantile)
		return c.Service.Count() > 0 && service < s.limit() && (response-service).Seconds() > measure.SendDelayLimit(response.Seconds())
	}
	hits := c.Classes[s.class]
	switch s.class {
	case measure.Late:
		hits -= c.Delayed
	case measure.Good:
		hits += c.Delayed
	}
	return c.Delayed > 0 && s.meets(float64(hits)/float64(c.Requests()))
}

// steady reports whether the SLO is not clearly violated in the last third of the intervals.
// Few requests can violate it by chance.
func (s Objective) steady(intervals []*measure.Interval) bool {
	hits, of := s.recent(intervals)
	if of == 0 {
		return true
	}
	bound := s.share
	if s.quantile > 0 {
		bound = 1 - s.quantile
	}
	low, high := wilson(hits, of, steadyBy)
	if s.quantile > 0 || s.below {
		return low <= bound
	}
	return high >= bound
}

// steadyBy is how many standard errors make a violation clear there.
const steadyBy = 2

// minIntervals is the number of intervals before a verdict is clear: a target may start cold.
const minIntervals = 5

// clear reports whether the SLO's share is clearly on one side of its bound, in total and in
// the last third of the run. Requests of one interval are correlated. The spread between
// intervals (design effect) corrects the standard error for that.
func (s Objective) clear(c *measure.Cell, intervals []*measure.Interval) bool {
	hits, of, bound := float64(c.Classes[s.class]), float64(c.Requests()), s.share
	if s.quantile > 0 {
		hits, of, bound = float64(c.Served.Above(s.limit())), float64(c.Served.Count()), 1-s.quantile
	}
	if of == 0 {
		return false
	}
	if bound == 0 && s.below || bound == 1 && !s.below { // one request violates it, no number of them meets it
		return hits > 0 && s.below || hits < of && !s.below
	}
	share := hits / of
	design, spread := 1.0, 0.0
	for _, i := range intervals {
		h, n := s.hits(i)
		spread += (h - share*n) * (h - share*n)
	}
	if m := float64(len(intervals)); m > 1 && share > 0 && share < 1 {
		design = max(1, spread*m/(m-1)/(of*share*(1-share)))
	}
	low, high := wilson(hits/design, of/design, clearBy)
	if len(intervals) < minIntervals || low <= bound && high >= bound {
		return false
	}
	late, lateOf := s.recent(intervals)
	return lateOf > 0 && (late/lateOf > bound) == (low > bound)
}

// recent returns hits of the last third of the intervals.
func (s Objective) recent(intervals []*measure.Interval) (hits, of float64) {
	for _, i := range intervals[2*len(intervals)/3:] {
		h, n := s.hits(i)
		hits, of = hits+h, of+n
	}
	return hits, of
}

// hits returns how many requests of an interval the SLO counts, and the number of requests.
func (s Objective) hits(i *measure.Interval) (hits, of float64) {
	if s.quantile > 0 {
		for value, n := range i.Served.ForEachBucket {
			if value >= int64(s.limit()) {
				hits += float64(n)
			}
		}
		return hits, float64(i.Served.TotalCount())
	}
	for k, n := range i.Classes {
		if of += float64(n); measure.Classes[k] == s.class {
			hits = float64(n)
		}
	}
	return hits, of
}

// wilson returns Wilson's score interval of a share, z standard errors to each side. It is
// exactly 0 below for no hits, and exactly 1 above for hits only: rounding would put it
// beyond a bound of 0% or 100%.
func wilson(hits, of, z float64) (low, high float64) {
	p, z2 := hits/of, z*z
	middle := (p + z2/(2*of)) / (1 + z2/of)
	half := z / (1 + z2/of) * math.Sqrt(max(p*(1-p), 0)/of+z2/(4*of*of))
	low, high = max(middle-half, 0), min(middle+half, 1)
	if hits <= 0 {
		low = 0
	}
	if hits >= of {
		high = 1
	}
	return low, high
}

package slo

import (
	"math"

	"soundcheck/loadgen/measure"
)

// Outlook is what can be said of an objective while a run goes on.
type Outlook struct {
	Objective
	Verdict
	Clear bool // more requests would not change the verdict
}

// clearBy is how many standard errors a share has to be away from its bound: a run
// looks every second, and must not be wrong once.
const clearBy = 3.5

// Outlook says what can be said of the objective by the requests so far, and the same by
// time.
func (s Objective) Outlook(c *measure.Cell, intervals []*measure.Interval) Outlook {
	o := Outlook{Objective: s, Verdict: s.Judge(c, intervals)}
	if c != nil {
		o.Clear = s.clear(c, intervals)
	}
	return o
}

// Violated names an objective that is clearly not met; "": there is none.
func Violated(list []Outlook) string {
	for _, o := range list {
		if o.Clear && !o.Met {
			return "the objective " + o.Objective.String() + " was not met"
		}
	}
	return ""
}

// generator reports whether an objective that is violated would have been met had the
// requests been sent when they were scheduled. The service times have to meet it, and the
// send delay has to be more than a generator adds that keeps up: next to its bound a
// target violates an objective by itself.
func (s Objective) generator(c *measure.Cell) bool {
	if c == nil || c.Requests() == 0 {
		return false
	}
	if s.quantile > 0 {
		response, service := c.Served.Quantile(s.quantile), c.Service.Quantile(s.quantile)
		return c.Service.Count() > 0 && service < s.bound && (response-service).Seconds() > measure.LagLimit(response.Seconds())
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

// steady reports whether the objective is met in the last third of the intervals, or is
// not clearly missed there, as in a few requests it can be by chance.
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

// steadyBy is how many standard errors count as clear there.
const steadyBy = 2

// minIntervals is how long a run is before anything is clear: at its beginning a
// target may be cold.
const minIntervals = 5

// clear reports whether the share that the objective is about is clearly on one side of
// its bound, and on the same side in the last third of the time. Requests of one interval
// are alike, so that they tell less than as many independent ones would: the intervals'
// own spread says how much less.
func (s Objective) clear(c *measure.Cell, intervals []*measure.Interval) bool {
	hits, of, bound := float64(c.Classes[s.class]), float64(c.Requests()), s.share
	if s.quantile > 0 {
		hits, of, bound = float64(c.Served.Above(s.bound)), float64(c.Served.Count()), 1-s.quantile
	}
	if of == 0 {
		return false
	}
	if bound == 0 && s.below || bound == 1 && !s.below { // one is enough to violate it, none are enough to meet it
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

// recent returns how many requests of the last third of the intervals have what the
// objective is about, and of how many.
func (s Objective) recent(intervals []*measure.Interval) (hits, of float64) {
	for _, i := range intervals[2*len(intervals)/3:] {
		h, n := s.hits(i)
		hits, of = hits+h, of+n
	}
	return hits, of
}

// hits returns how many requests of an interval have what the objective is about, and
// of how many.
func (s Objective) hits(i *measure.Interval) (hits, of float64) {
	if s.quantile > 0 {
		for value, n := range i.Served.ForEachBucket {
			if value >= int64(s.bound) {
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

// wilson returns the interval of a share by Wilson's score, z standard errors to each
// side. Of no hits it begins at 0 and of nothing but hits it ends at 1, exactly: by the
// formula rounding leaves a little, which is above a bound of 0 or below one of 1.
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

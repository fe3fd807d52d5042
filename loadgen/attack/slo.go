package attack

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// SLO is an objective that an attack is judged by.
type SLO struct {
	text     string
	scenario string        // "": all
	quantile float64       // of the response times of served requests; 0: it is about a share
	class    Class         // whose share it is
	below    bool          // the objective is to be below the bound, else above it
	bound    time.Duration // of a quantile
	share    float64       // of requests
}

// String returns the objective as it was written.
func (s SLO) String() string { return s.text }

// Scenario is the scenario whose requests the objective is about; "": all.
func (s SLO) Scenario() string { return s.scenario }

// Share reports whether the objective is about a share of the requests, and not about
// response times.
func (s SLO) Share() bool { return s.quantile == 0 }

var sloPattern = regexp.MustCompile(`^(p[0-9.]+|max|good|late|shed|failed)(?:\(([a-z]+)\))?([<>])([0-9.]+)(%|[µa-z]+)$`)

// ParseSLO reads an objective: "p99<250ms" or "max<1s" about the response times of
// served requests, "good>99.9%", "failed<1%", "shed<5%" or "late<1%" about their
// shares; each can be of one scenario, as in "p99(get)<50ms".
func ParseSLO(s string) (SLO, error) {
	bad := fmt.Errorf(`%q is not like p99<250ms, p99(get)<50ms or good>99.9%%`, s)
	m := sloPattern.FindStringSubmatch(strings.ReplaceAll(s, " ", ""))
	if m == nil {
		return SLO{}, bad
	}
	slo := SLO{text: m[0], scenario: m[2], below: m[3] == "<"}
	if slo.scenario != "" && scenarioOf(slo.scenario) == nil {
		return SLO{}, fmt.Errorf("%q: there is no scenario %s", s, slo.scenario)
	}
	var err error
	switch what := m[1]; {
	case what == "max":
		slo.quantile = 1
	case what[0] == 'p':
		percent, err := strconv.ParseFloat(what[1:], 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return SLO{}, fmt.Errorf("%q: the percentile must be above 0 and up to 100", s)
		}
		slo.quantile = percent / 100
	default:
		slo.class = Class(what)
		percent, err := strconv.ParseFloat(m[4], 64)
		if m[5] != "%" || err != nil || !(percent >= 0 && percent <= 100) {
			return SLO{}, fmt.Errorf("%q: the share must be from 0%% to 100%%", s)
		}
		slo.share = percent / 100
		return slo, nil
	}
	if slo.bound, err = time.ParseDuration(m[4] + m[5]); err != nil || slo.bound <= 0 || !slo.below {
		return SLO{}, fmt.Errorf("%q: a response time must be below a duration, as in p99<250ms", s)
	}
	return slo, nil
}

// Verdict is what became of an objective.
type Verdict struct {
	SLO   string  `json:"slo"`
	Met   bool    `json:"met"`
	Value float64 `json:"value"` // seconds, or a share of 1
	Text  string  `json:"text"`
	// Steady is false if the objective was met in all, and not in the last third of the
	// time: what builds up slowly is not met for long.
	Steady bool `json:"steady"`
	// Generator is true if it was not met, and would have been had the generator sent the
	// requests of its scenario when they were scheduled.
	Generator bool `json:"generator,omitempty"`
}

// judge compares an objective with what came of the attack. One about requests that
// there were none of is not met: it has not been shown.
func (s SLO) judge(c *cell) Verdict {
	v := Verdict{SLO: s.text}
	if c == nil || c.requests() == 0 || s.quantile > 0 && c.served.count() == 0 {
		v.Text = "no such requests"
		return v
	}
	if s.quantile > 0 {
		t := c.served.quantile(s.quantile)
		v.Value, v.Met, v.Text = t.Seconds(), t < s.bound, ms(t.Seconds())
		return v
	}
	v.Value = float64(c.classes[s.class]) / float64(c.requests())
	v.Text = fmt.Sprintf("%.3f%%", 100*v.Value)
	v.Met = s.meets(v.Value)
	return v
}

// rounding is by how much a share that was computed differs from the exact one at most.
const rounding = 1e-12

// meets reports whether a share meets the objective. Below 0% and above 100% there is
// nothing: those bounds may be reached.
func (s SLO) meets(share float64) bool {
	if s.below {
		return share < s.share-rounding || s.share == 0 && share == 0
	}
	return share > s.share+rounding || s.share == 1 && share == 1
}

// lateAfter returns when an answer of a scenario is late: after the time that the
// objective about the highest percentile has for it, those about the scenario itself
// before those about all; 0 if there is none.
func lateAfter(slos []SLO, scenario string) time.Duration {
	for _, name := range []string{scenario, ""} {
		var best SLO
		for _, s := range slos {
			if s.scenario == name && s.quantile > best.quantile {
				best = s
			}
		}
		if best.quantile > 0 {
			return best.bound
		}
	}
	return 0
}

// Outlook is what can be said of an objective while an attack goes on.
type Outlook struct {
	SLO
	Verdict
	Clear bool // more requests would not change the verdict
}

// clearBy is how many standard errors a share has to be away from its bound: an attack
// looks every second, and must not be wrong once.
const clearBy = 3.5

// outlooks returns what can be said of the objectives so far.
func (k *collector) outlooks() []Outlook {
	var list []Outlook
	for _, v := range k.verdicts() {
		o := Outlook{SLO: k.c.SLOs[len(list)], Verdict: v}
		c, intervals := k.about(o.SLO)
		if c != nil {
			o.Clear = o.clear(c, intervals)
		}
		list = append(list, o)
	}
	return list
}

// about returns the requests that an objective is about, and the same by time.
func (k *collector) about(s SLO) (*cell, []*interval) {
	if s.scenario != "" {
		return k.rows[s.scenario], k.parts[s.scenario].list
	}
	return k.all, k.intervals.list
}

// verdicts judges the objectives by what was answered so far.
func (k *collector) verdicts() []Verdict {
	var list []Verdict
	for _, s := range k.c.SLOs {
		c, intervals := k.about(s)
		v := s.judge(c)
		v.Steady = v.Met && s.steady(intervals)
		v.Generator = !v.Met && s.generator(c)
		list = append(list, v)
	}
	return list
}

// generator reports whether an objective that is violated would have been met had the
// requests been sent when they were scheduled. The service times have to meet it, and the
// send delay has to be more than a generator adds that keeps up: next to its bound a
// target violates an objective by itself.
func (s SLO) generator(c *cell) bool {
	if c == nil || c.requests() == 0 {
		return false
	}
	if s.quantile > 0 {
		response, service := c.served.quantile(s.quantile), c.service.quantile(s.quantile)
		return c.service.count() > 0 && service < s.bound && (response-service).Seconds() > lagLimit(response.Seconds())
	}
	hits := c.classes[s.class]
	switch s.class {
	case Late:
		hits -= c.delayed
	case Good:
		hits += c.delayed
	}
	return c.delayed > 0 && s.meets(float64(hits)/float64(c.requests()))
}

// steady reports whether the objective is met in the last third of the intervals, or is
// not clearly missed there, as in a few requests it can be by chance.
func (s SLO) steady(intervals []*interval) bool {
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

// minIntervals is how long an attack is before anything is clear: at its beginning a
// target may be cold.
const minIntervals = 5

// clear reports whether the share that the objective is about is clearly on one side of
// its bound, and on the same side in the last third of the time. Requests of one interval
// are alike, so that they tell less than as many independent ones would: the intervals'
// own spread says how much less.
func (s SLO) clear(c *cell, intervals []*interval) bool {
	hits, of, bound := float64(c.classes[s.class]), float64(c.requests()), s.share
	if s.quantile > 0 {
		hits, of, bound = float64(c.served.above(s.bound)), float64(c.served.count()), 1-s.quantile
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
		h, n := i.hits(s)
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
func (s SLO) recent(intervals []*interval) (hits, of float64) {
	for _, i := range intervals[2*len(intervals)/3:] {
		h, n := i.hits(s)
		hits, of = hits+h, of+n
	}
	return hits, of
}

// hits returns how many requests of an interval have what the objective is about, and
// of how many.
func (i *interval) hits(s SLO) (hits, of float64) {
	if s.quantile > 0 {
		for value, n := range i.served.ForEachBucket {
			if value >= int64(s.bound) {
				hits += float64(n)
			}
		}
		return hits, float64(i.served.TotalCount())
	}
	for k, n := range i.classes {
		if of += float64(n); classes[k] == s.class {
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

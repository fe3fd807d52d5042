// Package slo parses the SLOs of a run and judges them.
package slo

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"soundcheck/loadgen/measure"
)

// Objective is an SLO on a response-time percentile or on the share of a class.
type Objective struct {
	text     string
	scenario string        // "": all
	quantile float64       // of the response times of served requests; 0: a share
	class    measure.Class // of a share
	below    bool          // met below the bound, else above it
	equal    bool          // met at the bound too: <= or >=
	bound    time.Duration // of a quantile
	share    float64       // of requests
}

// String returns the SLO as written, without blanks.
func (s Objective) String() string { return s.text }

// Scenario returns the scenario that the SLO is limited to; "": all.
func (s Objective) Scenario() string { return s.scenario }

// Share reports whether the SLO is on a share of the requests, not on response times.
func (s Objective) Share() bool { return s.quantile == 0 }

var sloPattern = regexp.MustCompile(`^(p[0-9.]+|max|good|late|shed|failed)(?:\(([A-Za-z0-9_.-]+)\))?([<>])(=?)([0-9.]+)(%|[µa-z]+)$`)

// ParseList parses SLOs separated by commas.
func ParseList(s string) (list []Objective, err error) {
	for part := range strings.SplitSeq(s, ",") {
		o, err := Parse(part)
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// Parse parses an SLO: "p99<250ms" or "max<1s" on the response times of served requests,
// "good>99.9%", "failed<1%", "shed<5%" or "late<1%" on shares. Each can be limited to a
// scenario, as in "p99(get)<50ms"; the caller checks that there is one. With <= and >= the bound itself meets it.
func Parse(s string) (Objective, error) {
	bad := fmt.Errorf(`%q is not an SLO, as in p99<250ms, p99(get)<50ms or good>99.9%%`, s)
	m := sloPattern.FindStringSubmatch(strings.ReplaceAll(s, " ", ""))
	if m == nil {
		return Objective{}, bad
	}
	slo := Objective{text: m[0], scenario: m[2], below: m[3] == "<", equal: m[4] == "="}
	var err error
	switch what := m[1]; {
	case what == "max":
		slo.quantile = 1
	case what[0] == 'p':
		percent, err := strconv.ParseFloat(what[1:], 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return Objective{}, fmt.Errorf("%q: the percentile is out of range: above 0, up to 100", s)
		}
		slo.quantile = percent / 100
	default:
		slo.class = measure.Class(what)
		percent, err := strconv.ParseFloat(m[5], 64)
		if m[6] != "%" || err != nil || !(percent >= 0 && percent <= 100) {
			return Objective{}, fmt.Errorf("%q: the share is out of range: 0%% to 100%%", s)
		}
		slo.share = percent / 100
		return slo, nil
	}
	if slo.bound, err = time.ParseDuration(m[5] + m[6]); err != nil || slo.bound <= 0 || !slo.below {
		return Objective{}, fmt.Errorf("%q: an SLO on response times is below a duration, as in p99<250ms", s)
	}
	return slo, nil
}

// Verdict is the result of an SLO.
type Verdict struct {
	SLO   string  `json:"slo"`
	Met   bool    `json:"met"`
	Value float64 `json:"value"` // seconds, or a share of 1
	Text  string  `json:"text"`
	// Steady is true if the SLO was met in the last third of the run too, in which a queue
	// that grows slowly shows.
	Steady bool `json:"steady"`
	// Generator is true for a violated SLO that would have been met without send delay.
	Generator bool `json:"generator,omitempty"`
}

// Judge returns the verdict for requests, in total and by interval; nil: intervals unknown.
// An SLO without requests is violated.
func (s Objective) Judge(c *measure.Cell, intervals []*measure.Interval) Verdict {
	v := s.measured(c)
	v.Steady = v.Met && s.steady(intervals)
	v.Generator = !v.Met && s.generator(c)
	return v
}

func (s Objective) measured(c *measure.Cell) Verdict {
	v := Verdict{SLO: s.text}
	if c == nil || c.Requests() == 0 || s.quantile > 0 && c.Served.Count() == 0 {
		v.Text = "no requests"
		return v
	}
	if s.quantile > 0 {
		t := c.Served.Quantile(s.quantile)
		v.Value, v.Met, v.Text = t.Seconds(), t < s.limit(), fmt.Sprintf("%.2f ms", 1000*t.Seconds())
		return v
	}
	v.Value = float64(c.Classes[s.class]) / float64(c.Requests())
	v.Text = fmt.Sprintf("%.3f%%", 100*v.Value)
	v.Met = s.meets(v.Value)
	return v
}

// limit is the shortest response time that violates a bound of response times.
func (s Objective) limit() time.Duration {
	if s.equal {
		return s.bound + 1
	}
	return s.bound
}

// rounding is the max error of a computed share.
const rounding = 1e-12

// meets reports whether a share meets the SLO. The bounds 0% and 100% are inclusive, because
// no share is beyond them.
func (s Objective) meets(share float64) bool {
	switch {
	case s.equal && s.below:
		return share <= s.share+rounding
	case s.equal:
		return share >= s.share-rounding
	case s.below:
		return share < s.share-rounding || s.share == 0 && share == 0
	}
	return share > s.share+rounding || s.share == 1 && share == 1
}

// LateAfter returns the response time from which a response of a scenario is late: the bound
// of the SLO on the highest percentile of the scenario, else of all; 0: none.
func LateAfter(list []Objective, scenario string) time.Duration {
	for _, name := range []string{scenario, ""} {
		var best Objective
		for _, s := range list {
			if s.scenario == name && s.quantile > best.quantile {
				best = s
			}
		}
		if best.quantile > 0 {
			return best.limit()
		}
	}
	return 0
}

// Package slo has the objectives that a run is judged by, and their verdicts.
package slo

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/workload"
)

// Objective is about response times or a share of the requests.
type Objective struct {
	text     string
	scenario string        // "": all
	quantile float64       // of the response times of served requests; 0: it is about a share
	class    measure.Class // whose share it is
	below    bool          // the objective is to be below the bound, else above it
	bound    time.Duration // of a quantile
	share    float64       // of requests
}

// String returns the objective as it was written.
func (s Objective) String() string { return s.text }

// Scenario is the scenario whose requests the objective is about; "": all.
func (s Objective) Scenario() string { return s.scenario }

// Share reports whether the objective is about a share of the requests, and not about
// response times.
func (s Objective) Share() bool { return s.quantile == 0 }

var sloPattern = regexp.MustCompile(`^(p[0-9.]+|max|good|late|shed|failed)(?:\(([a-z]+)\))?([<>])([0-9.]+)(%|[µa-z]+)$`)

// ParseList reads objectives, with commas between them.
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

// Parse reads an objective: "p99<250ms" or "max<1s" about the response times of
// served requests, "good>99.9%", "failed<1%", "shed<5%" or "late<1%" about their
// shares; each can be of one scenario, as in "p99(get)<50ms".
func Parse(s string) (Objective, error) {
	bad := fmt.Errorf(`%q is not like p99<250ms, p99(get)<50ms or good>99.9%%`, s)
	m := sloPattern.FindStringSubmatch(strings.ReplaceAll(s, " ", ""))
	if m == nil {
		return Objective{}, bad
	}
	slo := Objective{text: m[0], scenario: m[2], below: m[3] == "<"}
	if slo.scenario != "" && workload.Lookup(slo.scenario) == nil {
		return Objective{}, fmt.Errorf("%q: there is no scenario %s", s, slo.scenario)
	}
	var err error
	switch what := m[1]; {
	case what == "max":
		slo.quantile = 1
	case what[0] == 'p':
		percent, err := strconv.ParseFloat(what[1:], 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return Objective{}, fmt.Errorf("%q: the percentile must be above 0 and up to 100", s)
		}
		slo.quantile = percent / 100
	default:
		slo.class = measure.Class(what)
		percent, err := strconv.ParseFloat(m[4], 64)
		if m[5] != "%" || err != nil || !(percent >= 0 && percent <= 100) {
			return Objective{}, fmt.Errorf("%q: the share must be from 0%% to 100%%", s)
		}
		slo.share = percent / 100
		return slo, nil
	}
	if slo.bound, err = time.ParseDuration(m[4] + m[5]); err != nil || slo.bound <= 0 || !slo.below {
		return Objective{}, fmt.Errorf("%q: a response time must be below a duration, as in p99<250ms", s)
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

// Judge compares the objective with the requests that it is about, and the same by time,
// which is nil if it is not known. One about requests that there were none of is not met:
// it has not been shown.
func (s Objective) Judge(c *measure.Cell, intervals []*measure.Interval) Verdict {
	v := s.measured(c)
	v.Steady = v.Met && s.steady(intervals)
	v.Generator = !v.Met && s.generator(c)
	return v
}

func (s Objective) measured(c *measure.Cell) Verdict {
	v := Verdict{SLO: s.text}
	if c == nil || c.Requests() == 0 || s.quantile > 0 && c.Served.Count() == 0 {
		v.Text = "no such requests"
		return v
	}
	if s.quantile > 0 {
		t := c.Served.Quantile(s.quantile)
		v.Value, v.Met, v.Text = t.Seconds(), t < s.bound, fmt.Sprintf("%.2f ms", 1000*t.Seconds())
		return v
	}
	v.Value = float64(c.Classes[s.class]) / float64(c.Requests())
	v.Text = fmt.Sprintf("%.3f%%", 100*v.Value)
	v.Met = s.meets(v.Value)
	return v
}

// rounding is by how much a share that was computed differs from the exact one at most.
const rounding = 1e-12

// meets reports whether a share meets the objective. Below 0% and above 100% there is
// nothing: those bounds may be reached.
func (s Objective) meets(share float64) bool {
	if s.below {
		return share < s.share-rounding || s.share == 0 && share == 0
	}
	return share > s.share+rounding || s.share == 1 && share == 1
}

// LateAfter returns when an answer of a scenario is late: after the time that the
// objective about the highest percentile has for it, those about the scenario itself
// before those about all; 0 if there is none.
func LateAfter(list []Objective, scenario string) time.Duration {
	for _, name := range []string{scenario, ""} {
		var best Objective
		for _, s := range list {
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

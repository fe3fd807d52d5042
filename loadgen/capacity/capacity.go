// Package capacity searches for the highest rate at which a target meets its
// objectives.
package capacity

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"
)

// Step is what a target did at one rate. Times are in seconds, rates in requests a second.
type Step struct {
	Rate      float64 `json:"rate_asked"`
	Reached   float64 `json:"rate_reached"`
	Goodput   float64 `json:"goodput"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	Lag       float64 `json:"lag_p99"`
	Requests  int     `json:"requests"`
	Elapsed   float64 `json:"elapsed"`
	Passed    bool    `json:"passed"`
	Why       string  `json:"why,omitempty"` // it did not pass
	Generator bool    `json:"generator"`     // that was because of the generator
	Early     bool    `json:"early"`         // the verdict was clear before the end
}

// Limit is what kept a search from going higher.
type Limit string

// Limits of a search.
const (
	Target    Limit = "target"    // an objective was not met
	Generator Limit = "generator" // requests could not be sent in time
	Highest   Limit = "highest"   // the highest rate to try passed
	Lowest    Limit = "lowest"    // the lowest rate to try did not pass
)

// Result of a search. The capacity is at least Rate, at which the target passed in the
// end, and less than Fails.
type Result struct {
	Version    int       `json:"version"`
	RunID      string    `json:"run_id"`
	Target     string    `json:"target"`
	Objectives []string  `json:"objectives"`
	StartedAt  time.Time `json:"started_at"`
	Steps      []Step    `json:"steps"` // in the order in which they were made
	Limit      Limit     `json:"limit"`
	Rate       float64   `json:"rate"`            // 0: none passed
	Fails      float64   `json:"fails,omitempty"` // the lowest rate that did not pass above Rate; 0: none
	Ended      string    `json:"ended,omitempty"` // why the search did not come to its end
	// Hysteresis are rates that passed once, and failed after a failure above them.
	Hysteresis []float64 `json:"hysteresis,omitempty"`
}

// ResultVersion is that of a Result's JSON.
const ResultVersion = 1

// Range of a search. It goes on until the lowest rate that failed is at most Precision,
// a share, above the highest that passed.
type Range struct {
	Lowest, Highest float64
	Precision       float64
}

// maxSteps ends a search on a target whose verdicts are by chance.
const maxSteps = 60

// ErrUnsteady is returned where the verdicts do not agree with each other.
var ErrUnsteady = errors.New("the target does not answer alike: after 60 steps there is no rate that passes twice")

// Search doubles the rate until a step does not pass, then halves the distance, in
// proportion, between the highest rate that passed and the lowest that did not. In the
// end that rate has to pass once more, after the failures above it: a target that was
// overloaded may not be what it was. What failed below a rate that passed before counts.
func Search(ctx context.Context, r Range, step func(ctx context.Context, rate float64) (Step, error)) (*Result, error) {
	res := &Result{Version: ResultVersion, Steps: []Step{}}
	s := &search{r: r, res: res}
	for {
		rate, done := s.next()
		if done {
			return res, nil
		}
		if len(res.Steps) == maxSteps {
			res.Ended = "unsteady"
			return res, ErrUnsteady
		}
		st, err := step(ctx, rate)
		if err == nil && ctx.Err() != nil {
			res.Ended, err = "interrupted", context.Cause(ctx)
		}
		if err != nil {
			return res, err
		}
		res.Steps = append(res.Steps, st)
		s.take(st)
	}
}

type search struct {
	r      Range
	res    *Result
	passed []float64 // that did not fail since, in order
	fails  float64   // the lowest rate that failed; 0: none did
	limit  Limit     // of it
	// confirmed is the rate that passed after the last failure.
	confirmed float64
}

// highest is the highest rate that passed, or 0.
func (s *search) highest() float64 {
	if len(s.passed) == 0 {
		return 0
	}
	return s.passed[len(s.passed)-1]
}

// next returns the rate to try, or that the search is over.
func (s *search) next() (rate float64, done bool) {
	high := s.highest()
	s.res.Rate, s.res.Fails, s.res.Limit = high, s.fails, s.limit
	switch {
	case high == 0 && s.fails == 0:
		return s.r.Lowest, false
	case high == 0:
		if s.limit != Generator {
			s.res.Limit = Lowest
		}
		return 0, true
	case s.fails == 0 && high >= s.r.Highest:
		s.res.Limit = Highest
		return 0, true
	case s.fails == 0:
		return min(2*high, s.r.Highest), false
	case s.fails > high*(1+s.r.Precision):
		return math.Sqrt(high * s.fails), false
	case s.confirmed != high:
		return high, false
	}
	return 0, true
}

func (s *search) take(st Step) {
	if st.Passed {
		if s.fails > 0 {
			s.confirmed = st.Rate
		}
		if !slices.Contains(s.passed, st.Rate) {
			s.passed = append(s.passed, st.Rate)
			slices.Sort(s.passed)
		}
		return
	}
	for _, p := range s.passed {
		if p == st.Rate {
			s.res.Hysteresis = append(s.res.Hysteresis, p)
		}
	}
	s.passed = slices.DeleteFunc(s.passed, func(p float64) bool { return p >= st.Rate })
	s.confirmed = 0
	if s.fails == 0 || st.Rate < s.fails {
		s.fails, s.limit = st.Rate, Target
		if st.Generator {
			s.limit = Generator
		}
	}
}

// Package capacity searches for the max sustainable rate: the highest rate at which a target
// meets its SLOs.
package capacity

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"
)

// Step is the result at one target rate. Times are in seconds, rates in req/s.
type Step struct {
	Rate       float64 `json:"rate_target"`
	RateActual float64 `json:"rate_actual"`
	Goodput    float64 `json:"goodput"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	SendDelay  float64 `json:"send_delay_p99"`
	Requests   int     `json:"requests"`
	Elapsed    float64 `json:"elapsed"`
	Passed     bool    `json:"passed"`
	Reason     string  `json:"reason,omitempty"` // for a failed step
	Generator  bool    `json:"generator"`        // the generator is the reason
	Early      bool    `json:"early"`            // ended early, with a clear verdict
}

// Limit is what limits the result.
type Limit string

// Limits of a search.
const (
	Target    Limit = "target"    // an SLO was violated
	Generator Limit = "generator" // the generator could not keep to the plan
	Highest   Limit = "highest"   // the highest rate of the range passed
	Lowest    Limit = "lowest"    // the lowest rate of the range failed
)

// Result is the result of a search. Rate is the max sustainable rate, confirmed at the end of
// the search. It failed at Fails.
type Result struct {
	Version    int       `json:"version"`
	RunID      string    `json:"run_id"`
	Target     string    `json:"target"`
	Objectives []string  `json:"objectives"`
	StartedAt  time.Time `json:"started_at"`
	Steps      []Step    `json:"steps"` // in order of time
	Limit      Limit     `json:"limit"`
	Rate       float64   `json:"rate"`            // req/s; 0: none passed
	Fails      float64   `json:"fails,omitempty"` // lowest failed rate above Rate; 0: none
	Ended      string    `json:"ended,omitempty"` // why the search ended early
	// Hysteresis are rates that passed, and failed after a failure at a higher rate.
	Hysteresis []float64 `json:"hysteresis,omitempty"`
}

// ResultVersion is the version of a Result's JSON.
const ResultVersion = 1

// Range is the range of a search, in req/s. The search ends when the lowest failed rate is at
// most Precision, a share, above the highest passed one.
type Range struct {
	Lowest, Highest float64
	Precision       float64
}

// MaxSteps ends a search with random verdicts.
const MaxSteps = 60

// ErrUnsteady means that the verdicts contradict each other.
var ErrUnsteady = errors.New("unsteady target: no rate passed twice in 60 steps")

// Search doubles the rate until a step fails, then bisects geometrically between the highest
// passed and the lowest failed rate. At the end the result must pass again, because a target
// may not recover from an overload. A failure cancels passed steps at the same or higher
// rates.
func Search(ctx context.Context, r Range, step func(ctx context.Context, rate float64) (Step, error)) (*Result, error) {
	res := &Result{Version: ResultVersion, Steps: []Step{}}
	s := &search{r: r, res: res}
	for {
		rate, done := s.next()
		if done {
			return res, nil
		}
		if len(res.Steps) == MaxSteps {
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
	passed []float64 // without a later failure, sorted
	fails  float64   // lowest failed rate; 0: none
	limit  Limit     // of fails
	// confirmed is the last rate that passed after the last failure.
	confirmed float64
}

// highest returns the highest passed rate, or 0.
func (s *search) highest() float64 {
	if len(s.passed) == 0 {
		return 0
	}
	return s.passed[len(s.passed)-1]
}

// next returns the next rate, or that the search is done.
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

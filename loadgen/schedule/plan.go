// Package schedule computes when requests are sent: the plan of a run, its arrival process,
// and the pacer that delays each request until its scheduled time.
//
// It does not depend on what is sent. Rates are in req/s, times since the start of the plan.
package schedule

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Stage is a part of a plan with a constant or linearly changing rate.
type Stage struct {
	Duration time.Duration
	From, To float64 // req/s
}

// Limits of a plan.
const (
	MaxRate     = 100_000 // req/s of one process
	MaxShards   = 1000
	MinDuration = 100 * time.Millisecond
	MaxDuration = 24 * time.Hour
	maxStages   = 1000
)

// Arrivals is the arrival process.
type Arrivals string

// Constant arrivals are evenly spaced. Poisson arrivals are independent of each other, as of
// many users: the same rate on average, with bursts and gaps.
const (
	Constant Arrivals = "constant"
	Poisson  Arrivals = "poisson"
)

// Replay is the schedule of a recording, used instead of stages.
type Replay struct {
	Requests uint64
	Last     time.Duration // scheduled time of the last request
	// Next returns the scheduled time of the next request. One goroutine calls it, once for
	// each request.
	Next func() (time.Duration, error)
}

// Plan is the schedule of a run.
type Plan struct {
	Stages   []Stage
	Arrivals Arrivals
	Max      uint64 // max number of requests; 0: no limit
	// Shards processes share the plan. Process Shard, from 0, sends every Shards-th request;
	// 0: one process.
	Shard, Shards uint64
	Replay        *Replay // instead of Stages
}

func (p Plan) shards() uint64 { return max(p.Shards, 1) }

// Number returns the number in the plan of all shards of this process's request n.
func (p Plan) Number(n uint64) uint64 { return n*p.shards() + p.Shard }

// ParseRate parses a rate in req/s, as in 100 or 0.5, or per duration, as in 5/s, 30/1m or 1/2s.
func ParseRate(s string) (float64, error) {
	bad := fmt.Errorf("%q is not a rate, as in 100 (req/s) or 30/1m", s)
	number, per, ok := strings.Cut(s, "/")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, bad
	}
	if !ok {
		return v, nil
	}
	if per != "" && (per[0] < '0' || per[0] > '9') { // only a unit
		per = "1" + per
	}
	d, err := time.ParseDuration(per)
	if err != nil || d <= 0 {
		return 0, bad
	}
	return v / d.Seconds(), nil
}

// ForRequests returns the duration of a stage for n requests.
func ForRequests(n uint64, rate float64, a Arrivals) time.Duration {
	requests := float64(n)
	if a == Poisson { // their number in a given time varies: 8 sigma
		requests += 8*math.Sqrt(requests) + 32
	}
	s := math.Ceil(1000*requests/rate-epsilon) / 1000
	if s > MaxDuration.Seconds() {
		return math.MaxInt64
	}
	return max(time.Duration(math.Round(s*1000))*time.Millisecond, time.Millisecond)
}

// ParseStages parses "10s@0..200,30s@200,5s@500": duration@rate or duration@from..to.
func ParseStages(s string) ([]Stage, error) {
	stages, err := parseStages(s, "duration@rate or duration@rate..rate, as in 30s@200")
	if p := (Plan{Stages: stages}); err == nil && p.Planned() < 1 {
		return nil, fmt.Errorf("%q schedules no request", s)
	}
	return stages, err
}

// ParseLevels parses stages of users: the numbers are not of requests.
func ParseLevels(s string) ([]Stage, error) {
	return parseStages(s, "a number of users, or stages such as 1m@10..50")
}

func parseStages(s, form string) ([]Stage, error) {
	var stages []Stage
	total := time.Duration(0)
	for part := range strings.SplitSeq(s, ",") {
		duration, rates, ok := strings.Cut(strings.TrimSpace(part), "@")
		if !ok {
			return nil, fmt.Errorf("%q is not %s", part, form)
		}
		d, err := time.ParseDuration(duration)
		if err != nil || d < time.Millisecond || d > MaxDuration {
			return nil, fmt.Errorf("%q: the duration is out of range: 1ms to %s", part, "24h")
		}
		from, to, ramp := strings.Cut(rates, "..")
		if !ramp {
			to = from
		}
		st := Stage{Duration: d}
		for _, r := range []struct {
			text string
			into *float64
		}{{from, &st.From}, {to, &st.To}} {
			if *r.into, err = ParseRate(r.text); err != nil || !(*r.into >= 0 && *r.into <= MaxRate*MaxShards) {
				return nil, fmt.Errorf("%q: the rate is out of range: 0 to %d req/s, as in 200 or 30/1m", part, MaxRate*MaxShards)
			}
		}
		if total += d; total > MaxDuration {
			return nil, fmt.Errorf("the stages last longer than 24h")
		}
		if stages = append(stages, st); len(stages) > maxStages {
			return nil, fmt.Errorf("more than %d stages", maxStages)
		}
	}
	return stages, nil
}

// hits returns the number of requests of a stage. It may be fractional.
func (s Stage) hits() float64 { return s.Duration.Seconds() * (s.From + s.To) / 2 }

// at returns the scheduled time of request n of the stage, in seconds since its start. The
// form is numerically stable for a constant rate, and for a rate of 0 at either end.
func (s Stage) at(n float64) float64 {
	if n <= 0 {
		return 0
	}
	d := s.Duration.Seconds()
	root := s.From*s.From + 2*n*(s.To-s.From)/d
	return min(2*n/(s.From+math.Sqrt(max(root, 0))), d)
}

// Duration returns the duration of the plan.
func (p Plan) Duration() time.Duration {
	if p.Replay != nil {
		return p.Replay.Last
	}
	d := time.Duration(0)
	for _, s := range p.Stages {
		d += s.Duration
	}
	return d
}

// Peak returns the max target rate of the stages, of all shards, in req/s.
func (p Plan) Peak() float64 {
	peak := 0.0
	for _, s := range p.Stages {
		peak = max(peak, s.From, s.To)
	}
	return peak
}

// Above returns the first time, not before at, at which the stages are above a level.
func Above(stages []Stage, level float64, at time.Duration) (time.Duration, bool) {
	start := time.Duration(0)
	for _, s := range stages {
		end := start + s.Duration
		if at < end {
			if from := max(at-start, 0); s.level(from) > level {
				return start + from, true
			}
			if s.To > level && s.To > s.From {
				crossed := time.Duration((level - s.From) / (s.To - s.From) * float64(s.Duration))
				return min(start+crossed+1, end), true
			}
		}
		start = end
	}
	return 0, false
}

// level returns the rate at a time of the stage.
func (s Stage) level(at time.Duration) float64 {
	return s.From + (s.To-s.From)*float64(at)/float64(s.Duration)
}

// Rate returns the target rate of this process at a time, in req/s; for a replay the average.
// It is 0 before the start.
func (p Plan) Rate(at time.Duration) float64 {
	if at < 0 {
		return 0
	}
	if p.Replay != nil {
		return p.Average(0)
	}
	for _, s := range p.Stages {
		if at < s.Duration {
			return s.level(at) / float64(p.shards())
		}
		at -= s.Duration
	}
	return 0
}

// expected returns the number of requests of the stages, without Max.
func (p Plan) expected() float64 {
	n := 0.0
	for _, s := range p.Stages {
		n += s.hits()
	}
	return n
}

// epsilon is the max rounding error of a sum of stages.
const epsilon = 1e-6

// Planned returns the number of requests of this process; for Poisson arrivals the average.
func (p Plan) Planned() uint64 {
	n := uint64(p.expected() + epsilon)
	if p.Replay != nil {
		n = p.Replay.Requests
	}
	if p.Max > 0 {
		n = min(n, p.Max)
	}
	return p.Share(n)
}

// Share returns how many of the plan's n requests this process sends.
func (p Plan) Share(n uint64) uint64 {
	if n <= p.Shard {
		return 0
	}
	return (n-p.Shard-1)/p.shards() + 1
}

// time returns the scheduled time of request n, which may be fractional, and whether the plan
// has it.
func (p Plan) time(n float64) (time.Duration, bool) {
	start := time.Duration(0)
	for i, s := range p.Stages {
		hits := s.hits()
		// A request at the boundary of two stages belongs to the second one. There is none at
		// the end of the last stage.
		if n < hits-epsilon || i < len(p.Stages)-1 && n < hits {
			return start + time.Duration(s.at(n)*float64(time.Second)), true
		}
		n = max(n-hits, 0)
		start += s.Duration
	}
	return start, false
}

// Average returns the mean target rate of this process after the warm-up, in req/s.
func (p Plan) Average(warmUp time.Duration) float64 {
	if span := p.Span(); p.Replay != nil || p.Max > 0 && float64(p.Max) < p.expected() {
		if warmUp >= span {
			return 0
		}
		return max(float64(p.Planned())-p.before(warmUp), 0) / (span - warmUp).Seconds()
	}
	return (p.expected()/float64(p.shards()) - p.before(warmUp)) / (p.Duration() - warmUp).Seconds()
}

// before returns how many requests of this process are scheduled before a time; for a replay
// as if it had constant arrivals.
func (p Plan) before(at time.Duration) float64 {
	if p.Replay != nil {
		return float64(p.Planned()) * at.Seconds() / p.Span().Seconds()
	}
	n := 0.0
	for _, s := range p.Stages {
		part := min(at, s.Duration)
		to := s.From + (s.To-s.From)*float64(part)/float64(s.Duration)
		n += part.Seconds() * (s.From + to) / 2
		at -= part
	}
	return n / float64(p.shards())
}

// Span returns the time of the planned requests: shorter than the plan if Max ends it.
func (p Plan) Span() time.Duration {
	if p.Replay != nil {
		// The last request has the mean gap behind it.
		n := float64(p.Replay.Requests)
		return max(time.Duration(float64(p.Replay.Last)*n/max(n-1, 1)), time.Millisecond)
	}
	n := p.expected()
	if p.Max > 0 {
		n = min(n, float64(p.Max))
	}
	if t, more := p.time(math.Floor(n + epsilon)); more {
		return max(t, time.Millisecond)
	}
	return p.Duration()
}

// String formats the stages for ParseStages.
func (p Plan) String() string {
	var parts []string
	for _, s := range p.Stages {
		text := s.Duration.String() + "@" + strconv.FormatFloat(s.From, 'g', -1, 64)
		if s.To != s.From {
			text += ".." + strconv.FormatFloat(s.To, 'g', -1, 64)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ",")
}

// Package schedule says when requests are sent: the plan of a run, the times of its
// arrivals, and the pacer that holds each request back until its time.
//
// It knows nothing of what is sent. Rates are in requests a second, times are counted
// from the beginning of the plan.
package schedule

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Stage is a part of a plan, in which the rate goes in a straight line.
type Stage struct {
	Duration time.Duration
	From, To float64 // requests a second
}

// Limits of a plan.
const (
	MaxRate     = 100_000
	MinDuration = 100 * time.Millisecond
	MaxDuration = 24 * time.Hour
	maxStages   = 1000
)

// Arrivals is how requests are spread over time.
type Arrivals string

// Constant arrivals follow the rate evenly. Poisson arrivals are independent of each
// other, as those of many users are: as many on average, in bursts and gaps.
const (
	Constant Arrivals = "constant"
	Poisson  Arrivals = "poisson"
)

// Replay are the times of a recording, which a plan follows instead of stages.
type Replay struct {
	Requests uint64
	Last     time.Duration // when the last request is due, from the beginning of the plan
	// Next returns when the following request is due, from the beginning of the plan. One
	// goroutine calls it, once for each request.
	Next func() (time.Duration, error)
}

// Plan says when each request is due.
type Plan struct {
	Stages   []Stage
	Arrivals Arrivals
	Max      uint64 // stop after this number of requests; 0: none
	// Of Shards processes that share the plan this is number Shard, counted from 0: it
	// sends every Shards-th request. 0: there is one.
	Shard, Shards uint64
	Replay        *Replay // instead of Stages
}

func (p Plan) shards() uint64 { return max(p.Shards, 1) }

// global returns the number in the whole plan of this process's request n.
func (p Plan) global(n uint64) uint64 { return n*p.shards() + p.Shard }

// ParseRate reads a rate in requests a second, as in 100 or 0.5, or in another time, as in
// 30/1m or 30/m.
func ParseRate(s string) (float64, error) {
	bad := fmt.Errorf("%q is not a rate, as in 100 (a second) or 30/1m", s)
	number, per, ok := strings.Cut(s, "/")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, bad
	}
	if !ok {
		return v, nil
	}
	if per != "" && (per[0] < '0' || per[0] > '9') { // a unit only
		per = "1" + per
	}
	d, err := time.ParseDuration(per)
	if err != nil || d <= 0 {
		return 0, bad
	}
	return v / d.Seconds(), nil
}

// ForRequests is how long a stage has to be for so many requests to be scheduled in it.
func ForRequests(n uint64, rate float64, a Arrivals) time.Duration {
	requests := float64(n)
	if a == Poisson { // whose number in a time varies: this much in one of 10^15 plans
		requests += 8*math.Sqrt(requests) + 32
	}
	s := math.Ceil(1000*requests/rate-epsilon) / 1000
	if s > MaxDuration.Seconds() {
		return math.MaxInt64
	}
	return max(time.Duration(math.Round(s*1000))*time.Millisecond, time.Millisecond)
}

// ParseStages reads "10s@0..200,30s@200,5s@500": for so long, from a rate to another
// or at one.
func ParseStages(s string) ([]Stage, error) {
	var stages []Stage
	total := time.Duration(0)
	for part := range strings.SplitSeq(s, ",") {
		duration, rates, ok := strings.Cut(strings.TrimSpace(part), "@")
		if !ok {
			return nil, fmt.Errorf("%q is not duration@rate or duration@rate..rate, as in 30s@200", part)
		}
		d, err := time.ParseDuration(duration)
		if err != nil || d < time.Millisecond || d > MaxDuration {
			return nil, fmt.Errorf("%q: the duration must be from 1ms to %s", part, "24h")
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
			if *r.into, err = ParseRate(r.text); err != nil || !(*r.into >= 0 && *r.into <= MaxRate) {
				return nil, fmt.Errorf("%q: the rate must be from 0 to %d requests/s, as in 200 or 30/1m", part, MaxRate)
			}
		}
		if total += d; total > MaxDuration {
			return nil, fmt.Errorf("all stages together are longer than 24h")
		}
		if stages = append(stages, st); len(stages) > maxStages {
			return nil, fmt.Errorf("more than %d stages", maxStages)
		}
	}
	if p := (Plan{Stages: stages}); p.Planned() < 1 {
		return nil, fmt.Errorf("%q is not one request", s)
	}
	return stages, nil
}

// hits is how many requests a stage has. It need not be whole.
func (s Stage) hits() float64 { return s.Duration.Seconds() * (s.From + s.To) / 2 }

// at returns when in the stage n of its requests are due, counted from its start.
// The form is stable for a rate that is constant, or 0 at either end.
func (s Stage) at(n float64) float64 {
	if n <= 0 {
		return 0
	}
	d := s.Duration.Seconds()
	root := s.From*s.From + 2*n*(s.To-s.From)/d
	return min(2*n/(s.From+math.Sqrt(max(root, 0))), d)
}

// Duration is how long the plan is.
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

// Rate returns the rate at a time, in requests a second; of a replay the average.
func (p Plan) Rate(at time.Duration) float64 {
	if p.Replay != nil {
		return p.Average(0)
	}
	for _, s := range p.Stages {
		if at < s.Duration {
			return (s.From + (s.To-s.From)*float64(at)/float64(s.Duration)) / float64(p.shards())
		}
		at -= s.Duration
	}
	return 0
}

// expected is how many requests the stages have, not regarding Max.
func (p Plan) expected() float64 {
	n := 0.0
	for _, s := range p.Stages {
		n += s.hits()
	}
	return n
}

// epsilon is by how much a sum of stages may be below a whole number and count as it.
const epsilon = 1e-6

// Planned is how many requests the plan has for this process. With Poisson arrivals it
// is how many it has on average.
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

// Share is how many of n requests of the whole plan this process sends.
func (p Plan) Share(n uint64) uint64 {
	if n <= p.Shard {
		return 0
	}
	return (n-p.Shard-1)/p.shards() + 1
}

// time returns when n requests are due, counted from the start, and whether the plan
// has so many. N need not be whole.
func (p Plan) time(n float64) (time.Duration, bool) {
	start := time.Duration(0)
	for i, s := range p.Stages {
		hits := s.hits()
		// A request that is due where one stage ends and another begins is the other's,
		// and after the last stage there is none.
		if n < hits-epsilon || i < len(p.Stages)-1 && n < hits {
			return start + time.Duration(s.at(n)*float64(time.Second)), true
		}
		n = max(n-hits, 0)
		start += s.Duration
	}
	return start, false
}

// Average is the mean of the rate over what is planned after a warm-up.
func (p Plan) Average(warmUp time.Duration) float64 {
	if span := p.Span(); p.Replay != nil || p.Max > 0 && float64(p.Max) < p.expected() {
		if warmUp >= span {
			return 0
		}
		return max(float64(p.Planned())-p.before(warmUp), 0) / (span - warmUp).Seconds()
	}
	return (p.expected()/float64(p.shards()) - p.before(warmUp)) / (p.Duration() - warmUp).Seconds()
}

// before is how many requests are due before a time, for this process; of a replay as if
// they were due evenly.
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

// Span is how long the planned requests take: shorter than the plan if Max comes first.
func (p Plan) Span() time.Duration {
	if p.Replay != nil {
		// As long as if the last request were followed by one more.
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

// String writes the stages as ParseStages reads them.
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

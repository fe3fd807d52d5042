package options

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

// maxWait is the limit of -start-at.
const maxWait = 24 * time.Hour

// Rate is the value of -rate, in req/s.
type Rate float64

func (r *Rate) String() string { return strconv.FormatFloat(float64(*r), 'g', -1, 64) }

// Set parses a rate as schedule.ParseRate does.
func (r *Rate) Set(s string) error {
	v, err := schedule.ParseRate(s)
	*r = Rate(v)
	return err
}

// defaultDuration is the duration of a plan without -n.
const defaultDuration = 30 * time.Second

// Plan are the flags of the plan.
type Plan struct {
	rate     Rate
	duration time.Duration
	stages   string
	arrivals string
	startAt  string
	shard    string
	replay   string
	users    string
	think    string

	Processes int // of a run on many workers; 0: this one
}

// Define defines the flags. A run on many workers has no closed model but that of a flow's users, and its
// coordinator gives each worker its start and its shard.
func (p *Plan) Define(f *Flags, many bool) {
	p.rate = 100
	f.Var(&p.rate, "rate", "target `rate` in req/s, or N/duration (0.01/s to 100000/s per process); 0: closed model")
	f.DurationVar(&p.duration, "duration", defaultDuration, "duration of the run (100ms to 24h); with -n: until all are sent")
	f.StringVar(&p.stages, "stages", "", "`stages` as duration@rate or duration@from..to, as in 10s@0..200,30s@200; replace -rate, -duration")
	f.StringVar(&p.arrivals, "arrivals", string(schedule.Constant), "arrival `process`: constant or poisson")
	f.Uint64Var(&f.Config.Plan.Max, "n", 0, "max `requests`, or users (0: no limit); -duration or -stages may end earlier")
	f.DurationVar(&f.Config.WarmUp, "warmup", 0, "warm-up duration (shorter than the plan), not measured; raw results of -out have it")
	f.BoolVar(&f.each, "each-once", false, "end the run when each target and each row of -data has been sent")
	f.StringVar(&f.flow, "flow", "", "YAML `file` of each user's steps; -rate and -stages are new users per second")
	f.StringVar(&p.users, "users", "", "concurrent `users` of -flow (closed model), or stages as in 30s@0..200,1m@200")
	f.StringVar(&p.think, "think", "", "think `time` after each step of -flow, as in 1s..3s; replaces its own")
	if many {
		return
	}
	f.Streams = true
	f.IntVar(&f.Config.Workers, "workers", 0, "concurrent `workers` of the closed model (1 to 65536); needs -rate 0")
	f.StringVar(&p.startAt, "start-at", "", "start `time` (RFC 3339, within 24h), the same on all machines")
	f.StringVar(&p.shard, "shard", "", "shard `i/n` of the plan, as in 2/4; see loadgen merge")
	f.StringVar(&p.replay, "replay", "", "replay the recording in this `file`: same requests, same times")
}

// Apply checks the flags and makes the plan.
func (p *Plan) Apply(f *Flags) error {
	c := &f.Config
	c.Plan.Arrivals = schedule.Arrivals(p.arrivals)
	// Flags of the command line override conflicting ones of the environment.
	if p.stages != "" && !f.given["stages"] && (f.given["rate"] || f.given["duration"] || f.given["replay"]) {
		p.stages = ""
	}
	if c.Workers > 0 && !f.given["workers"] && (f.given["rate"] && p.rate != 0 || f.given["stages"] || f.given["replay"]) {
		c.Workers = 0
	}
	if err := p.when(f); err != nil {
		return err
	}
	if err := p.population(f); err != nil {
		return err
	}
	most, limit := maxRate(max(c.Plan.Shards, uint64(p.Processes)))
	switch {
	case p.stages != "" && (f.given["rate"] || f.given["duration"]):
		return f.Errorf("-stages and -rate or -duration do not go together")
	case p.rate != 0 && !(p.rate >= 0.01 && float64(p.rate) <= most):
		return f.Errorf("-rate %g is out of range: 0.01 to %s", p.rate, limit)
	case p.duration < schedule.MinDuration || p.duration > schedule.MaxDuration:
		return f.Errorf("-duration %s is out of range: 100ms to 24h", p.duration)
	case c.Flow == nil && (c.Workers < 0 || c.Workers > maxWorkers):
		return f.Errorf("-workers %d is out of range: 1 to %d", c.Workers, maxWorkers)
	case p.rate == 0 && p.stages == "" && p.Processes > 0 && c.Workers == 0:
		return f.Errorf("-rate 0 (closed model) is for one process: a rate above 0, -stages, or -flow with -users")
	case p.rate == 0 && p.stages == "" && p.replay == "" && c.Workers == 0:
		return f.Errorf("-rate 0 (closed model) needs -workers")
	case c.Workers > 0 && (p.rate != 0 || p.stages != "" || p.replay != ""):
		return f.Errorf("-workers (closed model) needs -rate 0, without -stages or -replay")
	case c.Plan.Arrivals != schedule.Constant && c.Plan.Arrivals != schedule.Poisson:
		return f.Errorf("-arrivals %q is not constant or poisson", p.arrivals)
	case c.WarmUp < 0:
		return f.Errorf("-warmup %s is below 0", c.WarmUp)
	}
	if c.Workers > 0 {
		c.Plan.Arrivals = schedule.Constant // there are none
		names := []string{"arrivals", "max-workers"}
		if c.Flow == nil { // else each process has its users
			names = append(names, "start-at", "shard")
		}
		if err := f.only("the closed model", names...); err != nil {
			return err
		}
	}
	if err := f.eachOnce(); err != nil {
		return err
	}
	var err error
	switch {
	case p.replay != "":
		if err = f.only("-replay", "rate", "duration", "stages", "arrivals", "mix", "targets", "seed", "shard"); err != nil {
			return err
		}
		if c.Recording, err = workload.ReadRecording(p.replay, c.Plan.Max); err != nil {
			return f.Errorf("-replay %s: %v", p.replay, err)
		}
		c.Plan.Replay = c.Recording.Replay()
		if name := c.Recording.Withheld(c.Header); name != "" {
			return f.Errorf("-replay %s: header %s is a secret and not in the recording: set it with -H", p.replay, name)
		}
		if c.Recording.Targets() {
			if f.given["url"] {
				return f.Errorf("-replay %s has full URLs: remove -url", p.replay)
			}
			c.URL = p.replay
		}
	case p.stages != "":
		if c.Plan.Stages, err = schedule.ParseStages(p.stages); err != nil {
			return f.Errorf("-stages: %v", err)
		}
		if peak := c.Plan.Peak(); peak > most {
			return f.Errorf("-stages: the rate %g is out of range: 0 to %s", peak, limit)
		}
	default:
		if err := p.untilSent(f); err != nil {
			return err
		}
		c.Plan.Stages = []schedule.Stage{{Duration: p.duration, From: float64(p.rate), To: float64(p.rate)}}
	}
	if err := f.CheckScenarios(); err != nil {
		return err
	}
	switch {
	case c.Workers == 0 && c.Plan.Planned() < 1:
		return f.Errorf("the plan has no request")
	case c.WarmUp > 0 && c.WarmUp >= c.Plan.Span():
		return f.Errorf("-warmup %s is not shorter than the plan", c.WarmUp)
	}
	return nil
}

// maxRate returns the max rate of a plan for a number of processes, and a text with it.
func maxRate(shards uint64) (float64, string) {
	if shards <= 1 {
		return schedule.MaxRate, fmt.Sprintf("%d for one process (more with -shard), or 0", schedule.MaxRate)
	}
	most := schedule.MaxRate * shards
	return float64(most), fmt.Sprintf("%d for %d processes", most, shards)
}

// untilSent makes the duration long enough for -n, unless -duration is set. -n of the command
// line overrides a duration of the environment.
func (p *Plan) untilSent(f *Flags) error {
	n := f.Config.Plan.Max
	if s := f.Config.Stream; s != nil && s.Once && (n == 0 || f.targetCount > 0 && f.targetCount < n) {
		if n = f.targetCount; n == 0 && !f.given["duration"] {
			p.duration = schedule.MaxDuration
		}
	}
	if n == 0 || f.Config.Users != nil || f.given["duration"] || !f.given["n"] && !f.each && p.duration != defaultDuration {
		return nil
	}
	if p.duration = schedule.MaxDuration; p.rate > 0 {
		p.duration = schedule.ForRequests(n, float64(p.rate), f.Config.Plan.Arrivals)
	}
	if p.duration > schedule.MaxDuration {
		return f.Errorf("-n %d at -rate %g takes longer than 24h", n, p.rate)
	}
	return nil
}

// eachOnce applies -each-once.
func (f *Flags) eachOnce() error {
	c := &f.Config
	s := c.Stream
	if s != nil {
		s.Shard, s.Shards, s.Expect = c.Plan.Shard, c.Plan.Shards, c.Expect
	}
	if !f.each {
		return nil
	}
	if s == nil && len(c.Targets) == 0 {
		return f.Errorf("-each-once needs -targets, or a URL argument with -data")
	}
	rows := uint64(0)
	if c.Data != nil {
		rows = uint64(len(c.Data.Rows))
	}
	if s != nil && (f.targetCount == 0 || rows <= f.targetCount) {
		s.Once = true
		return nil
	}
	if f.targetCount = max(f.targetCount, rows); c.Plan.Max == 0 || f.targetCount < c.Plan.Max {
		c.Plan.Max, c.EachOnce = f.targetCount, true
	}
	return nil
}

// when parses -start-at and -shard.
func (p *Plan) when(f *Flags) error {
	if p.startAt != "" {
		at, err := time.Parse(time.RFC3339, p.startAt)
		if err != nil {
			return f.Errorf("-start-at %q is not an RFC 3339 time, as in %s", p.startAt, time.Now().Truncate(time.Minute).Add(time.Hour).Format(time.RFC3339))
		}
		if wait := time.Until(at); wait < 0 || wait > maxWait {
			return f.Errorf("-start-at %s is not within the next 24h", p.startAt)
		}
		f.Config.StartAt = at
	}
	if p.shard != "" {
		part, of, _ := strings.Cut(p.shard, "/")
		i, err := strconv.ParseUint(part, 10, 32)
		n, err2 := strconv.ParseUint(of, 10, 32)
		if err != nil || err2 != nil || i < 1 || i > n || n > schedule.MaxShards {
			return f.Errorf("-shard %q is not i/n, as in 2/4 (n up to %d)", p.shard, schedule.MaxShards)
		}
		f.Config.Plan.Shard, f.Config.Plan.Shards = i-1, n
	}
	return nil
}

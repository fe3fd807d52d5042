package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// Limits of flags.
const (
	maxWorkers = 65536
	maxShards  = schedule.MaxShards
	maxWait    = 24 * time.Hour // for -start-at
)

// prefix of the environment variables.
const prefix = "SOUNDCHECK_LOADGEN"

// objectives is the value of -slo. SLOs of the command line replace those of the environment.
type objectives struct {
	list     []slo.Objective
	defaults bool // from the environment
}

func (o *objectives) String() string {
	var texts []string
	for _, s := range o.list {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, ",")
}

// Set adds SLOs, separated by commas.
func (o *objectives) Set(s string) error {
	if o.defaults {
		o.list, o.defaults = nil, false
	}
	list, err := slo.ParseList(s)
	o.list = append(o.list, list...)
	return err
}

// Default implements cli.Defaulter.
func (o *objectives) Default() { o.defaults = true }

// targetFlags are the flags of the workload and the target, for all commands that send.
type targetFlags struct {
	*cli.Flags
	c       engine.Config
	slos    objectives
	mix     string
	targets string
	retry   string
	stdin   io.Reader       // for -targets -
	set     map[string]bool // flags of the command line, after parsing
}

func newTargetFlags(usage, prefix, about string) *targetFlags {
	f := newRequestFlags(usage, prefix, about)
	f.StringVar(&f.c.URL, "url", "http://127.0.0.1:9070", "base `URL` of the service")
	f.StringVar(&f.targets, "targets", "", "`file` of requests in vegeta's HTTP or JSON format, - for stdin; replaces -mix, -url")
	return f
}

// newRequestFlags returns the flags without those of the target.
func newRequestFlags(usage, prefix, about string) *targetFlags {
	f := &targetFlags{Flags: cli.NewFlags(usage, prefix, about), stdin: os.Stdin}
	f.StringVar(&f.mix, "mix", "get=70,list=20,create=10", "scenario `weights` (0 to 1000): "+strings.Join(workload.Names(), ", "))
	f.DurationVar(&f.c.Timeout, "timeout", 10*time.Second, "timeout per request, including its retries (1ms to 10m)")
	f.IntVar(&f.c.MaxWorkers, "max-workers", 1024, "max concurrent `requests` of each process (1 to 65536)")
	f.Uint64Var(&f.c.Seed, "seed", 1, "random `seed` of arrivals, request order and albums")
	f.StringVar(&f.retry, "retry", string(engine.RetryNone), "retry `policy`, max 3 retries: none, honour (at Retry-After) or naive (immediately)")
	f.Float64Var(&f.c.TraceSample, "trace-sample", 1, "sampled `share` of traces (0 to 1); 1: as set by OTEL_TRACES_SAMPLER, else all")
	f.Var(&f.slos, "slo", "`SLO`, as in p99<250ms, p99(get)<50ms or good>99.9%; repeatable")
	return f
}

// parse parses the flags and checks the common ones.
func (f *targetFlags) parse(args []string, getenv func(string) string, stdout interface{ Write([]byte) (int, error) }) error {
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	f.set = map[string]bool{}
	f.Visit(func(fl *flag.Flag) { f.set[fl.Name] = true })
	f.c.SLOs = f.slos.list
	f.c.Retry = engine.Retry(f.retry)
	c := &f.c
	switch {
	case c.Timeout < time.Millisecond || c.Timeout > 10*time.Minute:
		return f.Errorf("-timeout %s is out of range: 1ms to 10m", c.Timeout)
	case c.MaxWorkers < 1 || c.MaxWorkers > maxWorkers:
		return f.Errorf("-max-workers %d is out of range: 1 to %d", c.MaxWorkers, maxWorkers)
	case c.Retry != engine.RetryNone && c.Retry != engine.RetryHonour && c.Retry != engine.RetryNaive:
		return f.Errorf("-retry %q is not none, honour or naive", f.retry)
	case !(c.TraceSample >= 0 && c.TraceSample <= 1):
		return f.Errorf("-trace-sample %g is out of range: 0 to 1", c.TraceSample)
	}
	if f.Lookup("url") != nil {
		if err := f.checkURL("url", &c.URL); err != nil {
			return err
		}
	}
	var err error
	if c.Mix, err = workload.ParseMix(f.mix); err != nil {
		return f.Errorf("-mix: %v", err)
	}
	if f.targets != "" {
		return f.readTargets()
	}
	return nil
}

// checkSLOs returns an error if an SLO is on a scenario outside the workload.
func (f *targetFlags) checkSLOs() error {
	for _, s := range f.c.SLOs {
		if name := s.Scenario(); name != "" && !slices.Contains(f.c.Scenarios(), name) {
			return f.Errorf("-slo %s: scenario %s is not in the workload", s, name)
		}
	}
	return nil
}

func (f *targetFlags) checkURL(name string, url *string) error {
	if _, err := cli.ParseURL(*url); err != nil {
		return f.Errorf("-%s: %v", name, err)
	}
	*url = strings.TrimSuffix(*url, "/")
	return nil
}

func (f *targetFlags) readTargets() error {
	if f.set["mix"] || f.set["url"] {
		return f.Errorf("-targets and -mix or -url do not go together")
	}
	in, name := f.stdin, "stdin"
	if f.targets != "-" {
		file, err := os.Open(f.targets)
		if err != nil {
			return fmt.Errorf("-targets: %w", err)
		}
		defer file.Close()
		in, name = file, f.targets
	}
	var err error
	if f.c.Targets, err = workload.ReadTargets(name, in); err != nil {
		return f.Errorf("-targets: %v", err)
	}
	f.c.URL = name
	return nil
}

// only returns an error if a flag is set that has no effect together with another.
func (f *targetFlags) only(other string, names ...string) error {
	for _, name := range names {
		if f.set[name] {
			return f.Errorf("-%s and %s do not go together", name, other)
		}
	}
	return nil
}

// rate is the value of -rate, in req/s.
type rate float64

func (r *rate) String() string { return strconv.FormatFloat(float64(*r), 'g', -1, 64) }

// Set parses a rate as schedule.ParseRate does.
func (r *rate) Set(s string) error {
	v, err := schedule.ParseRate(s)
	*r = rate(v)
	return err
}

// defaultDuration is the duration of a plan without -n.
const defaultDuration = 30 * time.Second

// planFlags are the flags of the plan.
type planFlags struct {
	rate     rate
	duration time.Duration
	stages   string
	arrivals string
	startAt  string
	shard    string
	replay   string

	processes int // of a run on many workers; 0: this one
}

// define defines the flags. A run on many workers has no closed model, and its coordinator gives each
// worker its start and its shard.
func (p *planFlags) define(f *targetFlags, many bool) {
	p.rate = 100
	f.Var(&p.rate, "rate", "target `rate` in req/s, or N/duration (0.01/s to 100000/s per process); 0: closed model")
	f.DurationVar(&p.duration, "duration", defaultDuration, "duration of the run (100ms to 24h); with -n: until all are sent")
	f.StringVar(&p.stages, "stages", "", "`stages` as duration@rate or duration@from..to, as in 10s@0..200,30s@200; replace -rate, -duration")
	f.StringVar(&p.arrivals, "arrivals", string(schedule.Constant), "arrival `process`: constant or poisson")
	f.Uint64Var(&f.c.Plan.Max, "n", 0, "max `requests` (0: no limit); -duration or -stages may end the run earlier")
	f.DurationVar(&f.c.WarmUp, "warmup", 0, "warm-up duration, not measured (shorter than the plan)")
	if many {
		return
	}
	f.IntVar(&f.c.Workers, "workers", 0, "concurrent `workers` of the closed model (1 to 65536); needs -rate 0")
	f.StringVar(&p.startAt, "start-at", "", "start `time` (RFC 3339, within 24h), the same on all machines")
	f.StringVar(&p.shard, "shard", "", "shard `i/n` of the plan, as in 2/4; see loadgen merge")
	f.StringVar(&p.replay, "replay", "", "replay the recording in this `file`: same requests, same times")
}

// apply checks the flags and makes the plan.
func (p *planFlags) apply(f *targetFlags) error {
	c := &f.c
	c.Plan.Arrivals = schedule.Arrivals(p.arrivals)
	// Flags of the command line override conflicting ones of the environment.
	if p.stages != "" && !f.set["stages"] && (f.set["rate"] || f.set["duration"] || f.set["replay"]) {
		p.stages = ""
	}
	if c.Workers > 0 && !f.set["workers"] && (f.set["rate"] && p.rate != 0 || f.set["stages"] || f.set["replay"]) {
		c.Workers = 0
	}
	if err := p.when(f); err != nil {
		return err
	}
	most, limit := maxRate(max(c.Plan.Shards, uint64(p.processes)))
	switch {
	case p.stages != "" && (f.set["rate"] || f.set["duration"]):
		return f.Errorf("-stages and -rate or -duration do not go together")
	case p.rate != 0 && !(p.rate >= 0.01 && float64(p.rate) <= most):
		return f.Errorf("-rate %g is out of range: 0.01 to %s", p.rate, limit)
	case p.duration < schedule.MinDuration || p.duration > schedule.MaxDuration:
		return f.Errorf("-duration %s is out of range: 100ms to 24h", p.duration)
	case c.Workers < 0 || c.Workers > maxWorkers:
		return f.Errorf("-workers %d is out of range: 1 to %d", c.Workers, maxWorkers)
	case p.rate == 0 && p.stages == "" && p.processes > 0:
		return f.Errorf("-rate 0 (closed model) is for one process: a rate above 0, or -stages")
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
		if err := f.only("the closed model", "arrivals", "max-workers", "start-at", "shard"); err != nil {
			return err
		}
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
		if c.Recording.Targets() {
			if f.set["url"] {
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
	if err := f.checkSLOs(); err != nil {
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
func (p *planFlags) untilSent(f *targetFlags) error {
	n := f.c.Plan.Max
	if n == 0 || f.set["duration"] || !f.set["n"] && p.duration != defaultDuration {
		return nil
	}
	if p.duration = schedule.MaxDuration; p.rate > 0 {
		p.duration = schedule.ForRequests(n, float64(p.rate), f.c.Plan.Arrivals)
	}
	if p.duration > schedule.MaxDuration {
		return f.Errorf("-n %d at -rate %g takes longer than 24h", n, p.rate)
	}
	return nil
}

// when parses -start-at and -shard.
func (p *planFlags) when(f *targetFlags) error {
	if p.startAt != "" {
		at, err := time.Parse(time.RFC3339, p.startAt)
		if err != nil {
			return f.Errorf("-start-at %q is not an RFC 3339 time, as in %s", p.startAt, time.Now().Truncate(time.Minute).Add(time.Hour).Format(time.RFC3339))
		}
		if wait := time.Until(at); wait < 0 || wait > maxWait {
			return f.Errorf("-start-at %s is not within the next 24h", p.startAt)
		}
		f.c.StartAt = at
	}
	if p.shard != "" {
		part, of, _ := strings.Cut(p.shard, "/")
		i, err := strconv.ParseUint(part, 10, 32)
		n, err2 := strconv.ParseUint(of, 10, 32)
		if err != nil || err2 != nil || i < 1 || i > n || n > maxShards {
			return f.Errorf("-shard %q is not i/n, as in 2/4 (n up to %d)", p.shard, maxShards)
		}
		f.c.Plan.Shard, f.c.Plan.Shards = i-1, n
	}
	return nil
}

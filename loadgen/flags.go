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

	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// Limits of flags.
const (
	maxWorkers = 65536
	maxShards  = 1000
	maxWait    = 24 * time.Hour // for -start-at
)

// prefix of the environment variables.
const prefix = "SOUNDCHECK_LOADGEN"

// objectives are what -slo says. What is given on the command line replaces what the
// environment says.
type objectives struct {
	list     []slo.Objective
	defaults bool // list is from the environment
}

func (o *objectives) String() string {
	var texts []string
	for _, s := range o.list {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, ",")
}

// Set adds objectives, with commas between them.
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

// targetFlags say what is sent, and where to. All that send have them.
type targetFlags struct {
	*cli.Flags
	c       engine.Config
	slos    objectives
	mix     string
	targets string
	retry   string
	stdin   io.Reader       // for -targets -
	set     map[string]bool // flags that were given, once they are parsed
}

func newTargetFlags(usage, prefix, about string) *targetFlags {
	f := newRequestFlags(usage, prefix, about)
	f.StringVar(&f.c.URL, "url", "http://127.0.0.1:9070", "`URL` of the service")
	f.StringVar(&f.targets, "targets", "", "`file` of requests in vegeta's HTTP or JSON format, - for stdin; replaces -mix and -url")
	return f
}

// newRequestFlags returns the flags without those that say where requests are sent to.
func newRequestFlags(usage, prefix, about string) *targetFlags {
	f := &targetFlags{Flags: cli.NewFlags(usage, prefix, about), stdin: os.Stdin}
	f.StringVar(&f.mix, "mix", "get=70,list=20,create=10", "`weights` of the scenarios "+strings.Join(workload.Names(), ", ")+" (each 0 to 1000)")
	f.DurationVar(&f.c.Timeout, "timeout", 10*time.Second, "give up a request after this `long` (1ms to 10m)")
	f.IntVar(&f.c.MaxWorkers, "max-workers", 1024, "`requests` in flight at most (1 to 65536)")
	f.Uint64Var(&f.c.Seed, "seed", 1, "`number` that the arrivals, the order of requests and the created albums follow from")
	f.StringVar(&f.retry, "retry", string(engine.RetryNone), "send what was not served again, up to 3 times: `none`, honour (what was refused, when its Retry-After says) or naive (at once, if it was refused, failed with 5xx or was not answered)")
	f.Float64Var(&f.c.TraceSample, "trace-sample", 1, "`share` of the traces that are sampled (0 to 1); 1: as OTEL_TRACES_SAMPLER says, all if it says nothing")
	f.Var(&f.slos, "slo", "`objective` that has to be met, as in p99<250ms, p99(get)<50ms, good>99.9% (may be given several times)")
	return f
}

// parse reads the flags and checks the common ones.
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

// checkSLOs returns an error if an objective is about a scenario that is not sent.
func (f *targetFlags) checkSLOs() error {
	for _, s := range f.c.SLOs {
		if name := s.Scenario(); name != "" && !slices.Contains(f.c.Scenarios(), name) {
			return f.Errorf("-slo %s: no request of %s is sent", s, name)
		}
	}
	return nil
}

func (f *targetFlags) checkURL(name string, url *string) error {
	if _, err := albumhttp.NewClient(*url, albumhttp.ClientOptions{}); err != nil {
		return f.Errorf("-%s: %v", name, err)
	}
	*url = strings.TrimSuffix(*url, "/")
	return nil
}

func (f *targetFlags) readTargets() error {
	if f.set["mix"] || f.set["url"] {
		return f.Errorf("-targets says what -mix and -url say: give one of them")
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

// only returns an error if a flag was given that says nothing when another is.
func (f *targetFlags) only(other string, names ...string) error {
	for _, name := range names {
		if f.set[name] {
			return f.Errorf("-%s and %s do not go together", name, other)
		}
	}
	return nil
}

// rate is what -rate says, in requests a second.
type rate float64

func (r *rate) String() string { return strconv.FormatFloat(float64(*r), 'g', -1, 64) }

// Set reads a rate as schedule.ParseRate does.
func (r *rate) Set(s string) error {
	v, err := schedule.ParseRate(s)
	*r = rate(v)
	return err
}

// defaultDuration is that of a plan without a number of requests.
const defaultDuration = 30 * time.Second

// planFlags say when requests are due.
type planFlags struct {
	rate     rate
	duration time.Duration
	stages   string
	arrivals string
	startAt  string
	shard    string
	replay   string
}

func (p *planFlags) define(f *targetFlags) {
	p.rate = 100
	f.Var(&p.rate, "rate", "`requests` a second, or N/duration as in 30/1m (0.01/s to 100000/s); 0: closed model, see -workers")
	f.DurationVar(&p.duration, "duration", defaultDuration, "for this `long` (100ms to 24h); with -n: until all are sent")
	f.StringVar(&p.stages, "stages", "", "`stages` of duration@rate or duration@from..to, as in 10s@0..200,30s@200; replaces -rate and -duration")
	f.StringVar(&p.arrivals, "arrivals", string(schedule.Constant), "spread the requests evenly (`constant`) or as those of independent users (poisson)")
	f.Uint64Var(&f.c.Plan.Max, "n", 0, "number of `requests` (0: no limit); -duration or -stages may end the run earlier")
	f.IntVar(&f.c.Workers, "workers", 0, "of the closed model (-rate 0): this `number` sends when they were answered (1 to 65536)")
	f.DurationVar(&f.c.WarmUp, "warmup", 0, "do not count the requests of this first part of the `time`")
	f.StringVar(&p.startAt, "start-at", "", "begin at this `time` (RFC 3339, within a day), as other machines do")
	f.StringVar(&p.shard, "shard", "", "send one `part` of the plan, as in 2/4: the second of four, whose runs loadgen merge puts together")
	f.StringVar(&p.replay, "replay", "", "send what this `file` says, which -record wrote: the same requests at the same times")
}

// apply checks them and makes the plan.
func (p *planFlags) apply(f *targetFlags) error {
	c := &f.c
	c.Plan.Arrivals = schedule.Arrivals(p.arrivals)
	// What is given replaces what the environment says instead.
	if p.stages != "" && !f.set["stages"] && (f.set["rate"] || f.set["duration"] || f.set["replay"]) {
		p.stages = ""
	}
	if c.Workers > 0 && !f.set["workers"] && (f.set["rate"] && p.rate != 0 || f.set["stages"] || f.set["replay"]) {
		c.Workers = 0
	}
	switch {
	case p.stages != "" && (f.set["rate"] || f.set["duration"]):
		return f.Errorf("-stages says what -rate and -duration say: give one of them")
	case p.rate != 0 && !(p.rate >= 0.01 && p.rate <= schedule.MaxRate):
		return f.Errorf("-rate %g is out of range: 0.01 to %d, or 0", p.rate, schedule.MaxRate)
	case p.duration < schedule.MinDuration || p.duration > schedule.MaxDuration:
		return f.Errorf("-duration %s is out of range: 100ms to 24h", p.duration)
	case c.Workers < 0 || c.Workers > maxWorkers:
		return f.Errorf("-workers %d is out of range: 1 to %d", c.Workers, maxWorkers)
	case p.rate == 0 && p.stages == "" && p.replay == "" && c.Workers == 0:
		return f.Errorf("-rate 0 is the closed model, which needs -workers")
	case c.Workers > 0 && (p.rate != 0 || p.stages != "" || p.replay != ""):
		return f.Errorf("-workers is for the closed model: give -rate 0 too, and no -stages or -replay")
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
	if err := p.when(f); err != nil {
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
		if c.Recording.Targets() {
			if f.set["url"] {
				return f.Errorf("-replay %s says whole URLs: -url has no meaning", p.replay)
			}
			c.URL = p.replay
		}
	case p.stages != "":
		if c.Plan.Stages, err = schedule.ParseStages(p.stages); err != nil {
			return f.Errorf("-stages: %v", err)
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
		return f.Errorf("the plan is not one request")
	case c.WarmUp > 0 && c.WarmUp >= c.Plan.Span():
		return f.Errorf("-warmup %s is as long as the whole plan", c.WarmUp)
	}
	return nil
}

// untilSent makes the duration long enough for -n where none is given: a duration of the
// environment is replaced by a number on the command line.
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

// when reads -start-at and -shard.
func (p *planFlags) when(f *targetFlags) error {
	if p.startAt != "" {
		at, err := time.Parse(time.RFC3339, p.startAt)
		if err != nil {
			return f.Errorf("-start-at %q is not a time as in %s", p.startAt, time.Now().Truncate(time.Minute).Add(time.Hour).Format(time.RFC3339))
		}
		if wait := time.Until(at); wait < 0 || wait > maxWait {
			return f.Errorf("-start-at %s is not within the next 24 h", p.startAt)
		}
		f.c.StartAt = at
	}
	if p.shard != "" {
		part, of, _ := strings.Cut(p.shard, "/")
		i, err := strconv.ParseUint(part, 10, 32)
		n, err2 := strconv.ParseUint(of, 10, 32)
		if err != nil || err2 != nil || i < 1 || i > n || n > maxShards {
			return f.Errorf("-shard %q is not a part as in 2/4, of at most %d", p.shard, maxShards)
		}
		f.c.Plan.Shard, f.c.Plan.Shards = i-1, n
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"soundcheck/loadgen/compare"
	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/options"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/view"
)

// abOptions are the flags of an A/B run.
type abOptions struct {
	comparison
	a, b     string
	path     string // of the request; "": those of the mix
	rate     options.Rate
	duration time.Duration
	block    time.Duration
	arrivals string
	quiet    bool
}

// minBlocks is the min number of blocks.
const minBlocks = schedule.Quad * compare.MinUnits

func parseAB(args []string, getenv func(string) string, stdout io.Writer) (engine.Config, abOptions, error) {
	f := options.NewRequest("loadgen ab -a URL -b URL [PATH] [flags]", prefix+"_AB",
		"Compares service B with the baseline A in one run, in alternating blocks (A B B A):\np50, p99, goodput. Exit codes: 0 same or better; 3 regressed; 5 inconclusive.")
	var o abOptions
	o.define(f.Flags)
	f.StringVar(&o.a, "a", "", "`URL` of the baseline")
	f.StringVar(&o.b, "b", "", "`URL` of the candidate")
	o.rate = 100
	f.Var(&o.rate, "rate", "target `rate` in req/s, or N/duration (0.01/s to 100000/s)")
	f.DurationVar(&o.duration, "duration", 2*time.Minute, "measured duration: 32 to 600 blocks, in complete A B B A sequences")
	f.DurationVar(&o.block, "block", time.Second, "duration of a block (200ms to 45m)")
	f.StringVar(&o.arrivals, "arrivals", string(schedule.Constant), "arrival `process`: constant or poisson")
	f.DurationVar(&f.Config.WarmUp, "warmup", 2*time.Second, "warm-up duration for both services, not measured (0 to 10m)")
	f.Lookup("slo").Usage = "latency `SLO`, as in p99<250ms; slower responses are late, not good; repeatable"
	f.BoolVar(&o.quiet, "quiet", false, "disable progress output")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return f.Config, o, err
	}
	if err := o.apply(f); err != nil {
		return f.Config, o, err
	}
	return f.Config, o, nil
}

// apply checks the flags and makes the plan.
func (o *abOptions) apply(f *options.Flags) error {
	c := &f.Config
	o.path = f.Address()
	if err := o.check(f.Flags); err != nil {
		return err
	}
	for _, u := range []struct {
		name string
		url  *string
	}{{"a", &o.a}, {"b", &o.b}} {
		if *u.url == "" {
			return f.Errorf("-a and -b are required")
		}
		if err := f.CheckURL(u.name, u.url); err != nil {
			return err
		}
		if err := f.CheckVersion(u.name, *u.url); err != nil {
			return err
		}
	}
	for _, s := range c.SLOs {
		if s.Share() {
			return f.Errorf("-slo %s: ab accepts only latency SLOs, as in p99<250ms", s)
		}
	}
	if err := f.CheckScenarios(); err != nil {
		return err
	}
	c.Plan.Arrivals = schedule.Arrivals(o.arrivals)
	quad := schedule.Quad * o.block
	switch {
	case !(o.rate >= 0.01 && o.rate <= schedule.MaxRate):
		return f.Errorf("-rate %g is out of range: 0.01 to %d", o.rate, schedule.MaxRate)
	case o.block < schedule.MinBlock || o.block > schedule.MaxDuration/minBlocks:
		return f.Errorf("-block %s is out of range: %s to %s", o.block, schedule.MinBlock, schedule.MaxDuration/minBlocks)
	case o.duration < minBlocks*o.block:
		return f.Errorf("-duration %s is less than %d blocks: use -duration %s, or a shorter -block", o.duration, minBlocks, minBlocks*o.block)
	case o.duration > measure.MaxIntervals*o.block:
		return f.Errorf("-duration %s is more than %d blocks: use -duration %s, or a longer -block", o.duration, measure.MaxIntervals, measure.MaxIntervals*o.block)
	case o.duration%quad != 0:
		return f.Errorf("-duration %s is not a multiple of A B B A (%s): use -duration %s", o.duration, quad, (o.duration/quad+1)*quad)
	case c.Plan.Arrivals != schedule.Constant && c.Plan.Arrivals != schedule.Poisson:
		return f.Errorf("-arrivals %q is not constant or poisson", o.arrivals)
	case c.WarmUp < 0 || c.WarmUp > 10*time.Minute:
		return f.Errorf("-warmup %s is out of range: 0 to 10m", c.WarmUp)
	}
	c.Plan.Stages = []schedule.Stage{{Duration: c.WarmUp + o.duration, From: float64(o.rate), To: float64(o.rate)}}
	if c.Plan.Planned() < 1 {
		return f.Errorf("the plan has no request")
	}
	return nil
}

// runAB compares two targets in one run.
func runAB(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, o, err := parseAB(args, getenv, stdout)
	if err != nil {
		return err
	}
	for _, u := range []struct{ name, url string }{{"a", o.a}, {"b", o.b}} {
		if !c.Album() {
			break
		}
		if err := connect.Probe(ctx, u.url, c.Connect, c.Header); err != nil {
			return fmt.Errorf("reach the target of -%s: %w", u.name, err)
		}
	}
	if err := o.open(); err != nil {
		return err
	}
	t, err := begin(ctx, &c, getenv, stderr)
	if err != nil {
		return err
	}
	defer t.Finish(ctx, stderr)
	bar := view.Bar(stderr, o.quiet)
	c.Progress = view.New(bar).Show
	r, err := engine.AB(ctx, c, o.a, o.b, o.block)
	if err != nil {
		return err
	}
	bar.Clear()
	result, err := compare.Turns(r, c.Plan, o.block, o.a+o.path, o.b+o.path, float64(o.tolerance))
	if err != nil {
		return err
	}
	if err := o.write(result, stdout); err != nil {
		return err
	}
	if ctx.Err() != nil { // ended early
		return fmt.Errorf("interrupted after %.1f s: %s", r.Elapsed, result.Summary())
	}
	return conclude(result)
}

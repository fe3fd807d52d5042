package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/capacity"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
)

// capacityFlags are those that only a search has.
type capacityFlags struct {
	capacity.Range
	step   time.Duration
	format string
	quiet  bool
}

func parseCapacity(args []string, getenv func(string) string, stdout io.Writer) (engine.Config, capacityFlags, error) {
	f := newTargetFlags("loadgen capacity -slo OBJECTIVE [flags]", prefix+"_CAPACITY", `Searches for the highest rate at which a target meets its objectives.
Exit codes: 3 no rate passed; 4 the generator could not keep to the plan before that.`)
	var o capacityFlags
	f.Float64Var(&o.Lowest, "from", 50, "`rate` to begin with (0.01 to 100000)")
	f.Float64Var(&o.Highest, "to", 20_000, "highest `rate` to try")
	f.Float64Var(&o.Precision, "precision", 0.05, "end when the rate that fails is by this `share` above the one that passes (0.005 to 1)")
	f.DurationVar(&o.step, "step", 10*time.Second, "keep a rate up for this `long` (2s to 1h); shorter if the verdict is clear")
	f.DurationVar(&f.c.WarmUp, "warmup", 2*time.Second, "at each rate, do not count the requests of this first part of the `time` (0s to 10m)")
	f.StringVar(&o.format, "format", "text", "of the result: "+resultFormats)
	f.BoolVar(&o.quiet, "quiet", false, "show no progress")
	if err := f.parse(args, getenv, stdout); err != nil {
		return f.c, o, err
	}
	switch {
	case len(f.c.SLOs) == 0:
		return f.c, o, f.Errorf("give an objective that has to be met, as in -slo 'p99<100ms'")
	case !(o.Lowest >= 0.01 && o.Lowest <= schedule.MaxRate):
		return f.c, o, f.Errorf("-from %g is out of range: 0.01 to %d", o.Lowest, schedule.MaxRate)
	case !(o.Highest >= o.Lowest && o.Highest <= schedule.MaxRate):
		return f.c, o, f.Errorf("-to %g is out of range: %g, which is -from, to %d", o.Highest, o.Lowest, schedule.MaxRate)
	case !(o.Precision >= 0.005 && o.Precision <= 1):
		return f.c, o, f.Errorf("-precision %g is out of range: 0.005 to 1", o.Precision)
	case o.step < 2*time.Second || o.step > time.Hour:
		return f.c, o, f.Errorf("-step %s is out of range: 2s to 1h", o.step)
	case f.c.WarmUp < 0 || f.c.WarmUp > 10*time.Minute:
		return f.c, o, f.Errorf("-warmup %s is out of range: 0s to 10m", f.c.WarmUp)
	case o.Lowest*o.step.Seconds() < 10:
		return f.c, o, f.Errorf("-from %g for -step %s is less than 10 requests: of so few nothing can be said", o.Lowest, o.step)
	}
	if err := f.checkSLOs(); err != nil {
		return f.c, o, err
	}
	if err := checkResultFormat(f.Flags, o.format); err != nil {
		return f.c, o, err
	}
	return f.c, o, f.NoArgs()
}

func runCapacity(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, o, err := parseCapacity(args, getenv, stdout)
	if err != nil {
		return err
	}
	if err := probe(ctx, c); err != nil {
		return err
	}
	t, err := begin(ctx, &c, getenv, stderr)
	if err != nil {
		return err
	}
	defer t.Finish(ctx, stderr)
	bar := progress(stderr, o.quiet)
	s := &stepper{c: c, o: o, bar: bar}
	s.c.Pool = engine.NewPool(c.MaxWorkers)
	defer s.c.Pool.Close()
	start := time.Now()
	r, err := capacity.Search(ctx, o.Range, s.step)
	bar.Clear()
	r.RunID, r.Target, r.StartedAt = c.RunID, c.URL, start
	r.Objectives = capacity.Objectives(c.SLOs)
	switch e := writeResult(r, o.format, stdout); {
	case ctx.Err() != nil:
		return errors.Join(fmt.Errorf("interrupted after %d steps", len(r.Steps)), e)
	case err != nil || e != nil:
		return errors.Join(err, e)
	case r.Limit == capacity.Lowest:
		return cli.WithCode(codeViolated, errors.New("the objectives were not met at any rate"))
	case r.Limit == capacity.Generator:
		return cli.WithCode(codeInvalid, errors.New("the generator's limit came first"))
	}
	return nil
}

// stepper keeps up a rate after the other.
type stepper struct {
	c    engine.Config
	o    capacityFlags
	bar  *cli.Progress
	n    int
	sent uint64 // requests of the steps before
}

func (s *stepper) step(ctx context.Context, rate float64) (capacity.Step, error) {
	s.n++
	c := s.c
	total := c.WarmUp + s.o.step
	c.Plan = schedule.Plan{Stages: []schedule.Stage{{Duration: total, From: rate, To: rate}}, Arrivals: schedule.Constant}
	c.Before = s.sent
	elapsed := time.Duration(0)
	c.Progress = func(p engine.Progress) {
		elapsed = p.Elapsed - c.WarmUp
		s.bar.Show(fmt.Sprintf("step %d: %.1f/s for %.0f of %.0f s, %s", s.n, rate, p.Elapsed.Seconds(), total.Seconds(), now(p)))
	}
	c.EndWhen = func(list []slo.Outlook) string {
		return capacity.Decided(list, elapsed, s.o.step)
	}
	r, err := engine.Run(ctx, c)
	if err != nil {
		return capacity.Step{}, err
	}
	s.sent += uint64(r.Sent + r.WarmUp)
	st := capacity.Judge(r, rate, c.SLOs)
	verdict := "passed"
	if !st.Passed {
		verdict = "failed: " + st.Why
	}
	s.bar.Line(fmt.Sprintf("step %d: %.1f/s, p99 %.2f ms, %s", s.n, rate, 1000*st.P99, verdict))
	return st, nil
}

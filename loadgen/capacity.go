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

// capacityFlags are the flags of a search only.
type capacityFlags struct {
	capacity.Range
	step   time.Duration
	format string
	quiet  bool
}

func parseCapacity(args []string, getenv func(string) string, stdout io.Writer) (engine.Config, capacityFlags, error) {
	f := newTargetFlags("loadgen capacity -slo SLO [flags]", prefix+"_CAPACITY", `Searches for the max sustainable rate: the highest rate at which the target meets its SLOs.
Exit codes: 3 no rate passed; 4 limited by the generator, not the target.`)
	var o capacityFlags
	f.Float64Var(&o.Lowest, "from", 50, "initial `rate` in req/s (0.01 to 100000)")
	f.Float64Var(&o.Highest, "to", 20_000, "max `rate` in req/s (-from to 100000)")
	f.Float64Var(&o.Precision, "precision", 0.05, "stop when failed and passed rate differ by this `share` (0.005 to 1)")
	f.DurationVar(&o.step, "step", 10*time.Second, "duration of each rate (2s to 1h); shorter if the verdict is clear")
	f.DurationVar(&f.c.WarmUp, "warmup", 2*time.Second, "warm-up duration of each rate, not measured (0s to 10m)")
	f.StringVar(&o.format, "format", "text", "output format: "+resultFormats)
	f.BoolVar(&o.quiet, "quiet", false, "disable progress output")
	if err := f.parse(args, getenv, stdout); err != nil {
		return f.c, o, err
	}
	switch {
	case len(f.c.SLOs) == 0:
		return f.c, o, f.Errorf("-slo is required, as in -slo 'p99<100ms'")
	case !(o.Lowest >= 0.01 && o.Lowest <= schedule.MaxRate):
		return f.c, o, f.Errorf("-from %g is out of range: 0.01 to %d", o.Lowest, schedule.MaxRate)
	case !(o.Highest >= o.Lowest && o.Highest <= schedule.MaxRate):
		return f.c, o, f.Errorf("-to %g is out of range: %g (-from) to %d", o.Highest, o.Lowest, schedule.MaxRate)
	case !(o.Precision >= 0.005 && o.Precision <= 1):
		return f.c, o, f.Errorf("-precision %g is out of range: 0.005 to 1", o.Precision)
	case o.step < 2*time.Second || o.step > time.Hour:
		return f.c, o, f.Errorf("-step %s is out of range: 2s to 1h", o.step)
	case f.c.WarmUp < 0 || f.c.WarmUp > 10*time.Minute:
		return f.c, o, f.Errorf("-warmup %s is out of range: 0s to 10m", f.c.WarmUp)
	case o.Lowest*o.step.Seconds() < 10:
		return f.c, o, f.Errorf("-from %g for -step %s is less than 10 requests: too few for a verdict", o.Lowest, o.step)
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
		return cli.WithCode(codeViolated, errors.New("no rate met the SLOs"))
	case r.Limit == capacity.Generator:
		return cli.WithCode(codeInvalid, errors.New("limited by the generator, not the target"))
	}
	return nil
}

// stepper runs the steps of a search.
type stepper struct {
	c    engine.Config
	o    capacityFlags
	bar  *cli.Progress
	n    int
	sent uint64 // requests of earlier steps
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
		s.bar.Show(fmt.Sprintf("step %d: %.1f req/s, %.0f of %.0f s, %s", s.n, rate, p.Elapsed.Seconds(), total.Seconds(), now(p)))
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
		verdict = "failed: " + st.Reason
	}
	s.bar.Line(fmt.Sprintf("step %d: %.1f req/s, p99 %.2f ms, %s", s.n, rate, 1000*st.P99, verdict))
	return st, nil
}

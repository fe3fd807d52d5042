package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/capacity"
	"soundcheck/loadgen/cluster"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/options"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/view"
)

// capacityFlags are the flags of a search only.
type capacityFlags struct {
	capacity.Range
	step   time.Duration
	format string
	quiet  bool
}

func parseCapacity(args []string, getenv func(string) string, stdout io.Writer, d *distribution) (engine.Config, capacityFlags, error) {
	f := options.New(d.usage()[2], prefix+"_CAPACITY", `Searches for the max sustainable rate: the highest rate at which the target meets its SLOs.
Exit codes: 3 no rate passed; 4 limited by the generator, not the target.`)
	var o capacityFlags
	f.Elsewhere = d != nil && d.k8s != nil
	if d != nil {
		d.define(f.Flags)
	}
	o.Lowest, o.Highest = 50, 20_000
	f.Var((*options.Rate)(&o.Lowest), "from", "initial `rate` in req/s, or N/duration (0.01/s to 100000/s per process)")
	f.Var((*options.Rate)(&o.Highest), "to", "max `rate` in req/s, or N/duration (-from to 100000/s per process)")
	f.Float64Var(&o.Precision, "precision", 0.05, "stop when failed and passed rate differ by this `share` (0.005 to 1)")
	f.DurationVar(&o.step, "step", 10*time.Second, "duration of each rate (2s to 1h); shorter if the verdict is clear")
	f.DurationVar(&f.Config.WarmUp, "warmup", 2*time.Second, "warm-up duration of each rate, not measured (0s to 10m)")
	f.StringVar(&o.format, "format", "text", "output format: "+resultFormats)
	f.BoolVar(&o.quiet, "quiet", false, "disable progress output")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return f.Config, o, err
	}
	most := float64(schedule.MaxRate)
	if d != nil {
		if err := d.apply(f); err != nil {
			return f.Config, o, err
		}
		most *= float64(d.workers)
		d.step = o.step
	}
	switch {
	case len(f.Config.SLOs) == 0:
		return f.Config, o, f.Errorf("-slo is required, as in -slo 'p99<100ms'")
	case !(o.Lowest >= 0.01 && o.Lowest <= most):
		return f.Config, o, f.Errorf("-from %g is out of range: 0.01 to %.0f", o.Lowest, most)
	case !(o.Highest >= o.Lowest && o.Highest <= most):
		return f.Config, o, f.Errorf("-to %g is out of range: %g (-from) to %.0f", o.Highest, o.Lowest, most)
	case !(o.Precision >= 0.005 && o.Precision <= 1):
		return f.Config, o, f.Errorf("-precision %g is out of range: 0.005 to 1", o.Precision)
	case o.step < 2*time.Second || o.step > time.Hour:
		return f.Config, o, f.Errorf("-step %s is out of range: 2s to 1h", o.step)
	case f.Config.WarmUp < 0 || f.Config.WarmUp > 10*time.Minute:
		return f.Config, o, f.Errorf("-warmup %s is out of range: 0s to 10m", f.Config.WarmUp)
	case o.Lowest*o.step.Seconds() < 10:
		return f.Config, o, f.Errorf("-from %g for -step %s is less than 10 requests: too few for a verdict", o.Lowest, o.step)
	}
	if err := f.CheckScenarios(); err != nil {
		return f.Config, o, err
	}
	if err := checkResultFormat(f.Flags, o.format); err != nil {
		return f.Config, o, err
	}
	return f.Config, o, d.forward(f)
}

func runCapacity(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, o, err := parseCapacity(args, getenv, stdout, nil)
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
	c.Pool = engine.NewPool(c.MaxWorkers, c.Connect)
	defer c.Pool.Close()
	bar := view.Bar(stderr, o.quiet)
	_, err = search(ctx, &stepper{c: c, o: o, bar: bar, show: bar.Show, line: bar.Line, run: engine.Run}, stdout)
	return err
}

// capacityOn searches with the workers of a distribution.
func capacityOn(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer, d *distribution) error {
	c, o, err := parseCapacity(args, getenv, stdout, d)
	if err != nil {
		return err
	}
	c.RunID = runID(time.Now())
	bar := view.Bar(stderr, o.quiet)
	if ctx, err = d.open(ctx, getenv, bar, c.Notices, stderr); err != nil {
		return err
	}
	r, err := search(ctx, &stepper{c: c, o: o, bar: bar, show: d.show, line: d.line, run: d.run}, stdout)
	return d.close(len(r.Steps) > 0, d.finishCapacity(r, err))
}

func search(ctx context.Context, s *stepper, stdout io.Writer) (*capacity.Result, error) {
	start := time.Now()
	r, err := capacity.Search(ctx, s.o.Range, s.step)
	s.bar.Clear()
	r.RunID, r.Target, r.StartedAt = s.c.RunID, s.c.URL, start
	r.Objectives = capacity.Objectives(s.c.SLOs)
	switch e := writeResult(r, s.o.format, stdout); {
	case ctx.Err() != nil:
		return r, errors.Join(fmt.Errorf("interrupted after step %d", len(r.Steps)), e)
	case err != nil || e != nil:
		return r, errors.Join(err, e)
	case r.Limit == capacity.Lowest:
		return r, cli.WithCode(codeViolated, errors.New("no rate met the SLOs"))
	case r.Limit == capacity.Generator:
		return r, cli.WithCode(codeInvalid, errors.New("limited by the generator, not the target"))
	}
	return r, nil
}

// stepper runs the steps of a search.
type stepper struct {
	c    engine.Config
	o    capacityFlags
	bar  *cli.Progress
	show func(string) // of the bar, and of others who watch
	line func(string)
	run  runner
	n    int
	sent uint64 // planned requests of earlier steps
}

// maxApart is the max number of attempts of a step whose workers do not begin together.
const maxApart = 3

func (s *stepper) step(ctx context.Context, rate float64) (capacity.Step, error) {
	s.n++
	c := s.c
	total := c.WarmUp + s.o.step
	c.Plan = schedule.Plan{Stages: []schedule.Stage{{Duration: total, From: rate, To: rate}}, Arrivals: schedule.Constant}
	elapsed := time.Duration(0)
	c.Progress = func(p engine.Progress) {
		elapsed = p.Elapsed - c.WarmUp
		s.show(fmt.Sprintf("step %d: %.1f req/s, %.0f of %.0f s, %s", s.n, rate, p.Elapsed.Seconds(), total.Seconds(), view.Now(p)))
	}
	c.EndWhen = func(list []slo.Outlook) string {
		return capacity.Decided(list, elapsed, s.o.step)
	}
	var r *report.Report
	var err error
	for attempt := 1; ; attempt++ {
		c.Before = s.sent
		r, err = s.run(ctx, c)
		s.sent += c.Plan.Planned() // of all workers: one may have sent more than the others when a step ends early
		b := cluster.Broken{}
		if !errors.As(err, &b) {
			break
		}
		if b.Final || attempt == maxApart || ctx.Err() != nil {
			return capacity.Step{}, cli.WithCode(codeInvalid, err)
		}
		s.line(fmt.Sprintf("step %d is repeated: %s", s.n, b.Reason))
	}
	if err != nil {
		return capacity.Step{}, err
	}
	st := capacity.Judge(r, rate, c.SLOs)
	verdict := "passed"
	if !st.Passed {
		verdict = "failed: " + st.Reason
	}
	s.line(fmt.Sprintf("step %d: %.1f req/s, p99 %.2f ms, %s", s.n, rate, 1000*st.P99, verdict))
	return st, nil
}

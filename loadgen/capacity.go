package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/attack"
	"soundcheck/loadgen/capacity"
)

// capacityFlags are those that only a search has.
type capacityFlags struct {
	capacity.Range
	step   time.Duration
	format string
	quiet  bool
}

func parseCapacity(args []string, getenv func(string) string, stdout io.Writer) (attack.Config, capacityFlags, error) {
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
	case !(o.Lowest >= 0.01 && o.Lowest <= attack.MaxRate):
		return f.c, o, f.Errorf("-from %g is out of range: 0.01 to %d", o.Lowest, attack.MaxRate)
	case !(o.Highest >= o.Lowest && o.Highest <= attack.MaxRate):
		return f.c, o, f.Errorf("-to %g is out of range: %g, which is -from, to %d", o.Highest, o.Lowest, attack.MaxRate)
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
	s.c.Pool = attack.NewPool(c.MaxWorkers)
	defer s.c.Pool.Close()
	begun := time.Now()
	r, err := capacity.Search(ctx, o.Range, s.step)
	bar.Clear()
	r.RunID, r.Target, r.StartedAt = c.RunID, c.URL, begun
	for _, slo := range c.SLOs {
		r.Objectives = append(r.Objectives, slo.String())
	}
	if !aboutShares(c.SLOs) {
		r.Objectives = append(r.Objectives, fmt.Sprintf("served>%g%%", 100*minServed))
	}
	write := r.Write
	if o.format == "json" {
		write = r.WriteJSON
	}
	switch e := write(stdout); {
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
	c    attack.Config
	o    capacityFlags
	bar  *cli.Progress
	n    int
	sent uint64 // requests of the steps before
}

// minStepShare is how much of a step a target has to pass before it can be over: what
// builds up slowly shows late.
const minStepShare = 0.5

func (s *stepper) step(ctx context.Context, rate float64) (capacity.Step, error) {
	s.n++
	c := s.c
	whole := c.WarmUp + s.o.step
	c.Plan = attack.Plan{Stages: []attack.Stage{{Duration: whole, From: rate, To: rate}}, Arrivals: attack.Constant}
	c.Before = s.sent
	elapsed := time.Duration(0)
	c.Progress = func(p attack.Progress) {
		elapsed = p.Elapsed - c.WarmUp
		s.bar.Show(fmt.Sprintf("step %d: %.1f/s for %.0f of %.0f s, %s", s.n, rate, p.Elapsed.Seconds(), whole.Seconds(), now(p)))
	}
	c.EndWhen = func(list []attack.Outlook) string {
		if why := violated(list); why != "" {
			return why
		}
		for _, o := range list {
			if !o.Clear || !o.Met || !o.Steady {
				return ""
			}
		}
		if float64(elapsed) < minStepShare*float64(s.o.step) {
			return ""
		}
		return "all objectives are met"
	}
	r, err := attack.Run(ctx, c)
	if err != nil {
		return capacity.Step{}, err
	}
	s.sent += uint64(r.Sent + r.WarmUp)
	st := judge(r, rate, c.SLOs)
	verdict := "passed"
	if !st.Passed {
		verdict = "failed: " + st.Why
	}
	s.bar.Line(fmt.Sprintf("step %d: %.1f/s, p99 %.2f ms, %s", s.n, rate, 1000*st.P99, verdict))
	return st, nil
}

// minServed is what share of a step's requests has to be served, unless an objective is
// about shares.
const minServed = 0.99

func aboutShares(list []attack.SLO) bool { return slices.ContainsFunc(list, attack.SLO.Share) }

// judge says whether a step passed, and if not, why. What is refused is fast: without an
// objective about shares a target must not pass by that.
func judge(r *attack.Report, rate float64, slos []attack.SLO) capacity.Step {
	st := capacity.Step{Rate: rate, Reached: r.Reached, Goodput: r.Goodput, P50: r.Response.P50, P99: r.Response.P99, Lag: r.Lag.P99,
		Requests: r.Sent, Elapsed: r.Elapsed, Early: r.Ended != ""}
	served := float64(r.Classes[attack.Good] + r.Classes[attack.Late])
	if share := served / float64(max(r.Sent, 1)); share < minServed && !aboutShares(slos) {
		st.Why = fmt.Sprintf("%.1f%% of the requests were served", 100*share)
	}
	// What the target violates by itself comes before what the generator did.
	for _, v := range r.SLOs {
		switch {
		case st.Why != "" && !st.Generator:
		case !v.Met && (st.Why == "" || !v.Generator):
			st.Why, st.Generator = fmt.Sprintf("%s: %s", v.SLO, v.Text), v.Generator
		case v.Met && !v.Steady && st.Why == "":
			st.Why = v.SLO + " at first, and not any more in the last third"
		}
	}
	// Requests that were late took longer, so that objectives that are met are met. Those
	// that were not sent at all are missing.
	if why := r.Unsent(); why != "" && st.Why == "" && r.Ended == "" {
		st.Why, st.Generator = why, true
	}
	if st.Generator && len(r.Invalid) > 0 {
		st.Why += " because " + r.Invalid[0]
	}
	st.Passed = st.Why == ""
	return st
}

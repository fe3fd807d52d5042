package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"soundcheck/internal/cli"
	"soundcheck/internal/telemetry"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// attackOptions are the flags of a run outside engine.Config.
type attackOptions struct {
	output
	explain explanation
	abort   bool // -abort-on-slo
	quiet   bool
	record  string
}

func parseAttack(args []string, getenv func(string) string, stdout io.Writer) (engine.Config, attackOptions, error) {
	f := newTargetFlags("loadgen [flags]\n       loadgen capacity|ab|compare|merge|report -h", prefix, `Sends requests at scheduled times, and reports latency, throughput, errors and SLOs.
Commands: capacity (max sustainable rate), ab (two services), compare (two runs),
merge (runs of several machines), report (print a stored run).
Exit codes: 1 requests failed; 3 SLO violated; 4 report invalid (wins over 3).`)
	var p planFlags
	var o attackOptions
	p.define(f)
	o.output.define(f.Flags)
	o.explain.define(f)
	f.BoolVar(&o.abort, "abort-on-slo", false, "end the run as soon as an SLO is clearly violated")
	f.BoolVar(&o.quiet, "quiet", false, "disable progress output")
	f.StringVar(&o.record, "record", "", "record all requests to this `file`, for -replay")
	if err := f.parse(args, getenv, stdout); err != nil {
		return f.c, o, err
	}
	for _, err := range []error{p.apply(f), o.output.apply(f.Flags), o.explain.apply(f)} {
		if err != nil {
			return f.c, o, err
		}
	}
	if o.abort && len(f.c.SLOs) == 0 {
		return f.c, o, f.Errorf("-abort-on-slo needs -slo")
	}
	return f.c, o, f.NoArgs()
}

func runAttack(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, o, err := parseAttack(args, getenv, stdout)
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
	if err := o.output.open(&c); err != nil {
		return err
	}
	if o.record != "" {
		if c.Recorder, err = workload.NewRecorder(o.record, c.RunID); err != nil {
			return errors.Join(fmt.Errorf("-record: %w", err), o.output.discard())
		}
	}
	bar := progress(stderr, o.quiet)
	c.Progress = newView(bar).show
	if o.abort {
		c.EndWhen = slo.Violated
	}
	r, err := engine.Run(ctx, c)
	if c.Recorder != nil {
		err = errors.Join(err, c.Recorder.Close())
	}
	if err != nil {
		return errors.Join(err, o.output.discard())
	}
	interrupted := ctx.Err() != nil // ended early
	if o.explain.on && !interrupted {
		o.explain.add(ctx, r, t, bar, stderr)
	}
	bar.Clear()
	return cmp.Or(o.output.write(r, stdout, bar), verdict(r, interrupted))
}

// progress writes to stderr, unless quiet.
func progress(stderr io.Writer, quiet bool) *cli.Progress {
	if quiet {
		stderr = io.Discard
	}
	return cli.NewProgress(stderr)
}

// probe returns an error if the target is not a healthy album service. It does not probe the
// services of -targets.
func probe(ctx context.Context, c engine.Config) error {
	if len(c.Targets) > 0 || c.Recording != nil && c.Recording.Targets() {
		return nil
	}
	if err := engine.Probe(ctx, c.URL); err != nil {
		return fmt.Errorf("reach the target: %w\nstart the lab with make lab-up, or set -url", err)
	}
	return nil
}

// perConnection is the memory of a connection and its request.
const perConnection = 32 << 10

// begin sets the run id and starts telemetry.
func begin(ctx context.Context, c *engine.Config, getenv func(string) string, stderr io.Writer) (*telemetry.Telemetry, error) {
	c.RunID = runID(time.Now())
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(512<<20 + int64(c.MaxWorkers+c.Workers)*perConnection)
	}
	tc := telemetry.Config{Name: "loadgen", Logs: stderr, Quiet: true, IDs: engine.NewIDs(c.RunID)}
	if c.TraceSample < 1 || getenv("OTEL_TRACES_SAMPLER") == "" {
		tc.Sampler = engine.Sampler(c.TraceSample)
	}
	t, err := telemetry.Setup(ctx, tc)
	if err != nil {
		return nil, err
	}
	c.MeterProvider, c.Propagator = t.MeterProvider, t.Propagator
	if t.Disabled {
		c.MeterProvider = noop.NewMeterProvider()
	} else {
		c.TracerProvider = t.TracerProvider
	}
	return t, nil
}

// runID returns the id of a run: start time and a random suffix.
func runID(now time.Time) string {
	return fmt.Sprintf("%s-%04x", now.UTC().Format(runTime), rand.N(1<<16))
}

const runTime = "20060102T150405Z"

// Exit codes in addition to those of every program.
const (
	codeViolated     = 3
	codeInvalid      = 4
	codeInconclusive = 5
)

// verdict returns an error with the exit code of a run.
func verdict(r *report.Report, interrupted bool) error {
	completed := r.Sent - r.Cancelled
	unserved := r.Unserved()
	switch {
	case interrupted:
		return fmt.Errorf("interrupted after %.1f s: %d of %d requests failed or shed", r.Elapsed, unserved, completed)
	case completed == 0:
		return errors.New("no request completed after the warm-up")
	case len(r.Invalid) > 0:
		return cli.WithCode(codeInvalid, fmt.Errorf("report invalid: %s\nlower the rate, or run loadgen on another machine", r.Invalid[0]))
	case r.Violated() > 0:
		return cli.WithCode(codeViolated, fmt.Errorf("%d of %d SLOs violated", r.Violated(), len(r.SLOs)))
	case len(r.SLOs) > 0 || unserved == 0:
		return nil
	case unserved == completed:
		return fmt.Errorf("all %d requests failed or shed", completed)
	}
	return fmt.Errorf("%d of %d requests failed or shed", unserved, completed)
}

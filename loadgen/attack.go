package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/otel/metric/noop"

	"soundcheck/internal/cli"
	"soundcheck/internal/gc"
	"soundcheck/internal/telemetry"
	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/options"
	"soundcheck/loadgen/profiles"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/view"
	"soundcheck/loadgen/workload"
)

// attackOptions are the flags of a run outside engine.Config.
type attackOptions struct {
	output
	explain explanation
	name    string
	profile []profiles.Service
	abort   bool // -abort-on-slo
	quiet   bool
	record  string
	join    string
	token   string          // of join
	cert    connect.Options // of join: only the client certificate
	wrap    func(func(engine.Progress)) func(engine.Progress)
	bar     *cli.Progress // of a distribution, which writes lines, too
}

// usage are usage lines and descriptions, of one process and of many.
var (
	attackUsage = [3]string{"loadgen [URL] [flags]\n       loadgen capacity|k8s|coordinate|ab|compare|merge|report -h", `Sends requests at scheduled times, and reports latency, throughput, errors and SLOs.
Commands: capacity (max sustainable rate), k8s (from the pods of a cluster), coordinate
(from several machines), ab (two services), compare (two runs), merge (runs of several
machines), report (print a stored run).
Exit codes: 1 requests failed; 3 SLO violated; 4 report invalid (wins over 3).`, "loadgen capacity [URL] -slo SLO [flags]"}
	coordinateUsage = [3]string{"loadgen coordinate [capacity] [URL] -workers N [flags]", `Waits for N workers (loadgen -join), gives each a part of the load, starts them together,
and merges their reports exactly. coordinate capacity searches for the max sustainable rate.
Exit codes as of loadgen; 4 also if a worker was lost or began at another time.`, "loadgen coordinate capacity [URL] -workers N -slo SLO [flags]"}
	k8sUsage = [3]string{"loadgen k8s [capacity] [URL] -workers N [flags]", `Sends the load from N pods of a Kubernetes cluster, with kubectl and helm: to the lab that runs
there, or to -url as pods reach it. One release of the chart soundcheck-load is installed for
the run, and removed after it. k8s capacity searches for the max sustainable rate.
Exit codes as of loadgen; 4 also if a worker was lost or began at another time.`, "loadgen k8s capacity [URL] -workers N -slo SLO [flags]"}
)

func parseAttack(args []string, getenv func(string) string, stdout io.Writer, d *distribution) (engine.Config, attackOptions, error) {
	var p options.Plan
	var o attackOptions
	f := options.New(d.usage()[0], prefix, d.usage()[1])
	p.Define(f, d != nil)
	f.Elsewhere = d != nil && d.k8s != nil
	o.output.define(f.Flags)
	o.explain.define(f)
	f.BoolVar(&o.abort, "abort-on-slo", false, "end the run as soon as an SLO is clearly violated")
	f.BoolVar(&o.quiet, "quiet", false, "disable progress output")
	f.StringVar(&o.name, "name", "", "`name` of the run in its report, up to 100 characters")
	profile := ""
	if d == nil {
		f.StringVar(&profile, "profile", "", "take CPU profiles of `services` during the run: name=URL of pprof endpoints, separated by commas")
		f.StringVar(&o.record, "record", "", "record all requests to this `file`, for -replay")
		f.StringVar(&o.join, "join", "", "be a worker of the coordinator at this `URL`, which has all other flags")
		f.StringVar(&o.token, "token", "", "`token` of the coordinator, for -join")
	} else {
		d.define(f.Flags)
	}
	if err := f.Parse(args, getenv, stdout); err != nil {
		return f.Config, o, err
	}
	if o.join != "" {
		o.cert = f.Config.Connect
		return f.Config, o, o.applyJoin(f)
	}
	if o.token != "" && f.Given("token") {
		return f.Config, o, f.Errorf("-token needs -join")
	}
	if d != nil {
		if err := d.apply(f); err != nil {
			return f.Config, o, err
		}
		p.Processes = d.workers
	}
	for _, err := range []error{p.Apply(f), o.output.apply(f.Flags), o.explain.apply(f)} {
		if err != nil {
			return f.Config, o, err
		}
	}
	if d != nil {
		if d.explain = o.explain.on; f.Given("jaeger") {
			d.jaeger = o.explain.jaeger
		}
	}
	var err error
	if o.profile, err = profiles.Parse(profile); err != nil {
		return f.Config, o, f.Errorf("-profile: %v", err)
	}
	if utf8.RuneCountInString(o.name) > maxName || strings.ContainsFunc(o.name, unicode.IsControl) || !utf8.ValidString(o.name) {
		return f.Config, o, f.Errorf("-name %q is not a line of up to %d characters", o.name, maxName)
	}
	if o.abort && len(f.Config.SLOs) == 0 {
		return f.Config, o, f.Errorf("-abort-on-slo needs -slo")
	}
	return f.Config, o, d.forward(f)
}

// maxName is the limit of -name.
const maxName = 100

// applyJoin checks the flags of a worker: the coordinator has those of the run.
func (o *attackOptions) applyJoin(f *options.Flags) error {
	if name := f.Besides("join", "token", "out", "quiet", "cert", "key"); name != "" {
		return f.Errorf("-join and -%s do not go together: the coordinator has the flags of the run", name)
	}
	if f.Address() != "" {
		return f.Errorf("-join and %s do not go together: the coordinator has the flags of the run", f.PlainAddress())
	}
	return f.CheckURL("join", &o.join)
}

func runAttack(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, o, err := parseAttack(args, getenv, stdout, nil)
	switch {
	case err != nil:
		return err
	case o.join != "":
		return join(ctx, o, getenv, stderr)
	}
	if err := probe(ctx, c); err != nil {
		return err
	}
	if c.Stream != nil {
		if err := c.Stream.Wait(ctx); err != nil && ctx.Err() == nil {
			return cli.Usage("-targets: "+err.Error(), "run \"loadgen -h\" for help\n")
		} else if err != nil {
			return err
		}
	}
	t, err := begin(ctx, &c, getenv, stderr)
	if err != nil {
		return err
	}
	defer t.Finish(ctx, stderr)
	if err := profiles.Probe(ctx, o.profile); err != nil {
		return fmt.Errorf("-profile: %w", err)
	}
	if err := o.output.open(&c, true); err != nil {
		return err
	}
	if len(o.profile) > 0 && len(o.output.kept) == 0 {
		return cli.Usage("-profile needs -out or -keep, where the profiles are stored", "run \"loadgen -h\" for help\n")
	}
	_, err = attack(ctx, c, o, t, engine.Run, stdout, stderr)
	return err
}

// attackOn runs on the workers of a distribution.
func attackOn(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer, d *distribution) error {
	c, o, err := parseAttack(args, getenv, stdout, d)
	if err != nil {
		return err
	}
	c.RunID = runID(time.Now())
	if err := o.output.open(&c, false); err != nil {
		return err
	}
	o.bar = view.Bar(stderr, o.quiet)
	if ctx, err = d.open(ctx, getenv, o.bar, c.Notices, stderr); err != nil {
		return errors.Join(err, o.output.discard())
	}
	o.wrap = d.publish
	r, err := attack(ctx, c, o, nil, d.run, stdout, stderr)
	return d.close(r != nil, d.finish(r, err))
}

// attack runs and writes the report. Telemetry is nil in a coordinator.
func attack(ctx context.Context, c engine.Config, o attackOptions, t *telemetry.Telemetry, run runner, stdout, stderr io.Writer) (r *report.Report, err error) {
	if o.record != "" {
		if c.Recorder, err = workload.NewRecorder(o.record, c.RunID); err != nil {
			return nil, errors.Join(fmt.Errorf("-record: %w", err), o.output.discard())
		}
	}
	bar := cmp.Or(o.bar, view.Bar(stderr, o.quiet))
	c.Progress = view.New(bar).Show
	if err := o.output.watch(&c, o.name); err != nil {
		return nil, errors.Join(err, o.output.discard())
	}
	if o.wrap != nil {
		c.Progress = o.wrap(c.Progress)
	}
	if o.abort {
		c.EndWhen = slo.Violated
	}
	stop := o.profiling(ctx, c, bar, stderr)
	r, err = run(ctx, c)
	gc.End()
	stop()
	if c.Recorder != nil {
		err = errors.Join(err, c.Recorder.Close())
	}
	if r == nil {
		return nil, errors.Join(err, o.output.discard())
	}
	r.Name = o.name
	interrupted := ctx.Err() != nil // ended early
	o.output.analysing(r)
	if o.explain.on && !interrupted {
		o.explain.add(ctx, r, t, bar, stderr)
	}
	bar.Clear()
	return r, errors.Join(err, cmp.Or(o.output.write(r, stdout, bar), verdict(r, interrupted)))
}

// profiling takes profiles until stop is called.
func (o *attackOptions) profiling(ctx context.Context, c engine.Config, bar *cli.Progress, stderr io.Writer) (stop func()) {
	if len(o.profile) == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	begin := time.Now()
	if !c.StartAt.IsZero() {
		begin = c.StartAt
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		profiles.Take(ctx, o.profile, begin, c.Plan.Span(), o.output.store, func(service string, err error) {
			bar.Clear()
			fmt.Fprintf(stderr, "loadgen: no further CPU profiles of %s: %v\n", service, err)
		})
	}()
	return func() {
		cancel()
		<-done
	}
}

// runner runs a plan: engine.Run, or its like on many workers.
type runner func(ctx context.Context, c engine.Config) (*report.Report, error)

// probe returns an error if the target is not a healthy album service. It probes no other service.
func probe(ctx context.Context, c engine.Config) error {
	if !c.Album() {
		return nil
	}
	if err := connect.Probe(ctx, c.URL, c.Connect, c.Header); err != nil {
		return fmt.Errorf("reach the target: %w\n%s", err, c.Connect.Advice(err))
	}
	return nil
}

// perConnection is the memory of a connection and its request.
const perConnection = 32 << 10

// begin sets the run id, unless a coordinator has, and starts telemetry.
func begin(ctx context.Context, c *engine.Config, getenv func(string) string, stderr io.Writer) (*telemetry.Telemetry, error) {
	c.RunID = cmp.Or(c.RunID, runID(time.Now()))
	say(stderr, c.Notices)
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

// say prints what a person should know before the run.
func say(stderr io.Writer, notices []string) {
	for _, text := range notices {
		fmt.Fprintln(stderr, "loadgen: "+text)
	}
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
	case len(r.Invalid) > 0 && completed > 0 && unserved == completed: // the cause is elsewhere
		return cli.WithCode(codeInvalid, fmt.Errorf("all %d requests failed or shed; report invalid: %s", completed, r.Invalid[0]))
	case len(r.Invalid) > 0:
		text := "report invalid: " + r.Invalid[0]
		if advice := r.Advice(r.Invalid[0]); advice != "" {
			text += "\n" + advice
		}
		return cli.WithCode(codeInvalid, errors.New(text))
	case r.Flow != nil && r.Sent+r.WarmUp == 0:
		return errors.New("no request sent: check the if of each step")
	case completed == 0 && r.WarmUpTime > 0:
		return errors.New("no request completed after the warm-up")
	case completed == 0:
		return errors.New("no request completed")
	case r.Violated() > 0:
		return cli.WithCode(codeViolated, fmt.Errorf("%d of %d SLOs violated", r.Violated(), len(r.SLOs)))
	case len(r.SLOs) > 0 || unserved == 0:
		return nil
	case unserved == completed:
		return fmt.Errorf("all %d requests failed or shed", completed)
	}
	return fmt.Errorf("%d of %d requests failed or shed", unserved, completed)
}

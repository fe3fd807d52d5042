package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"soundcheck/dashboards"
	"soundcheck/internal/cli"
	"soundcheck/lab/build"
	"soundcheck/lab/kube"
	"soundcheck/lab/plan"
	"soundcheck/lab/verify"
)

// environments that can be verified: values of deployment.environment.name.
var environments = []string{"native", "compose", "k8s"}

// verifyFlags are those of lab verify.
type verifyFlags struct {
	*flags
	o      verify.Options
	otlp   string
	logs   string
	format string

	kube kube.Options

	// Of the lab that was found: its external album stores, and the
	// containers or the release, if it runs in some.
	stores  []string
	compose composeLab
	store   composeLab // a lab of which only the store runs in containers
	release *kube.Release
}

// Limits of flags.
const (
	maxVerifyRate = 1000
	maxSeries     = 10_000_000
)

func newVerifyFlags() *verifyFlags {
	f := &verifyFlags{flags: newFlags("lab verify [flags]", `Send a short load, check what the backends recorded of it, print a table.
Exit code 1 if a check failed. See docs/verify.md.`).withOffset()}
	f.StringVar(&f.o.Environment, "env", "native", "`environment`: native, compose or k8s")
	f.StringVar(&f.o.Proxy, "proxy", "", "`URL` of the proxy (default: the lab's)")
	f.StringVar(&f.o.Prometheus, "prometheus", "", "`URL` of Prometheus (default: the lab's)")
	f.StringVar(&f.o.Jaeger, "jaeger", "", "`URL` of Jaeger's query API (default: the lab's)")
	f.StringVar(&f.otlp, "otlp", "", "`URL` of the Collector's OTLP/HTTP receiver (default: the lab's)")
	f.StringVar(&f.logs, "logs", "", "`folder` of service logs and otlp.jsonl (default: native: state folder; compose: containers; k8s: pods)")
	f.StringVar(&f.kube.Namespace, "namespace", "", "k8s: `namespace` of the release (default: the context's, then any)")
	f.StringVar(&f.kube.Release, "release", "", "k8s: `name` of the Helm release (default: the only one)")
	f.StringVar(&f.kube.Context, "context", "", "k8s: `context` of kubectl's configuration (default: the current one)")
	f.Float64Var(&f.o.Generator.Rate, "rate", 25, "target rate in `req/s` (1 to 1000)")
	f.DurationVar(&f.o.Generator.Duration, "duration", 20*time.Second, "load duration (10s to 10m)")
	f.DurationVar(&f.o.Patience, "patience", 75*time.Second, "max wait for late telemetry after the load (1s to 10m)")
	f.IntVar(&f.o.MaxSeries, "max-series", 2000, "max `series` per metric (1 to 10000000)")
	f.IntVar(&f.o.MaxTotalSeries, "max-total-series", 20000, "max `series` of all metrics (1 to 10000000)")
	f.StringVar(&f.format, "format", "text", "result format: `text` or json")
	return f
}

// check checks ranges and enumerations.
func (f *verifyFlags) check() error {
	o := &f.o
	switch {
	case !slices.Contains(environments, o.Environment):
		return f.Errorf("-env %q is not one of %s", o.Environment, strings.Join(environments, ", "))
	case o.Environment != "k8s" && f.kube != kube.Options{}:
		return f.Errorf("-namespace, -release and -context need -env k8s")
	case !(o.Generator.Rate >= 1 && o.Generator.Rate <= maxVerifyRate):
		return f.Errorf("-rate %g is out of range: 1 to %d", o.Generator.Rate, maxVerifyRate)
	case o.Generator.Duration < 10*time.Second || o.Generator.Duration > 10*time.Minute:
		return f.Errorf("-duration %s is out of range: 10s to 10m", o.Generator.Duration)
	case o.Generator.Rate*o.Generator.Duration.Seconds() < verify.Hundred:
		return f.Errorf("-rate %g for -duration %s is less than %d requests", o.Generator.Rate, o.Generator.Duration, verify.Hundred)
	case o.Patience < time.Second || o.Patience > 10*time.Minute:
		return f.Errorf("-patience %s is out of range: 1s to 10m", o.Patience)
	case o.MaxSeries < 1 || o.MaxSeries > maxSeries:
		return f.Errorf("-max-series %d is out of range: 1 to %d", o.MaxSeries, maxSeries)
	case o.MaxTotalSeries < 1 || o.MaxTotalSeries > maxSeries:
		return f.Errorf("-max-total-series %d is out of range: 1 to %d", o.MaxTotalSeries, maxSeries)
	case f.format != "text" && f.format != "json":
		return f.Errorf("-format %q is not text or json", f.format)
	}
	return f.NoArgs()
}

// generators builds loadgen and datagen, which send the load.
func generators(ctx context.Context, b *build.Builder, g *verify.Generator) error {
	if err := os.MkdirAll(b.Logs, 0o755); err != nil { // of a native lab that was never started
		return err
	}
	for name, path := range map[string]*string{"loadgen": &g.Loadgen, "datagen": &g.Datagen} {
		t := plan.ClientTarget(name)
		if err := b.Build(ctx, t, new(build.Progress)); err != nil {
			return fmt.Errorf("%w; see %s", err, b.Log(t))
		}
		*path = b.Path(t)
	}
	return nil
}

func runVerify(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newVerifyFlags()
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	l, b, err := f.lab()
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.find(ctx, l, openCompose); err != nil {
		return err
	}
	if f.o.Dashboards, err = dashboards.All(); err != nil {
		return err
	}
	if f.o.Rules, err = verify.ReadRules(dashboards.FS(), "rules/*.yml"); err != nil {
		return err
	}
	if err := generators(ctx, b, &f.o.Generator); err != nil {
		return err
	}
	if err := f.sources(ctx, l); err != nil {
		return err
	}
	bar := cli.NewProgress(stderr)
	f.o.Progress = bar.Line
	r, err := verify.Run(ctx, f.o)
	bar.Clear()
	write := r.WriteText
	if f.format == "json" {
		write = r.WriteJSON
	}
	if err := errors.Join(err, write(stdout)); err != nil {
		return err
	}
	if r.Failed() > 0 {
		return cli.ErrSaid
	}
	return nil
}

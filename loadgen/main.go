// Loadgen sends requests to the album service at a steady rate and reports how
// it answered.
//
//	go run ./loadgen -rate 100                           # 100 requests/s for 30 s
//	go run ./loadgen -rate 500 -duration 2m              # more, for longer
//	go run ./loadgen -rate 100 -mix get=90,create=10     # other requests
//	go run ./loadgen -rate 100 -url http://10.0.0.7:9070 # another target
//
// The mix is made of three scenarios: list asks for the first page of albums and
// expects 200, get asks for one album that exists and expects 200, create makes
// one up and expects 201. Every other answer counts as failed.
//
// Response time counts from when a request was due, not from when it could be
// sent, so that a target that stalls does not look better than it is. The report
// also says how late requests were sent: if that is much, look whether
// -max-workers was reached or this machine is too busy for the rate.
//
// Every request is a trace of its own, which begins with a client span of the
// service loadgen. The report names the traces of the slowest requests. Where
// telemetry goes is told by the standard OTEL_* variables.
//
// The report is on stdout, progress on stderr. Ctrl-C ends the attack at once
// and shows the report so far.
//
// Exit codes: 0 every answer was as expected; 1 some were not, the target could
// not be reached, or the attack was interrupted; 2 wrong usage.
package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/internal/telemetry"
	"soundcheck/loadgen/attack"
)

func main() { cli.Main("loadgen", run) }

func parse(args []string, getenv func(string) string, stdout io.Writer) (c attack.Config, err error) {
	f := cli.NewFlags("loadgen [flags]", "SOUNDCHECK_LOADGEN", "Sends requests to the album service at a steady rate and reports how it answered.")
	f.IntVar(&c.Rate, "rate", 100, "`requests` a second (1 to 100000)")
	f.DurationVar(&c.Duration, "duration", 30*time.Second, "for this `long` (100ms to 24h)")
	f.StringVar(&c.URL, "url", "http://127.0.0.1:9070", "`URL` of the service")
	mix := f.String("mix", "get=70,list=20,create=10", "`weights` of the scenarios get, list and create (each 0 to 1000)")
	f.DurationVar(&c.Timeout, "timeout", 10*time.Second, "give up a request after this `long` (1ms to 10m)")
	f.IntVar(&c.MaxWorkers, "max-workers", 1024, "`requests` in flight at most (1 to 65536)")
	f.Uint64Var(&c.Seed, "seed", 1, "`number` that the order of requests and the created albums follow from")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return c, err
	}
	switch {
	case c.Rate < 1 || c.Rate > 100000:
		return c, f.Errorf("-rate %d is out of range: 1 to 100000", c.Rate)
	case c.Duration < 100*time.Millisecond || c.Duration > 24*time.Hour:
		return c, f.Errorf("-duration %s is out of range: 100ms to 24h", c.Duration)
	case c.Timeout < time.Millisecond || c.Timeout > 10*time.Minute:
		return c, f.Errorf("-timeout %s is out of range: 1ms to 10m", c.Timeout)
	case c.MaxWorkers < 1 || c.MaxWorkers > 65536:
		return c, f.Errorf("-max-workers %d is out of range: 1 to 65536", c.MaxWorkers)
	case c.Planned() < 1:
		return c, f.Errorf("-rate %d for -duration %s is not one request", c.Rate, c.Duration)
	}
	if _, err := albumhttp.NewClient(c.URL, albumhttp.ClientOptions{}); err != nil {
		return c, f.Errorf("-url: %v", err)
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	if c.Mix, err = attack.ParseMix(*mix); err != nil {
		return c, f.Errorf("-mix: %v", err)
	}
	return c, f.NoArgs()
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, err := parse(args, getenv, stdout)
	if err != nil {
		return err
	}
	if err := attack.Probe(ctx, c.URL); err != nil {
		return fmt.Errorf("reach the target: %w\nstart the lab with make lab-up, or name another service with -url", err)
	}
	t, err := telemetry.Setup(ctx, telemetry.Config{Name: "loadgen", Logs: stderr, Quiet: true})
	if err != nil {
		return err
	}
	defer t.Finish(ctx, stderr)
	c.TracerProvider, c.MeterProvider, c.Propagator = t.TracerProvider, t.MeterProvider, t.Propagator
	bar := cli.NewProgress(stderr)
	c.Progress = func(p attack.Progress) {
		bar.Show(fmt.Sprintf("%.0f of %.0f s: %d requests, %d failed, p99 %.1f ms",
			p.Elapsed.Seconds(), p.Duration.Seconds(), p.Requests, p.Failed, p.P99.Seconds()*1000))
	}
	r := attack.Run(ctx, c)
	bar.Clear()
	if err := r.Write(stdout); err != nil {
		return err
	}
	switch {
	case uint64(r.Requests) < r.Planned:
		return fmt.Errorf("interrupted after %.1f s: %d of %d requests were answered or failed, %d of them failed", r.Elapsed.Seconds(), r.Requests, r.Planned, r.Failed)
	case r.Failed == r.Requests:
		return fmt.Errorf("none of %d requests succeeded", r.Requests)
	case r.Failed > 0:
		return fmt.Errorf("%d of %d requests failed", r.Failed, r.Requests)
	}
	return nil
}

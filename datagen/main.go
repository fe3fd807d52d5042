// Datagen fills an album service with made-up albums.
//
//	go run ./datagen -n 1000          # through the proxy of the lab
//	go run ./datagen -n 1000 -seed 2  # a thousand others
//
// The same seed gives the same albums. Every album is created in a trace of its
// own, which begins in the service datagen. Running it again creates the same
// albums again, with other ids.
//
// Exit codes: 0 every album was created; 1 some were not; 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"soundcheck/datagen/fill"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/internal/telemetry"
)

func main() { cli.Main("datagen", run) }

type config struct {
	fill.Config
	url     string
	timeout time.Duration
}

func parse(args []string, getenv func(string) string, stdout io.Writer) (c config, err error) {
	f := cli.NewFlags("datagen [flags]", "SOUNDCHECK_DATAGEN", "Fills an album service with made-up albums.")
	f.IntVar(&c.N, "n", 1000, "create this `number` of albums (1 to 10000000)")
	f.Uint64Var(&c.Seed, "seed", 1, "`number` that the albums follow from")
	f.IntVar(&c.Concurrency, "concurrency", 16, "`calls` at a time (1 to 1024)")
	f.StringVar(&c.url, "url", "http://127.0.0.1:9070", "`URL` of the service")
	f.DurationVar(&c.timeout, "timeout", 10*time.Second, "give up a call after this `long` (1ms to 10m)")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return c, err
	}
	switch {
	case c.N < 1 || c.N > 10_000_000:
		return c, f.Errorf("-n %d is out of range: 1 to 10000000", c.N)
	case c.Concurrency < 1 || c.Concurrency > 1024:
		return c, f.Errorf("-concurrency %d is out of range: 1 to 1024", c.Concurrency)
	case c.timeout < time.Millisecond || c.timeout > 10*time.Minute:
		return c, f.Errorf("-timeout %s is out of range: 1ms to 10m", c.timeout)
	}
	if _, err := albumhttp.NewClient(c.url, albumhttp.ClientOptions{}); err != nil {
		return c, f.Errorf("-url: %v", err)
	}
	return c, f.NoArgs()
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, err := parse(args, getenv, stdout)
	if err != nil {
		return err
	}
	t, err := telemetry.Setup(ctx, telemetry.Config{Name: "datagen", Logs: stderr, Quiet: true})
	if err != nil {
		return err
	}
	defer t.Finish(ctx, stderr)
	c.Tracer = t.TracerProvider.Tracer("soundcheck/datagen")
	c.Service, err = albumhttp.NewClient(c.url, albumhttp.ClientOptions{
		Timeout: c.timeout, Conns: c.Concurrency,
		Telemetry: albumhttp.Telemetry{TracerProvider: t.TracerProvider, MeterProvider: t.MeterProvider, Propagator: t.Propagator},
	})
	if err != nil {
		return err
	}
	bar := cli.NewProgress(stderr)
	c.Progress = func(created, failed int, elapsed time.Duration) {
		rate := float64(created) / elapsed.Seconds()
		left := time.Duration(float64(c.N-created-failed) / max(rate, 1) * float64(time.Second))
		bar.Show(fmt.Sprintf("%d of %d albums, %d failed, %.0f/s, %s left", created, c.N, failed, rate, left.Round(time.Second)))
	}
	summary, err := fill.Run(ctx, c.Config)
	bar.Clear()
	if e := summary.Write(stdout); e != nil {
		return e
	}
	switch {
	case errors.Is(err, fill.ErrUnreachable):
		return fmt.Errorf("%w\nstart the lab with make lab-up, or name another service with -url", err)
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %d of %d albums were created", summary.Created, summary.N)
	case summary.Created < summary.N:
		return fmt.Errorf("%d of %d albums were not created", summary.N-summary.Created, summary.N)
	}
	return nil
}

// Datagen fills an album service with made-up albums.
//
//	go run ./datagen                            # 1000 albums, through the proxy of the lab
//	go run ./datagen -n 100000 -concurrency 64  # many, faster
//	go run ./datagen -n 1000 -seed 2            # a thousand others
//	go run ./datagen -n 1000 -from 1000         # the next thousand of the same
//	go run ./datagen -n 1000000 -o albums.csv   # to a file, and to no service
//
// The same seed gives the same albums: album i is the same whatever -n and
// -concurrency are. No two of a seed have the same title and artist. Running it again
// creates the same albums again, with other ids.
//
// With -o the albums are written to a file, or with -o - to stdout. Its name says the
// form: .ndjson or .jsonl (an album a line), .json (an array), .csv (with a header),
// .sql (for the table of the store's database: -sql), each with .gz or without. The same
// flags give the same bytes. The file is there when all of it is.
//
// Every album is created in a trace of its own, which begins with a client span
// of the service datagen. Where telemetry goes is told by the standard OTEL_*
// variables. If no Collector listens, the albums are created all the same, and a
// last line on stderr says what was not delivered.
//
// The summary is on stdout, progress on stderr:
//
//	created  998 of 1000 albums in 0.4 s, 2581/s
//	failed   2
//	  2 × album store unavailable: answered 502 Bad Gateway, first in trace 4bf92f3577b34da6a3ce929d0e0e4736
//
// A service that does not answer twenty calls in a row is given up. Ctrl-C lets
// the calls in flight finish for a second, and then shows what was created.
//
// Exit codes: 0 every album was created; 1 some were not; 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"soundcheck/datagen/file"
	"soundcheck/datagen/fill"
	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/internal/fakealbum"
	"soundcheck/internal/telemetry"
)

func main() { cli.Main("datagen", run) }

type config struct {
	fill.Config
	url     string
	timeout time.Duration
	out     string
	sql     string
	format  file.Format
	gzip    bool
}

func parse(args []string, getenv func(string) string, stdout io.Writer) (c config, err error) {
	f := cli.NewFlags("datagen [flags]", "SOUNDCHECK_DATAGEN", "Fills an album service with made-up albums.")
	f.IntVar(&c.N, "n", 1000, "create this `number` of albums (1 to 10000000)")
	f.Uint64Var(&c.Seed, "seed", 1, "`number` that the albums follow from")
	f.Uint64Var(&c.From, "from", 0, "begin with album `number` of the seed")
	f.Float64Var(&c.Unicode, "unicode", fakealbum.Unicode, "`share` of the albums with &, quotes, accents, CJK, emoji or right-to-left text (0 to 1)")
	f.StringVar(&c.out, "o", "", "write to this `file` (.ndjson, .json, .csv or .sql, with .gz or without; - is stdout) and not to a service")
	f.StringVar(&c.sql, "sql", string(file.Postgres), "a .sql file is for this `database`: postgres (COPY) or sqlite (INSERT)")
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
	switch {
	case !(c.Unicode >= 0 && c.Unicode <= 1):
		return c, f.Errorf("-unicode %g is out of range: 0 to 1", c.Unicode)
	case c.From > maxFrom:
		return c, f.Errorf("-from %d is out of range: 0 to %d", c.From, uint64(maxFrom))
	case c.sql != string(file.Postgres) && c.sql != string(file.SQLite):
		return c, f.Errorf("-sql %q is not postgres or sqlite", c.sql)
	}
	if c.out != "" {
		if c.format, c.gzip, err = file.Named(c.out, file.Format(c.sql)); err != nil {
			return c, f.Errorf("-o: %v", err)
		}
	}
	if _, err := albumhttp.NewClient(c.url, albumhttp.ClientOptions{}); err != nil {
		return c, f.Errorf("-url: %v", err)
	}
	return c, f.NoArgs()
}

// maxFrom leaves room for -n.
const maxFrom = 1 << 60

// write writes the albums to a file.
func write(ctx context.Context, c config, stdout, stderr io.Writer) error {
	bar := cli.NewProgress(stderr)
	begun := time.Now()
	catalogue := fakealbum.Catalogue{Seed: c.Seed, Unicode: c.Unicode}
	err := file.Create(ctx, c.out, c.format, c.gzip, file.Albums{
		N:        uint64(c.N),
		Make:     func(n uint64) album.Album { return catalogue.Album(c.From + n) },
		Progress: func(n uint64) { bar.Show(progress(c.N, int(n), 0, time.Since(begun))) },
	}, stdout)
	bar.Clear()
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("interrupted: %s is not written", c.out)
	case err != nil:
		return fmt.Errorf("-o: %w", err)
	}
	return nil
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, err := parse(args, getenv, stdout)
	if err != nil {
		return err
	}
	if c.out != "" {
		return write(ctx, c, stdout, stderr)
	}
	t, err := telemetry.Setup(ctx, telemetry.Config{Name: "datagen", Logs: stderr, Quiet: true})
	if err != nil {
		return err
	}
	defer t.Finish(ctx, stderr)
	c.Service, err = albumhttp.NewClient(c.url, albumhttp.ClientOptions{
		Timeout: c.timeout, Conns: c.Concurrency,
		Telemetry: albumhttp.Telemetry{TracerProvider: fill.Noted(t.TracerProvider), MeterProvider: t.MeterProvider, Propagator: t.Propagator},
	})
	if err != nil {
		return err
	}
	bar := cli.NewProgress(stderr)
	c.Progress = func(created, failed int, elapsed time.Duration) { bar.Show(progress(c.N, created, failed, elapsed)) }
	summary, runErr := fill.Run(ctx, c.Config)
	bar.Clear()
	if err := summary.Write(stdout); err != nil {
		return err
	}
	switch {
	case errors.Is(runErr, fill.ErrGaveUp):
		return fmt.Errorf("%w\nstart the lab with make lab-up, or name another service with -url", runErr)
	case runErr != nil:
		return fmt.Errorf("interrupted: %d of %d albums were created", summary.Created, summary.N)
	case summary.Failed > 0:
		return fmt.Errorf("%d of %d albums were not created", summary.Failed, summary.N)
	}
	return nil
}

func progress(n, created, failed int, elapsed time.Duration) string {
	text := fmt.Sprintf("%d of %d albums, %.0f/s", created, n, float64(created)/elapsed.Seconds())
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	if done := created + failed; done > 0 {
		left := time.Duration(float64(elapsed) / float64(done) * float64(n-done))
		text += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	return text
}

// Datagen creates fake albums, or the albums of a file, in an album service.
//
//	go run ./datagen                            # 1000 albums, through the proxy of the lab
//	go run ./datagen -n 100000 -batch 1000      # many, faster
//	go run ./datagen -n 1000 -seed 2            # a thousand different ones
//	go run ./datagen -n 1000 -from 1000         # the next thousand of a seed
//	go run ./datagen -i albums.csv              # from a file
//	go run ./datagen -n 1000000 -o albums.csv   # to a file instead of a service
//
// The same seed gives the same albums: album i is the same whatever the other flags are.
// No two of a seed have the same title and artist.
//
// Each album is created once, even if datagen is stopped and run again with the same flags,
// as long as the service stores idempotency keys (24 hours). The Idempotency-Key of a request
// is derived from the seed and the number of its first album. datagen retries a request that
// got no response, or a response that allows a retry: after Retry-After, or with exponential
// backoff. Another -batch, -async or -invalid makes different requests: the service rejects
// those with a known key and creates the other albums again.
//
// With -batch 1 every album is created in its own trace, otherwise every batch. The root is a
// client span of the service datagen. The standard OTEL_* variables set where telemetry
// goes. Without a Collector the albums are created, and the last line on stderr reports
// the telemetry that was not delivered.
//
// With -invalid some of the albums are invalid, in about twenty ways. The service must
// reject each with the right status and name the invalid field. They are sent one by one,
// even with -batch.
//
// With -verify datagen reads all pages of the service at the end, and checks that each album
// is stored once, unchanged. The service may have other albums.
//
// With -o the albums are written to a file, or with -o - to stdout. The file's extension sets
// the format: .ndjson or .jsonl (one album per line), .json (an array), .csv (with a header),
// .sql (for the table of the store's database: -sql), with or without .gz. The same
// flags give the same bytes. The file appears when it is complete. With -i datagen sends such
// files, except .sql. If a file has an invalid album, nothing is sent, unless -skip-bad is
// set. Albums of stdin are sent up to the first invalid one.
//
// A file is validated as strictly as a request: UTF-8, no unknown field, no duplicate field.
// An invalid line is reported with its number and the reason. The next line is read as usual,
// but a syntax error in a JSON array ends the import. A byte order mark at the start is
// skipped. An export of one service can be imported into another:
//
//	curl -H 'Accept: application/x-ndjson' http://127.0.0.1:9070/albums > a.ndjson
//	go run ./datagen -i a.ndjson -url http://127.0.0.1:9170
//
// created_at is validated and dropped: the service sets it. An id is kept. If an equal album
// has the id, the album counts as already there, otherwise as failed. The rest of its
// batch is then sent one by one.
//
// The summary is on stdout, progress on stderr:
//
//	created        998 of 1000 albums in 0.4 s, 2581/s
//	retried        6: requests, after a retryable error
//	failed         2
//	  2 × album store unavailable: responded 502 Bad Gateway, first in trace 4bf92f3577b34da6a3ce929d0e0e4736
//
// With -format json it is one JSON object: albums (how many there are to create),
// created, already_there, rejected (invalid albums), skipped (invalid lines), retried (requests),
// unknown (cancelled in flight), failed, errors (message, count, trace_id), seconds,
// albums_per_second, resume_from and verified (albums, once, missing, changed, twice,
// others, examples).
//
// datagen aborts when the service has created no album for -patience, sends a longer
// Retry-After than that, is full, or has rejected a thousand requests in a row. It aborts
// after three seconds if there is no album service at the URL. On Ctrl-C, requests in flight
// have one second to finish; the last message shows how to resume. An operation accepted
// with -async continues without datagen, and is counted as unknown.
//
// Exit codes: 0 every album is stored, and every invalid one was rejected; 1 otherwise;
// 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"soundcheck/datagen/file"
	"soundcheck/datagen/fill"
	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/cli"
	"soundcheck/internal/fakealbum"
	"soundcheck/internal/telemetry"
)

func main() {
	cli.Main("datagen", func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
		return run(ctx, args, getenv, os.Stdin, stdout, stderr)
	})
}

func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	c, err := parse(args, getenv, stdout)
	if err != nil {
		return err
	}
	bar := cli.NewProgress(stderr)
	defer bar.Clear()
	if c.out.name != "" {
		return c.write(ctx, stdout, bar)
	}
	in, err := c.items(ctx, stdin, bar)
	if err != nil {
		return err
	}
	t, err := telemetry.Setup(ctx, telemetry.Config{Name: "datagen", Logs: stderr, Quiet: true})
	if err != nil {
		return err
	}
	defer t.Finish(ctx, stderr)
	client, err := albumapi.NewClient(c.url, albumapi.ClientOptions{
		Timeout: c.timeout, Conns: c.Concurrency,
		Telemetry: albumapi.Telemetry{TracerProvider: fill.Noted(t.TracerProvider), MeterProvider: t.MeterProvider, Propagator: t.Propagator},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	return c.send(ctx, in, client, stdout, bar)
}

// send creates the albums and writes the summary.
func (c *config) send(ctx context.Context, in *input, s fill.Service, stdout io.Writer, bar *cli.Progress) error {
	var expected *fill.Expected
	if c.verify {
		expected = fill.NewExpected(c.from)
		c.Items = expecting(expected, c.Items)
	}
	c.Service, c.Tick = s, tick
	c.Progress = func(s fill.Summary) { bar.Show(progress(s, bar.Terminal())) }
	summary, runErr := fill.Run(ctx, c.Config)
	summary.Skipped = int(in.skipped.Load())
	var verifyErr error
	if expected != nil && runErr == nil {
		summary.Verified, verifyErr = expected.Verify(ctx, s, c.Patience, func(n int) { bar.Show(fmt.Sprintf("verifying: %d albums read", n)) })
	}
	bar.Clear()
	write := summary.Write
	if c.json {
		write = summary.WriteJSON
	}
	if err := write(stdout); err != nil {
		return err
	}
	return c.verdict(summary, runErr, verifyErr)
}

// verdict is the error of a run: nil if every album is stored as expected.
func (c *config) verdict(s fill.Summary, runErr, verifyErr error) error {
	var bad *file.BadError
	var input *fill.InputError
	switch {
	case errors.Is(runErr, fill.ErrAborted) && s.Created+s.There == 0 && !errors.Is(runErr, album.ErrFull):
		return fmt.Errorf("%w\nstart the lab with make lab-up, or name another service with -url", runErr)
	case errors.Is(runErr, fill.ErrAborted):
		return fmt.Errorf("%w\n%s; %s", runErr, c.there(s), c.resume(s))
	case errors.As(runErr, &bad):
		return fmt.Errorf("%w\n%s; -skip-bad skips invalid lines", runErr, c.there(s))
	case errors.As(runErr, &input):
		return fmt.Errorf("%w\n%s", runErr, c.there(s))
	case runErr != nil:
		return fmt.Errorf("interrupted: %s; %s", c.there(s), c.resume(s))
	case s.Failed > 0 || s.Unknown > 0:
		text := fmt.Sprintf("%d albums failed", s.Failed)
		if s.Retryable > 0 || s.Unknown > 0 {
			text += "; run it again with the same flags to retry: no album is created twice"
		}
		return errors.New(text)
	case errors.Is(verifyErr, context.Canceled):
		return fmt.Errorf("interrupted: %s; not verified", c.there(s))
	case verifyErr != nil:
		return verifyErr
	case s.Verified != nil && !s.Verified.OK():
		return fmt.Errorf("%d of %d albums are missing, changed or duplicated", s.Verified.Albums-s.Verified.Once, s.Verified.Albums)
	}
	return nil
}

func (c *config) there(s fill.Summary) string {
	if c.N == 0 {
		return fmt.Sprintf("%d of the albums that were read are stored", s.Created+s.There)
	}
	return fmt.Sprintf("%d of %d albums are stored", s.Created+s.There, c.N)
}

// resume returns the flags that create the rest.
func (c *config) resume(s fill.Summary) string {
	text := fmt.Sprintf("resume with the same flags and -from %d", s.Resume)
	if c.N > 0 && c.in.name == "" {
		text += fmt.Sprintf(" -n %d", c.from+uint64(c.N)-s.Resume)
	}
	return text
}

// write writes the albums to a file.
func (c *config) write(ctx context.Context, stdout io.Writer, bar *cli.Progress) error {
	begun := time.Now()
	catalogue := fakealbum.Catalogue{Seed: c.seed, Unicode: c.unicode}
	err := file.Create(ctx, c.out.name, c.out.format, c.out.gzip, file.Albums{
		N:    uint64(c.N),
		Make: func(n uint64) album.Album { return catalogue.Album(c.from + n) },
		Progress: func(n uint64) {
			bar.Show(progress(fill.Summary{N: c.N, Created: int(n), Elapsed: time.Since(begun)}, bar.Terminal()))
		},
	}, stdout)
	bar.Clear()
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("interrupted: %s not written", c.out.name)
	case err != nil:
		return fmt.Errorf("-o: %w", err)
	}
	return nil
}

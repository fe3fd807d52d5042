package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync/atomic"
	"time"

	"soundcheck/datagen/file"
	"soundcheck/datagen/fill"
	"soundcheck/internal/cli"
	"soundcheck/internal/fakealbum"
)

// items returns the albums to send, from the seed or the file.
func (c *config) items(ctx context.Context, stdin io.Reader, bar *cli.Progress) (*input, error) {
	in := &input{config: c, stdin: stdin, bar: bar}
	c.First = c.from
	if c.in.name == "" {
		c.Items, c.Key = in.fake(), in.seedKey
		return in, nil
	}
	c.Items, c.Key = in.fromFile, in.fileKey
	if c.in.name == "-" {
		return in, nil
	}
	// A regular file is validated before anything is sent.
	return in, in.check(ctx)
}

// input yields the items of a run.
type input struct {
	*config
	stdin   io.Reader
	bar     *cli.Progress
	reads   int          // of the file; invalid lines are reported the first time
	skipped atomic.Int64 // invalid lines of the file
}

func (in *input) fake() iter.Seq2[fill.Item, error] {
	catalogue := fakealbum.Catalogue{Seed: in.seed, Unicode: in.unicode}
	return func(yield func(fill.Item, error) bool) {
		for i := in.from; i < in.from+uint64(in.N); i++ {
			item := fill.Item{Number: i}
			if b, broken := catalogue.Broken(i, in.invalid); broken {
				item.Broken = &b
			} else {
				item.Album = catalogue.Album(i)
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// seedKey is the key of a request whose first album is number i of the seed. It does not depend on the rest of
// the request, so the service rejects that album in another batch.
func (in *input) seedKey(first fill.Item) string {
	return fmt.Sprintf("datagen-%d-%g-%d", in.seed, in.unicode, first.Number)
}

// fileKey is the key of a request whose first album is from a file.
func (in *input) fileKey(first fill.Item) string {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(first.Album) // strings and numbers: there is no error
	return fmt.Sprintf("datagen-file-%d-%s", first.Number, hex.EncodeToString(h.Sum(nil)[:16]))
}

// maxReported is how many invalid lines are reported; the rest is counted.
const maxReported = 10

// fromFile yields the albums of the file, numbered from 0 by their position. Invalid lines are
// numbered, too: the others keep their numbers when it is fixed.
func (in *input) fromFile(yield func(fill.Item, error) bool) {
	r, err := in.open()
	if err != nil {
		yield(fill.Item{Number: in.from}, fmt.Errorf("-i: %w", err))
		return
	}
	defer r.Close()
	in.reads++
	number, good := uint64(0), 0
	fail := func(err error) { yield(fill.Item{Number: number}, fmt.Errorf("-i %s: %w", in.in.name, err)) }
	for a, err := range file.Read(r, in.in.format) {
		var bad *file.BadError
		switch {
		case errors.As(err, &bad) && in.skipBad:
			in.skip(bad)
		case err != nil:
			fail(err)
			return
		case number >= in.from:
			if good++; !yield(fill.Item{Number: number, Album: a}, nil) {
				return
			}
		}
		if number++; in.N > 0 && good == in.N {
			return
		}
	}
	switch {
	case in.reads > 1:
		fail(errors.New("it changed while it was read"))
	case number == 0:
		fail(errors.New("it has no albums"))
	case number <= in.from:
		fail(fmt.Errorf("it has %d albums, and -from is %d", number, in.from))
	case good == 0:
		fail(fmt.Errorf("no valid album from album %d on: %d skipped", in.from, number-in.from))
	case in.N > 0:
		fail(fmt.Errorf("it has %d albums from album %d on, and -n is %d", good, in.from, in.N))
	}
}

func (in *input) skip(bad *file.BadError) {
	if in.reads > 1 {
		return
	}
	if in.skipped.Add(1) <= maxReported {
		in.bar.Line(fmt.Sprintf("-i %s: %v: skipped", in.in.name, bad))
	}
}

// check reads all of the file, and counts its albums.
func (in *input) check(ctx context.Context) error {
	n, begun, shown := 0, time.Now(), time.Now()
	for _, err := range in.fromFile {
		if err != nil {
			hint := ""
			if bad := new(file.BadError); errors.As(err, &bad) {
				hint = "; -skip-bad skips invalid lines"
			}
			return fmt.Errorf("%w\nnothing was sent%s", err, hint)
		}
		if n++; n%1000 == 0 && time.Since(shown) >= tick {
			shown = time.Now()
			in.bar.Show(fmt.Sprintf("checking %s: %d albums, %.0f/s", in.in.name, n, float64(n)/time.Since(begun).Seconds()))
		}
		if ctx.Err() != nil {
			return errors.New("interrupted: nothing was sent")
		}
	}
	in.N = n
	return nil
}

// open returns the content of the file.
func (in *input) open() (io.ReadCloser, error) {
	if in.in.name == "-" {
		return io.NopCloser(in.stdin), nil
	}
	if st, err := os.Stat(in.in.name); err != nil || !st.Mode().IsRegular() {
		return nil, cmp.Or(err, fmt.Errorf("%s is not a regular file: use -i - for a pipe", in.in.name))
	}
	f, err := os.Open(in.in.name)
	if err != nil || !in.in.gzip {
		return f, err
	}
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", in.in.name, err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// expecting adds the albums that it yields to e.
func expecting(e *fill.Expected, items iter.Seq2[fill.Item, error]) iter.Seq2[fill.Item, error] {
	return func(yield func(fill.Item, error) bool) {
		for item, err := range items {
			if err == nil && item.Broken == nil {
				e.Add(item.Number, item.Album)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

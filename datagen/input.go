package main

import (
	"bufio"
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
	"time"

	"soundcheck/datagen/file"
	"soundcheck/datagen/fill"
	"soundcheck/internal/cli"
	"soundcheck/internal/fakealbum"
)

// items returns what is to be sent, from the seed or from the file.
func (c *config) items(ctx context.Context, stdin io.Reader, bar *cli.Progress) (*input, error) {
	in := &input{config: c, stdin: stdin, bar: bar}
	if c.in.name == "" {
		c.Items, c.Key = in.madeUp(), in.seedKey
		return in, nil
	}
	c.Items, c.Key = in.fromFile, in.fileKey
	if c.in.name == "-" {
		return in, nil
	}
	// Of a file that can be read twice nothing is sent before all of it is good.
	return in, in.check(ctx)
}

// input yields the items of a run.
type input struct {
	*config
	stdin   io.Reader
	bar     *cli.Progress
	reads   int // of the file; what is bad is reported the first time
	skipped int // bad ones of the file
}

func (in *input) madeUp() iter.Seq2[fill.Item, error] {
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

// seedKey is for a request that begins with album i of the seed. That it does not tell the
// number of albums is on purpose: what an earlier run has sent in other batches is refused,
// not created again.
func (in *input) seedKey(first fill.Item) string {
	return fmt.Sprintf("datagen-%d-%g-%d", in.seed, in.unicode, first.Number)
}

// fileKey is for a request that begins with an album at some place of a file.
func (in *input) fileKey(first fill.Item) string {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(first.Album) // strings and numbers: there is no error
	return fmt.Sprintf("datagen-file-%d-%s", first.Number, hex.EncodeToString(h.Sum(nil)[:16]))
}

// maxSaid is how many bad lines are reported; the rest is counted.
const maxSaid = 10

// fromFile yields the albums of the file, numbered from 0 without the bad ones.
func (in *input) fromFile(yield func(fill.Item, error) bool) {
	r, err := in.open()
	if err != nil {
		yield(fill.Item{}, fmt.Errorf("-i: %w", err))
		return
	}
	defer r.Close()
	in.reads++
	number := uint64(0)
	for a, err := range file.Read(r, in.in.format) {
		var bad *file.BadError
		switch {
		case errors.As(err, &bad) && in.skipBad:
			in.skip(bad)
			continue
		case err != nil:
			yield(fill.Item{Number: number}, fmt.Errorf("-i %s: %w", in.in.name, err))
			return
		}
		if number >= in.from && !yield(fill.Item{Number: number, Album: a}, nil) {
			return
		}
		if number++; in.N > 0 && number == in.from+uint64(in.N) {
			return
		}
	}
	if number <= in.from {
		yield(fill.Item{}, fmt.Errorf("-i %s: it has %d albums, and -from is %d", in.in.name, number, in.from))
	}
}

func (in *input) skip(bad *file.BadError) {
	if in.reads > 1 {
		return
	}
	if in.skipped++; in.skipped <= maxSaid {
		in.bar.Line(fmt.Sprintf("-i %s: %v: left out", in.in.name, bad))
	}
}

// check reads all of the file, and counts its albums.
func (in *input) check(ctx context.Context) error {
	n, begun, shown := 0, time.Now(), time.Now()
	for _, err := range in.fromFile {
		if err != nil {
			hint := ""
			if bad := new(file.BadError); errors.As(err, &bad) {
				hint = "; -skip-bad leaves out what is no album"
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

// expecting notes the albums that it passes on.
func expecting(e *fill.Expected, from uint64, items iter.Seq2[fill.Item, error]) iter.Seq2[fill.Item, error] {
	return func(yield func(fill.Item, error) bool) {
		for item, err := range items {
			if err == nil && item.Broken == nil {
				e.Add(uint32(item.Number-from), item.Album)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

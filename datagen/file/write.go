package file

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"soundcheck/internal/album"
)

// inOneChunk is how many albums are made at a time.
const inOneChunk = 2000

// Albums are N albums to write, each created from its number. Make is called from many
// goroutines.
type Albums struct {
	N    uint64
	Make func(n uint64) album.Album
	// Progress, if not nil, is called now and then with how many are written.
	Progress func(n uint64)
}

// Create writes albums to a file, or to stdout if its name is a dash. The file appears
// when it is complete. It must not exist.
func Create(ctx context.Context, name string, f Format, compressed bool, a Albums, stdout io.Writer) (err error) {
	if name == "-" {
		return Write(ctx, stdout, f, a)
	}
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s exists: delete it, or write to another file", name)
	}
	part := name + ".part"
	file, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists: another datagen is writing it, or was killed; then delete it", part)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	if compressed {
		z := gzip.NewWriter(file)
		err = errors.Join(Write(ctx, z, f, a), z.Close())
	} else {
		err = Write(ctx, file, f, a)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(part, name)
}

// chunk is a part of a file, which comes when it is made.
type chunk struct {
	n    uint64 // albums
	text chan []byte
	err  error // set before text comes
}

// Write writes albums in order. They are made by as many goroutines as there are
// processors, so far ahead as these can be busy: memory does not grow with N.
func Write(ctx context.Context, w io.Writer, f Format, a Albums) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	free := sync.Pool{New: func() any { return new([]byte) }}
	workers := runtime.GOMAXPROCS(0)
	queue := make(chan *chunk, 2*workers)
	go func() {
		defer close(queue)
		slots := make(chan struct{}, workers)
		for from := uint64(0); from < a.N && ctx.Err() == nil; from += inOneChunk {
			c := &chunk{n: min(inOneChunk, a.N-from), text: make(chan []byte, 1)}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			go func() {
				defer func() { <-slots }()
				b := (*free.Get().(*[]byte))[:0]
				for n := from; n < from+c.n && c.err == nil; n++ {
					b, c.err = f.Append(b, n, a.Make(n))
				}
				c.text <- b
			}()
			select {
			case queue <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	if _, err := io.WriteString(w, f.Head()); err != nil {
		return err
	}
	done := uint64(0)
	for c := range queue {
		b := <-c.text
		if c.err != nil {
			return c.err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		free.Put(&b)
		if done += c.n; a.Progress != nil {
			a.Progress(done)
		}
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	_, err := io.WriteString(w, f.Foot(a.N))
	return err
}

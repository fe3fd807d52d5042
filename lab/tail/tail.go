// Package tail reads the ends of log files.
package tail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"soundcheck/lab/supervisor"
)

// Tail reads the lines that are appended to a file.
type Tail struct {
	Path   string
	Prefix string // of each line
	offset int64
}

// Begin writes the last n lines and stores their end. An unfinished line is
// left to Follow.
func (t *Tail) Begin(n int, follow bool, w io.Writer) error {
	f, err := os.Open(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	t.offset = size
	if follow && size > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			if t.offset, err = supervisor.LastLines(f, size, 1); err != nil {
				return err
			}
		}
	}
	begin, err := supervisor.LastLines(f, t.offset, n)
	if err != nil {
		return err
	}
	for r := bufio.NewReader(io.NewSectionReader(f, begin, t.offset-begin)); ; {
		line, err := r.ReadString('\n')
		if line != "" {
			if _, err := fmt.Fprintf(w, "%s%s\n", t.Prefix, strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// Follow sends complete lines until ctx ends. It starts over when the file was truncated.
func (t *Tail) Follow(ctx context.Context, lines chan<- string) {
	for {
		t.read(ctx, lines)
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (t *Tail) read(ctx context.Context, lines chan<- string) {
	f, err := os.Open(t.Path)
	if err != nil {
		return // not there yet
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() < t.offset {
		t.offset = 0
	}
	if _, err := f.Seek(t.offset, io.SeekStart); err != nil {
		return
	}
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return // an unfinished line: read it again later
		}
		t.offset += int64(len(line))
		select {
		case lines <- t.Prefix + line:
		case <-ctx.Done():
			return
		}
	}
}

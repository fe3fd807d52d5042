package logs

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Sizes.
const (
	chunk     = 256 << 10 // read at a time
	maxLine   = 1 << 20   // longer lines of a component's log are truncated
	headBytes = 8 << 10   // that identify a file after rotation: in OTLP's form, the attributes of the first resource come before the first time
)

// position is a place in a log: it stays valid when the log is rotated to
// NAME.log.1, because the head identifies the file.
type position struct {
	Offset int64  `json:"o"`
	Head   int64  `json:"n,omitempty"` // length of what Sum is of
	Sum    uint32 `json:"s,omitempty"`
}

// part is one of the files of a log.
type part struct {
	file    *os.File
	maxLine int
	size    int64 // up to the end of the last complete line
	head    position
	written time.Time // last
}

// log is an open log: the current file, and the rotated ones.
type log struct {
	service string
	parts   []*part // the newer first
}

// open opens a log, whose newest file is the first one. A missing file counts as empty.
func open(service string, maxLine int, paths ...string) (*log, error) {
	l := &log{service: service}
	for _, p := range paths {
		f, err := os.Open(p)
		if errors.Is(err, fs.ErrNotExist) {
			l.parts = append(l.parts, &part{maxLine: maxLine})
			continue
		}
		if err != nil {
			l.close()
			return nil, err
		}
		p := &part{file: f, maxLine: maxLine}
		l.parts = append(l.parts, p)
		if p.size, p.written, err = completeSize(f); err != nil {
			l.close()
			return nil, err
		}
		n := min(p.size, headBytes)
		p.head = position{Head: n, Sum: p.sum(n)}
	}
	return l, nil
}

func (l *log) close() {
	for _, p := range l.parts {
		if p.file != nil {
			p.file.Close()
		}
	}
}

// completeSize returns the end of the last complete line, and when the file was last
// written. The rest is still being written.
func completeSize(f *os.File) (size int64, written time.Time, err error) {
	st, err := f.Stat()
	if err != nil {
		return 0, written, err
	}
	buf := make([]byte, 4<<10)
	for end := st.Size(); end > 0; {
		b := buf[:min(end, int64(len(buf)))]
		end -= int64(len(b))
		if _, err := f.ReadAt(b, end); err != nil {
			if errors.Is(err, io.EOF) {
				break // cut meanwhile
			}
			return 0, written, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return end + int64(i) + 1, st.ModTime(), nil
		}
	}
	return 0, st.ModTime(), nil
}

// at names a place in a part.
func (p *part) at(offset int64) position {
	return position{Offset: offset, Head: p.head.Head, Sum: p.head.Sum}
}

func (p *part) sum(n int64) uint32 {
	if n == 0 || p.file == nil {
		return 0
	}
	b := make([]byte, n)
	if _, err := p.file.ReadAt(b, 0); err != nil {
		return 0
	}
	return crc32.ChecksumIEEE(b)
}

// find returns the part that contains a position, or -1 if it was deleted.
func (l *log) find(pos position) int {
	return slices.IndexFunc(l.parts, func(p *part) bool {
		return pos.Head >= 0 && pos.Head <= headBytes && pos.Offset >= 0 && pos.Offset <= p.size && pos.Head <= p.size && p.sum(pos.Head) == pos.Sum
	})
}

// backwards calls each with the lines between two places of a part, the last one first,
// and where they begin, until it returns false or ctx ends.
func (p *part) backwards(ctx context.Context, from, to int64, each func(raw []byte, begin int64) bool) error {
	var (
		carry []byte // the end of a line whose beginning is not read yet
		buf   = make([]byte, chunk)
	)
	for end := to; end > from; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(end-from, chunk)]
		end -= int64(len(b))
		if _, err := p.file.ReadAt(b, end); err != nil {
			if errors.Is(err, io.EOF) {
				return nil // truncated meanwhile: the rest is in the rotated file
			}
			return err
		}
		for {
			i := bytes.LastIndexByte(b, '\n')
			if i < 0 {
				break
			}
			line := b[i+1:]
			if len(carry) > 0 {
				line, carry = slices.Concat(line, carry), nil
			}
			// After the last newline there is nothing.
			if begin := end + int64(i) + 1; begin < to && !each(line, begin) {
				return nil
			}
			b = b[:i]
		}
		carry = slices.Concat(b, carry)
		carry = carry[:min(len(carry), p.maxLine)]
	}
	if from < to {
		each(carry, from)
	}
	return nil
}

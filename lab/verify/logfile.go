package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// file is a log file, read from a mark on.
type file struct {
	source
	path  string
	mark  int64 // its size when the source was made
	inode fs.FileInfo
	parse parser
}

// parser reads a line.
type parser func(line []byte) ([]LogLine, error)

func newFile(name, path, service string, parse parser) *file {
	f := &file{source: source{name, service}, path: path, parse: parse}
	if st, err := os.Stat(path); err == nil {
		f.mark, f.inode = st.Size(), st
	}
	return f
}

// Lines implements LogSource. A file that was rotated meanwhile continues in a new one:
// its older part is in NAME.1 (the lab's) or NAME-TIME.EXT (the Collector's).
func (f *file) Lines(context.Context) ([]LogLine, error) {
	st, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if f.inode == nil || os.SameFile(f.inode, st) && st.Size() >= f.mark {
		return f.read(f.path, f.mark)
	}
	old, err := f.rotated()
	if err != nil {
		return nil, err
	}
	lines, err := f.read(old, f.mark)
	if err != nil {
		return nil, err
	}
	more, err := f.read(f.path, 0)
	return append(lines, more...), err
}

// rotated returns the path of the rotated file.
func (f *file) rotated() (string, error) {
	if _, err := os.Stat(f.path + ".1"); err == nil {
		return f.path + ".1", nil
	}
	ext := filepath.Ext(f.path)
	list, err := filepath.Glob(strings.TrimSuffix(f.path, ext) + "-*" + ext)
	if err != nil || len(list) == 0 {
		return "", errors.Join(fmt.Errorf("%s was truncated, and no rotated file has the rest", f.path), err)
	}
	return slices.Max(list), nil // the names contain the time
}

// read parses the complete lines of a file from an offset on.
func (f *file) read(path string, from int64) ([]LogLine, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(maxResponse)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxResponse {
		return nil, fmt.Errorf("%s has grown by more than %d bytes since the load began", path, maxResponse)
	}
	return f.parse.lines(path, b)
}

// lines parses the complete lines of a source.
func (parse parser) lines(from string, b []byte) (lines []LogLine, err error) {
	for line := range bytes.Lines(b) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		more, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %.200q: %w", from, line, err)
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

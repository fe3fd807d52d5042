package supervisor

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
)

// logError is a failure whose reason stands at the end of a log.
type logError struct {
	err  error
	path string
}

func (e *logError) Unwrap() error { return e.err }

func (e *logError) Error() string {
	tail := Tail(e.path, 15)
	if len(tail) == 0 {
		return e.err.Error() + " (" + e.path + " is empty)"
	}
	return e.err.Error() + "; the end of " + e.path + ":\n" + string(tail)
}

// Tail returns the last lines of the file at path, as many as are there of n.
func Tail(path string, n int) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	const most = 256 << 10
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size > most {
		f.Seek(-most, io.SeekEnd)
	} else {
		f.Seek(0, io.SeekStart)
	}
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil
	}
	lines := bytes.SplitAfter(bytes.TrimRight(b, "\n"), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-n):], nil)
}

// rotate moves what is in the file at path to path.1 once it is over max bytes.
func rotate(path string, max int64) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || st.Size() <= max {
		return err
	}
	from, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(path + ".1")
	if err != nil {
		return err
	}
	defer to.Close()
	// The writer goes on meanwhile: copy until nothing more came, then cut at once.
	for {
		n, err := io.Copy(to, from)
		if err != nil {
			return err
		}
		if n == 0 {
			return from.Truncate(0)
		}
	}
}

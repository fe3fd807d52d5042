package supervisor

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
)

// logError is a failure whose cause is at the end of a log.
type logError struct {
	err  error
	path string
	from int64 // offset: what is before is of an earlier process
}

func (e *logError) Unwrap() error { return e.err }

func (e *logError) Error() string {
	tail := tailFrom(e.path, 15, e.from)
	if len(tail) == 0 && e.from > 0 {
		return e.err.Error() + " (it wrote nothing to " + e.path + ")"
	}
	if len(tail) == 0 {
		return e.err.Error() + " (" + e.path + " is empty)"
	}
	return e.err.Error() + "; last lines of " + e.path + ":\n" + string(tail)
}

// Tail returns up to n last lines of the file at path.
func Tail(path string, n int) []byte { return tailFrom(path, n, 0) }

// tailFrom is Tail of what is after an offset; of all if the file was truncated meanwhile.
func tailFrom(path string, n int, from int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil
	}
	begin, err := LastLines(f, size, n)
	if err != nil {
		return nil
	}
	if from <= size {
		begin = max(begin, from)
	}
	b := make([]byte, min(size-begin, 256<<10)) // a line may be of any length
	if _, err := f.ReadAt(b, size-int64(len(b))); err != nil {
		return nil
	}
	return bytes.TrimRight(b, "\n")
}

// LastLines returns the offset of the last n lines of the first size bytes of f.
func LastLines(f io.ReaderAt, size int64, n int) (int64, error) {
	if n == 0 {
		return size, nil
	}
	buf := make([]byte, 64<<10)
	for end := size; end > 0; {
		b := buf[:min(end, int64(len(buf)))]
		end -= int64(len(b))
		if _, err := f.ReadAt(b, end); err != nil {
			return 0, err
		}
		for i := len(b) - 1; i >= 0; i-- {
			if b[i] != '\n' || end+int64(i) == size-1 { // the newline of the last line begins none
				continue
			}
			if n--; n == 0 {
				return end + int64(i) + 1, nil
			}
		}
	}
	return 0, nil
}

// rotate moves the content of the file at path to path.1 once it exceeds max bytes.
// The writer must append. What it writes between the last read and the truncation, some
// microseconds, is lost.
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
	// The writer continues meanwhile: copy until there is no more, then truncate at once.
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

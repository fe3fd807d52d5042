package file

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
)

// maxLine bounds a line, and with it an album.
const maxLine = 1 << 20

var errTooLong = fmt.Errorf("longer than %d bytes", maxLine)

// BadError is an invalid line, with the reason.
type BadError struct {
	Where string // "line 3", or "album 3" of a JSON array
	Err   error
}

func (e *BadError) Error() string { return e.Where + ": " + e.Err.Error() }

// Unwrap returns why.
func (e *BadError) Unwrap() error { return e.Err }

// Readable returns an error if files of a format can only be written.
func Readable(f Format) error {
	if f == SQLite || f == Postgres {
		return errors.New("cannot read a .sql file: it is for a database")
	}
	return nil
}

// Read yields the albums of a file. A *BadError is about one of them, and others may
// follow; any other error is the last.
func Read(r io.Reader, f Format) iter.Seq2[album.Album, error] {
	return func(yield func(album.Album, error) bool) {
		err := read(r, f, yield)
		if err != nil && !errors.Is(err, errStop) {
			yield(album.Album{}, err)
		}
	}
}

func read(r io.Reader, f Format, yield func(album.Album, error) bool) error {
	if err := Readable(f); err != nil {
		return err
	}
	in, err := openText(r)
	if err != nil {
		return err
	}
	switch f {
	case JSON:
		return readArray(in, yield)
	case CSV:
		return readCSV(in, yield)
	default:
		return readLines(in, yield)
	}
}

// errStop means that the consumer has stopped.
var errStop = errors.New("stop")

// openText skips a byte order mark, which programs on Windows write. It rejects a
// file whose first bytes show another encoding.
func openText(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	mark := string(head)
	switch {
	case mark == byteOrderMark:
		_, _ = in.Discard(len(mark))
	case strings.HasPrefix(mark, "\xff\xfe"), strings.HasPrefix(mark, "\xfe\xff"), strings.Contains(mark, "\x00"):
		return nil, errors.New("UTF-16 or binary file: convert it with iconv -f UTF-16 -t UTF-8")
	case strings.HasPrefix(mark, "\x1f\x8b"):
		return nil, errors.New("gzip data: the name must end in .gz; decompress stdin")
	}
	return in, nil
}

const byteOrderMark = "\ufeff"

// decode validates an album as strictly as POST /albums does.
func decode(b []byte) (album.Album, error) {
	a, err := albumapi.Decode(b)
	if invalid, ok := errors.AsType[*album.InvalidError](err); ok {
		invalid.Detail = strings.Replace(invalid.Detail, "the body", "it", 1)
	}
	return a, minimum(err)
}

// minimum names the minimum of texts, which have no value.
func minimum(err error) error {
	if invalid, ok := errors.AsType[*album.InvalidError](err); ok {
		for i, f := range invalid.Fields {
			if (f.Field == "title" || f.Field == "artist") && f.Message == album.BelowMinimum {
				invalid.Fields[i].Message = fmt.Sprintf("shorter than %d characters", album.MinText)
			}
		}
	}
	return err
}

func readLines(in *bufio.Reader, yield func(album.Album, error) bool) error {
	for line := 1; ; line++ {
		text, tooLong, err := readLine(in)
		if errors.Is(err, io.EOF) && len(text) == 0 && !tooLong {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(bytes.TrimSpace(text)) == 0 && !tooLong {
			continue
		}
		var a album.Album
		if tooLong {
			err = errTooLong
		} else {
			a, err = decode(text)
		}
		if err != nil {
			err = &BadError{fmt.Sprintf("line %d", line), err}
		}
		if !yield(a, err) {
			return errStop
		}
	}
}

// readLine reads to the end of a line, however long it is. The text is valid until the
// next call.
func readLine(in *bufio.Reader) (text []byte, tooLong bool, err error) {
	text, err = in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return text, false, err
	}
	text = slices.Clone(text)
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		if more, err = in.ReadSlice('\n'); len(text)+len(more) > maxLine {
			tooLong = true
			continue
		}
		text = append(text, more...)
	}
	return text, tooLong, err
}

// maxItem bounds the memory for one item of an array. A longer item ends the import: an
// array has no lines, so the start of the next item is unknown.
const maxItem = 16 * maxLine

// itemReader fails if its decoder reads more than maxItem for one value.
type itemReader struct {
	*bufio.Reader
	dec  *json.Decoder
	read int64
}

func (a *itemReader) Read(p []byte) (int, error) {
	if a.read-a.dec.InputOffset() > maxItem {
		return 0, fmt.Errorf("longer than %d bytes", maxItem)
	}
	n, err := a.Reader.Read(p)
	a.read += int64(n)
	return n, err
}

func readArray(r *bufio.Reader, yield func(album.Album, error) bool) error {
	in := &itemReader{Reader: r}
	dec := json.NewDecoder(in)
	in.dec = dec
	switch t, err := dec.Token(); {
	case errors.Is(err, io.EOF):
		return errors.New("the file is empty")
	case err != nil || t != json.Delim('['):
		return errors.Join(errors.New("the file is not one JSON array"), err)
	}
	for n := 1; dec.More(); n++ {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fmt.Errorf("album %d: %w", n, err)
		}
		var a album.Album
		err := errTooLong
		if len(raw) <= maxLine {
			a, err = decode(raw)
		}
		if err != nil {
			err = &BadError{fmt.Sprintf("album %d", n), err}
		}
		if !yield(a, err) {
			return errStop
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("unterminated array: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data after the array")
	}
	return nil
}

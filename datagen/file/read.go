package file

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"soundcheck/internal/album"
)

// maxLine bounds a line, and with it an album.
const maxLine = 1 << 20

// BadError says which line is no valid album, and why.
type BadError struct {
	Where string // "line 3", or "album 3" of a JSON array
	Err   error
}

func (e *BadError) Error() string { return e.Where + ": " + e.Err.Error() }

// Unwrap returns why.
func (e *BadError) Unwrap() error { return e.Err }

// Readable returns an error if files of a format can only be written.
func Readable(f Format) error {
	switch f {
	case NDJSON, JSON, CSV:
		return nil
	}
	return fmt.Errorf("a .sql file cannot be read: it is for a database")
}

// Read yields the albums of a file. A *BadError is about one of them, and others may
// follow; any other error is the last.
func Read(r io.Reader, f Format) iter.Seq2[album.Album, error] {
	return func(yield func(album.Album, error) bool) {
		var err error
		switch f {
		case NDJSON:
			err = readLines(r, yield)
		case JSON:
			err = readArray(r, yield)
		case CSV:
			err = readCSV(r, yield)
		default:
			err = Readable(f)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(album.Album{}, err)
		}
	}
}

// errStop means that nobody wants more.
var errStop = errors.New("stop")

// decode reads an album: the fields that an album to create has, and no others.
func decode(b []byte) (a album.Album, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return a, plain(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return a, errors.New("something stands behind the album")
	}
	if !a.CreatedAt.IsZero() {
		return a, errors.New("created_at is the store's to set")
	}
	return a, album.Validate(a)
}

// plain is what is wrong with JSON without Go's names.
func plain(err error) error {
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) {
		return fmt.Errorf("%s must not be a %s", cmp.Or(typed.Field, "album"), typed.Value)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

func readLines(r io.Reader, yield func(album.Album, error) bool) error {
	in := bufio.NewReaderSize(r, 64<<10)
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
			err = fmt.Errorf("it is longer than %d bytes", maxLine)
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

func readArray(r io.Reader, yield func(album.Album, error) bool) error {
	dec := json.NewDecoder(bufio.NewReaderSize(r, 64<<10))
	switch t, err := dec.Token(); {
	case errors.Is(err, io.EOF):
		return errors.New("the file is empty")
	case err != nil || t != json.Delim('['):
		return errors.Join(errors.New("the file is not one JSON array"), err)
	}
	for n := 1; dec.More(); n++ {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fmt.Errorf("album %d: %w", n, plain(err))
		}
		a, err := decode(raw)
		if len(raw) > maxLine {
			err = fmt.Errorf("it is longer than %d bytes", maxLine)
		}
		if err != nil {
			err = &BadError{fmt.Sprintf("album %d", n), err}
		}
		if !yield(a, err) {
			return errStop
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("the array has no end: %w", plain(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind the array")
	}
	return nil
}

// header are the columns that a CSV file may have.
var header = []string{"id", "title", "artist", "price", "genre", "year"}

func readCSV(r io.Reader, yield func(album.Album, error) bool) error {
	text := bufio.NewReaderSize(r, 64<<10)
	if mark, err := text.Peek(3); err == nil && string(mark) == "\ufeff" { // as Excel writes it
		_, _ = text.Discard(len(mark))
	}
	in := csv.NewReader(text)
	in.ReuseRecord = true
	names, err := in.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file has no header")
	}
	if err != nil {
		return err
	}
	names = slices.Clone(names)
	for i, name := range names {
		if names[i] = strings.ToLower(strings.TrimSpace(name)); !slices.Contains(header, names[i]) {
			return fmt.Errorf("line 1: there is no column %q; there are %s", name, strings.Join(header, ", "))
		}
		if slices.Contains(names[:i], names[i]) {
			return fmt.Errorf("line 1: the column %s is there twice", names[i])
		}
	}
	for _, name := range []string{"title", "artist", "price"} {
		if !slices.Contains(names, name) {
			return fmt.Errorf("line 1: the column %s is missing", name)
		}
	}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var parse *csv.ParseError
		if err != nil && !errors.As(err, &parse) {
			return err
		}
		line := 0
		var a album.Album
		switch {
		case errors.Is(err, csv.ErrFieldCount):
			line, err = parse.Line, fmt.Errorf("%d fields, the header has %d", len(row), len(names))
		case err != nil: // where the next line begins cannot be told
			return fmt.Errorf("line %d: %w: the rest cannot be read", parse.Line, parse.Err)
		default:
			line, _ = in.FieldPos(0)
			a, err = fields(names, row)
		}
		if err != nil {
			err = &BadError{fmt.Sprintf("line %d", line), err}
		}
		if !yield(a, err) {
			return errStop
		}
	}
}

// fields makes an album of a row.
func fields(names, row []string) (a album.Album, err error) {
	for i, name := range names {
		v := row[i]
		switch name {
		case "title":
			a.Title = strings.Clone(v)
		case "artist":
			a.Artist = strings.Clone(v)
		case "genre":
			a.Genre = strings.Clone(v)
		case "price":
			if a.Price, err = album.ParseCents(strings.TrimSpace(v)); err != nil {
				return a, fmt.Errorf("price %q %w", v, err)
			}
		case "year":
			if v = strings.TrimSpace(v); v == "" {
				continue
			}
			if a.Year, err = strconv.Atoi(v); err != nil {
				return a, fmt.Errorf("year %q is not a whole number", v)
			}
		case "id":
			if v = strings.TrimSpace(v); v == "" {
				continue
			}
			if a.ID, err = strconv.ParseInt(v, 10, 64); err != nil {
				return a, fmt.Errorf("id %q is not a whole number", v)
			}
		}
	}
	return a, album.Validate(a)
}

package file

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"soundcheck/internal/album"
)

// header are the allowed columns of a CSV file. created_at is validated and dropped,
// because the store sets it: an export can be imported.
var header = []string{"id", "title", "artist", "price", "genre", "year", "created_at"}

func readCSV(in *bufio.Reader, yield func(album.Album, error) bool) error {
	rows := newRows(in)
	names, line, err := rows.next()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the file has no header")
	case err != nil: // not a *BadError: without a header there is nothing to go on with
		return fmt.Errorf("header: %v", err)
	}
	names = slices.Clone(names)
	if err := checkHeader(names); err != nil {
		return fmt.Errorf("line %d: %w", line, err)
	}
	rows.fields = len(names)
	for {
		var a album.Album
		row, line, err := rows.next()
		var bad *BadError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.As(err, &bad):
			return err
		case err == nil:
			if a, err = fields(names, row); err != nil {
				err = &BadError{fmt.Sprintf("line %d", line), err}
			}
		}
		if !yield(a, err) {
			return errStop
		}
	}
}

// checkHeader checks the names in a header, and makes them those of the fields.
func checkHeader(names []string) error {
	for i, name := range names {
		if names[i] = strings.ToLower(strings.TrimSpace(name)); !slices.Contains(header, names[i]) {
			return fmt.Errorf("unknown column %q; columns: %s", name, strings.Join(header, ", "))
		}
		if slices.Contains(names[:i], names[i]) {
			return fmt.Errorf("duplicate column %s", names[i])
		}
	}
	for _, name := range []string{"title", "artist", "price"} {
		if !slices.Contains(names, name) {
			return fmt.Errorf("missing column %s", name)
		}
	}
	return nil
}

// rows reads the rows of a CSV file. After a malformed row it resumes at the next line, so
// that an unbalanced quote does not swallow the lines up to the next quote, or all of them.
type rows struct {
	replay *replayReader
	in     *csv.Reader
	fields int   // of a row; 0: as many as the first one has
	before int   // lines before what in reads
	end    int64 // of the last row, in what in reads
}

func newRows(in *bufio.Reader) *rows {
	r := &rows{replay: &replayReader{src: in}}
	r.start()
	return r
}

// start parses again from the first byte that replay keeps.
func (r *rows) start() {
	r.replay.pos = 0
	r.in = csv.NewReader(r.replay)
	r.in.ReuseRecord = true
	r.in.FieldsPerRecord = r.fields
	r.before, r.end = r.replay.lines, 0
}

// next returns a row and its first line. After a *BadError others may follow.
func (r *rows) next() (row []string, line int, err error) {
	row, err = r.in.Read()
	var parse *csv.ParseError
	switch {
	case err == nil, errors.Is(err, csv.ErrFieldCount):
		line, _ = r.in.FieldPos(0)
		line += r.before
		r.replay.drop(int(r.in.InputOffset() - r.end))
		r.end = r.in.InputOffset()
		if err != nil {
			err = &BadError{fmt.Sprintf("line %d", line), fmt.Errorf("%d fields, the header has %d", len(row), r.fields)}
		}
		return row, line, err
	case errors.As(err, &parse):
		err = fmt.Errorf("%w in column %d", parse.Err, parse.Column)
		if parse.Line != parse.StartLine {
			err = fmt.Errorf("unbalanced quote: %w of line %d", err, r.before+parse.Line)
		}
	case !errors.Is(err, errTooLong):
		return nil, 0, err
	}
	line, errSkip := r.replay.skip()
	if errSkip != nil {
		return nil, 0, errSkip
	}
	r.start()
	return nil, line, &BadError{fmt.Sprintf("line %d", line), err}
}

// replayReader keeps the bytes since the end of the last row, to read them again.
type replayReader struct {
	src   *bufio.Reader
	kept  []byte // the last part of all
	all   []byte
	pos   int // of the next read
	lines int // that were dropped
}

func (t *replayReader) Read(p []byte) (int, error) {
	if t.pos == len(t.kept) {
		if t.pos > maxLine {
			return 0, errTooLong
		}
		n, err := t.src.Read(p)
		t.all = append(t.all[:copy(t.all, t.kept)], p[:n]...)
		t.kept = t.all
		t.pos += n
		return n, err
	}
	n := copy(p, t.kept[t.pos:])
	t.pos += n
	return n, nil
}

// drop forgets the first n bytes.
func (t *replayReader) drop(n int) {
	t.lines += bytes.Count(t.kept[:n], []byte("\n"))
	t.kept = t.kept[n:]
	t.pos -= n
}

// skip drops the first line that is not empty, and returns its number.
func (t *replayReader) skip() (line int, err error) {
	for {
		i := bytes.IndexByte(t.kept, '\n') + 1
		line = t.lines + 1
		if i == 0 { // the rest of it was not read yet
			break
		}
		empty := string(t.kept[:i]) == "\n" || string(t.kept[:i]) == "\r\n"
		if t.drop(i); !empty {
			return line, nil
		}
	}
	t.drop(len(t.kept))
	for err = bufio.ErrBufferFull; errors.Is(err, bufio.ErrBufferFull); {
		_, err = t.src.ReadSlice('\n')
	}
	t.lines++
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return line, err
}

// fields makes an album of a row.
func fields(names, row []string) (a album.Album, err error) {
	for i, name := range names {
		v := row[i]
		if !utf8.ValidString(v) { // invalid numbers are quoted below
			return a, fmt.Errorf("%s is not valid UTF-8: %q", name, v)
		}
		switch name {
		case "title":
			a.Title = strings.Clone(v)
		case "artist":
			a.Artist = strings.Clone(v)
		case "genre":
			a.Genre = strings.Clone(v)
		default:
			if v = strings.TrimSpace(v); v != "" || name == "price" {
				err = setNumber(&a, name, v)
			}
		}
		if err != nil {
			return a, err
		}
	}
	return a, minimum(album.Validate(a))
}

func setNumber(a *album.Album, name, v string) (err error) {
	switch name {
	case "price":
		if a.Price, err = album.ParseCents(v); err != nil {
			return fmt.Errorf("price %q %w", v, err)
		}
	case "year":
		if a.Year, err = strconv.Atoi(v); err != nil || a.Year == 0 {
			return fmt.Errorf("year %q is not one from %d to %d", v, album.MinYear, album.MaxYear)
		}
	case "id":
		if a.ID, err = strconv.ParseInt(v, 10, 64); err != nil || a.ID == 0 {
			return fmt.Errorf("id %q is not a whole number from 1 on", v)
		}
	case "created_at":
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			return fmt.Errorf("created_at %q is not a date and time (RFC 3339)", v)
		}
	}
	return nil
}

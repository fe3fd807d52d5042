package targets

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxRows is the limit of a data file.
const maxRows = 1_000_000

// Data are the values of a CSV or JSON lines file for the placeholders of targets. Request n gets
// row n, round robin.
type Data struct {
	Name    string    `json:"name"` // of the file
	Columns []string  `json:"columns"`
	Rows    [][]Value `json:"rows"`

	lines []int                  // of Rows in the file
	used  map[string]bool        // columns
	safe  map[string]headerCheck // columns that headers have
}

// headerCheck is how the values of a column were checked.
type headerCheck int

const (
	headerValue headerCheck = iota + 1
	headerParent
)

// Value is a field of a row. In JSON, outside of a string, a literal is inserted as it is, and another
// value as a string.
type Value struct {
	Text    string `json:"t"`
	Literal bool   `json:"l,omitempty"` // a JSON number, true, false or null
}

// columnPattern matches the name of a column.
var columnPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// ReadData reads a file of rows: JSON lines if its name ends in .jsonl or .ndjson, else CSV (RFC 4180)
// with the names of the columns in its first line. Errors have the file and the line.
func ReadData(name string, r io.Reader) (*Data, error) {
	d := &Data{Name: name, used: map[string]bool{}, safe: map[string]headerCheck{}}
	in := bufio.NewReader(r)
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" { // byte order mark
		_, _ = in.Discard(len(mark))
	}
	read := d.csv
	if jsonLines(name) {
		read = d.json
	}
	if err := read(in); err != nil {
		return nil, err
	}
	if len(d.Rows) == 0 {
		return nil, fmt.Errorf("%s: no rows", name)
	}
	return d, nil
}

func (d *Data) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", d.Name, line, fmt.Errorf(format, args...))
}

func (d *Data) csv(r io.Reader) error {
	in := csv.NewReader(r)
	in.FieldsPerRecord, in.ReuseRecord = -1, true // errors of our own
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if bad := (*csv.ParseError)(nil); errors.As(err, &bad) {
			return d.errorf(bad.Line, "%w", bad.Err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.Name, err)
		}
		line, _ := in.FieldPos(0)
		if d.Columns == nil {
			if err := d.head(line, slices.Clone(fields)); err != nil {
				return err
			}
			continue
		}
		if len(fields) != len(d.Columns) {
			return d.errorf(line, "%d fields, the first line has %d", len(fields), len(d.Columns))
		}
		row := make([]Value, len(fields))
		for i, text := range fields {
			row[i] = Value{strings.Clone(text), isLiteral(text)}
		}
		if err := d.add(line, row); err != nil {
			return err
		}
	}
}

// head sets the columns.
func (d *Data) head(line int, names []string) error {
	for i, name := range names {
		switch {
		case !columnPattern.MatchString(name):
			return d.errorf(line, "%s is not the name of a column: letters, digits, _, - and ., as in user_id", excerpt(name))
		case slices.Contains(names[:i], name):
			return d.errorf(line, "column %s appears twice", name)
		}
	}
	d.Columns = names
	return nil
}

func (d *Data) add(line int, row []Value) error {
	for i, v := range row {
		if !utf8.ValidString(v.Text) {
			return d.errorf(line, "column %s is not UTF-8", d.Columns[i])
		}
	}
	if len(d.Rows) == maxRows {
		return d.errorf(line, "more than %d rows", maxRows)
	}
	d.Rows, d.lines = append(d.Rows, row), append(d.lines, line)
	return nil
}

// isLiteral reports whether a text is a JSON number, true, false or null.
func isLiteral(s string) bool {
	switch {
	case s == "true" || s == "false" || s == "null":
		return true
	case s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') || s[len(s)-1] < '0' || s[len(s)-1] > '9':
		return false
	}
	return json.Valid([]byte(s))
}

func (d *Data) json(r io.Reader) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxTargetLine)
	for line := 1; in.Scan(); line++ {
		text := bytes.TrimSpace(in.Bytes())
		if len(text) == 0 {
			continue
		}
		if err := d.object(line, string(text)); err != nil {
			return err
		}
	}
	if err := in.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%s: a line is longer than %d MiB", d.Name, maxTargetLine>>20)
	} else if err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	return nil
}

// object adds a line of JSON.
func (d *Data) object(line int, text string) error {
	var names []string
	values := map[string]Value{}
	err := eachField(text, func(name string, raw json.RawMessage) error {
		v := Value{Text: string(raw), Literal: true}
		switch raw[0] {
		case '{', '[':
			return fmt.Errorf("field %s is not a string, a number, true, false or null", excerpt(name))
		case '"':
			v.Literal = false
			if err := json.Unmarshal(raw, &v.Text); err != nil {
				return err
			}
		}
		names, values[name] = append(names, name), v
		return nil
	})
	if err != nil {
		return d.errorf(line, "%w", err)
	}
	if d.Columns == nil {
		if err := d.head(line, names); err != nil {
			return err
		}
	}
	row := make([]Value, len(d.Columns))
	for i, name := range d.Columns {
		v, ok := values[name]
		if !ok {
			return d.errorf(line, "field %s is missing, which the first object has", name)
		}
		row[i] = v
	}
	for _, name := range names {
		if !slices.Contains(d.Columns, name) {
			return d.errorf(line, "field %s is not in the first object", excerpt(name))
		}
	}
	return d.add(line, row)
}

// NewVariables returns data without rows, for templates whose values are known later.
func NewVariables(names []string) *Data {
	return &Data{Columns: names, used: map[string]bool{}}
}

// Used returns the columns that templates have, in order.
func (d *Data) Used() []string { return slices.Sorted(maps.Keys(d.used)) }

// Typed reports whether the values have types of JSON; those of CSV are texts.
func (d *Data) Typed() bool { return jsonLines(d.Name) }

func jsonLines(name string) bool {
	return strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".ndjson")
}

// Unknown returns the error of a placeholder that names no variable.
func (d *Data) Unknown(name string) error {
	return fmt.Errorf("unknown variable {{%s}}: known are %s", name, strings.Join(d.Columns, ", "))
}

// column returns the index of a column that a placeholder names.
func (d *Data) column(name string) (int, error) {
	i := slices.Index(d.Columns, name)
	if i < 0 && d.Name == "" {
		return 0, d.Unknown(name)
	}
	if i < 0 {
		return 0, fmt.Errorf("placeholder {{%s}} is no column of %s: %s", name, d.Name, strings.Join(d.Columns, ", "))
	}
	if d.used != nil {
		d.used[name] = true
	}
	return i, nil
}

// checkHeader returns an error if a value of a column cannot be in a header.
func (d *Data) checkHeader(column int, header string, check headerCheck) error {
	name := d.Columns[column]
	if d.safe == nil || d.safe[name] >= check { // checked where the file was read
		return nil
	}
	for i, row := range d.Rows {
		v := row[column].Text
		if checkHeader(header, v) != nil {
			return d.errorf(d.lines[i], "column %s has a control character, and is in header %s", name, header)
		}
		if _, err := parseParent(v); check == headerParent && err != nil {
			return d.errorf(d.lines[i], "column %s: %w", name, err)
		}
	}
	d.safe[name] = check
	return nil
}

// CheckUsed returns an error if no target has a column.
func (d *Data) CheckUsed() error {
	for _, name := range d.Columns {
		if !d.used[name] {
			return fmt.Errorf("%s: no request has the placeholder {{%s}} of this column: remove the column, or write {{%s}} in a URL, header or body", d.Name, name, name)
		}
	}
	return nil
}

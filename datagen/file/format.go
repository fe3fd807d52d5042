// Package file writes albums to files and reads them again.
package file

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"soundcheck/internal/album"
)

// Format is a form of a file.
type Format string

// Formats of files. SQLite's and PostgreSQL's are for the store's own table of a
// database; they cannot be read.
const (
	NDJSON   Format = "ndjson"   // an album a line
	JSON     Format = "json"     // one array
	CSV      Format = "csv"      // with a header
	SQLite   Format = "sqlite"   // INSERT statements in one transaction
	Postgres Format = "postgres" // COPY
)

// Named returns the format that a file's name tells, without .gz, and whether the file is
// compressed by gzip. A dash is stdout or stdin, of albums a line. A name in .sql is for
// the database that sql says.
func Named(name string, sql Format) (f Format, compressed bool, err error) {
	if name == "-" {
		return NDJSON, false, nil
	}
	base, compressed := strings.CutSuffix(strings.ToLower(name), ".gz")
	switch {
	case strings.HasSuffix(base, ".ndjson"), strings.HasSuffix(base, ".jsonl"):
		return NDJSON, compressed, nil
	case strings.HasSuffix(base, ".json"):
		return JSON, compressed, nil
	case strings.HasSuffix(base, ".csv"):
		return CSV, compressed, nil
	case strings.HasSuffix(base, ".sql"):
		return sql, compressed, nil
	}
	return "", false, fmt.Errorf("%s ends in none of .ndjson, .json, .csv and .sql, with .gz or without", name)
}

// record is an album as NDJSON and JSON have it.
type record struct {
	Title  string      `json:"title"`
	Artist string      `json:"artist"`
	Price  album.Cents `json:"price"`
	Genre  string      `json:"genre,omitempty"`
	Year   int         `json:"year,omitempty"`
}

// firstID is the first one that a new store has not given to its own albums.
const firstID = 4

// inOneInsert is how many albums an INSERT has.
const inOneInsert = 500

const columns = "(id, title, artist, price_cents, genre, year, created_at)"

// createdAt is the same for all: the same seed gives the same bytes.
const (
	createdAt      = "1767225600000000" // 2026-01-01, in microseconds since 1970
	createdAtStamp = "2026-01-01 00:00:00+00"
)

// Head is what a file begins with.
func (f Format) Head() string {
	switch f {
	case JSON:
		return "["
	case CSV:
		return "title,artist,price,genre,year\n"
	case SQLite:
		return "BEGIN;\n"
	case Postgres:
		return "COPY albums " + columns + " FROM stdin;\n"
	}
	return ""
}

// Foot is what a file of n albums ends with.
func (f Format) Foot(n uint64) string {
	switch {
	case f == JSON && n == 0:
		return "]\n"
	case f == JSON:
		return "\n]\n"
	case f == SQLite && n == 0:
		return "COMMIT;\n"
	case f == SQLite:
		return ";\nCOMMIT;\n"
	case f == Postgres:
		return "\\.\n"
	}
	return ""
}

// Append appends the n-th album of a file, counted from 0. What it appends depends on
// nothing else, so that parts of a file can be made side by side.
func (f Format) Append(b []byte, n uint64, a album.Album) ([]byte, error) {
	switch f {
	case CSV:
		return appendCSV(b, a)
	case SQLite:
		return appendInsert(b, n, a), nil
	case Postgres:
		return appendCopy(b, n, a), nil
	case JSON:
		if n > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n')
	}
	to := &appender{b}
	enc := json.NewEncoder(to)
	enc.SetEscapeHTML(false) // it is no page
	err := enc.Encode(record{a.Title, a.Artist, a.Price, a.Genre, a.Year})
	if b = to.b; f == JSON && err == nil {
		b = b[:len(b)-1] // its line ends before the next album
	}
	return b, err
}

// appender lets a writer write behind a slice.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func appendCSV(b []byte, a album.Album) ([]byte, error) {
	to := &appender{b}
	w := csv.NewWriter(to)
	err := w.Write([]string{a.Title, a.Artist, a.Price.String(), a.Genre, year(a.Year)})
	w.Flush()
	return to.b, err
}

func year(y int) string {
	if y == 0 {
		return ""
	}
	return strconv.Itoa(y)
}

func appendInsert(b []byte, n uint64, a album.Album) []byte {
	switch {
	case n%inOneInsert > 0:
		b = append(b, ",\n"...)
	case n > 0:
		b = append(b, ";\n"...)
		fallthrough
	default:
		b = append(b, "INSERT INTO albums "+columns+" VALUES\n"...)
	}
	b = strconv.AppendUint(append(b, '('), firstID+n, 10)
	for _, text := range []string{a.Title, a.Artist} {
		b = appendQuoted(append(b, ", "...), text)
	}
	b = strconv.AppendInt(append(b, ", "...), int64(a.Price), 10)
	if b = append(b, ", "...); a.Genre == "" {
		b = append(b, "NULL"...)
	} else {
		b = appendQuoted(b, a.Genre)
	}
	if b = append(b, ", "...); a.Year == 0 {
		b = append(b, "NULL"...)
	} else {
		b = strconv.AppendInt(b, int64(a.Year), 10)
	}
	return append(b, ", "+createdAt+")"...)
}

func appendQuoted(b []byte, s string) []byte {
	b = append(b, '\'')
	b = append(b, strings.ReplaceAll(s, "'", "''")...)
	return append(b, '\'')
}

var copyEscapes = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r")

func appendCopy(b []byte, n uint64, a album.Album) []byte {
	b = strconv.AppendUint(b, firstID+n, 10)
	for _, text := range []string{a.Title, a.Artist} {
		b = append(append(b, '\t'), copyEscapes.Replace(text)...)
	}
	b = strconv.AppendInt(append(b, '\t'), int64(a.Price), 10)
	genre, years := "\\N", "\\N"
	if a.Genre != "" {
		genre = copyEscapes.Replace(a.Genre)
	}
	if a.Year != 0 {
		years = strconv.Itoa(a.Year)
	}
	return append(b, "\t"+genre+"\t"+years+"\t"+createdAtStamp+"\n"...)
}

// Package file writes albums to files and reads them again.
package file

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"

	"soundcheck/internal/album"
)

// Format is a file format.
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

// Named returns the format of a file by its extension, without .gz, and whether the file is
// compressed by gzip. A dash is stdout or stdin, in NDJSON. The dialect of .sql is
// that of sql.
func Named(name string, sql Format) (f Format, compressed bool, err error) {
	if name == "-" {
		return NDJSON, false, nil
	}
	base, compressed := strings.CutSuffix(strings.ToLower(name), ".gz")
	if f = (map[string]Format{".ndjson": NDJSON, ".jsonl": NDJSON, ".json": JSON, ".csv": CSV, ".sql": sql})[path.Ext(base)]; f != "" {
		return f, compressed, nil
	}
	return "", false, fmt.Errorf("unknown extension of %s: .ndjson, .json, .csv or .sql, with or without .gz", name)
}

// record is an album as NDJSON and JSON have it.
type record struct {
	Title  string      `json:"title"`
	Artist string      `json:"artist"`
	Price  album.Cents `json:"price"`
	Genre  string      `json:"genre,omitempty"`
	Year   int         `json:"year,omitempty"`
}

// firstID is the first free ID in a new store.
const firstID = 4

// inOneInsert is how many albums an INSERT has.
const inOneInsert = 500

const columns = "(id, title, artist, price_cents, genre, year, created_at)"

// createdAt is the same for all: the same seed gives the same bytes.
const (
	createdAt      = "1767225600000000" // 2026-01-01, in microseconds since 1970
	createdAtStamp = "2026-01-01 00:00:00+00"
)

// Head is the start of a file.
func (f Format) Head() string {
	return map[Format]string{JSON: "[", CSV: "title,artist,price,genre,year\n", SQLite: "BEGIN;\n", Postgres: "COPY albums " + columns + " FROM stdin;\n"}[f]
}

// Foot is the end of a file of n albums.
func (f Format) Foot(n uint64) string {
	end := map[Format]string{JSON: "\n", SQLite: ";\n"}[f] // of the last album
	if n == 0 {
		end = ""
	}
	return end + map[Format]string{JSON: "]\n", SQLite: "COMMIT;\n", Postgres: "\\.\n"}[f]
}

// Append appends the n-th album of a file, counted from 0. What it appends depends on
// nothing else, so parts of a file can be built in parallel.
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
	to := bytes.NewBuffer(b)
	enc := json.NewEncoder(to)
	enc.SetEscapeHTML(false) // not for HTML
	err := enc.Encode(record{a.Title, a.Artist, a.Price, a.Genre, a.Year})
	if b = to.Bytes(); f == JSON && err == nil {
		b = b[:len(b)-1] // its line ends before the next album
	}
	return b, err
}

func appendCSV(b []byte, a album.Album) ([]byte, error) {
	to := bytes.NewBuffer(b)
	w := csv.NewWriter(to)
	err := w.Write([]string{a.Title, a.Artist, a.Price.String(), a.Genre, year(a, "")})
	w.Flush()
	return to.Bytes(), err
}

// year writes the year of an album; none is as a format writes that.
func year(a album.Album, none string) string {
	if a.Year == 0 {
		return none
	}
	return strconv.Itoa(a.Year)
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
	genre := "NULL"
	if a.Genre != "" {
		genre = quoted(a.Genre)
	}
	return fmt.Appendf(b, "(%d, %s, %s, %d, %s, %s, %s)", firstID+n, quoted(a.Title), quoted(a.Artist), int64(a.Price), genre, year(a, "NULL"), createdAt)
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

var copyEscapes = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r")

func appendCopy(b []byte, n uint64, a album.Album) []byte {
	genre := `\N`
	if a.Genre != "" {
		genre = copyEscapes.Replace(a.Genre)
	}
	return fmt.Appendf(b, "%d\t%s\t%s\t%d\t%s\t%s\t%s\n", firstID+n, copyEscapes.Replace(a.Title), copyEscapes.Replace(a.Artist), int64(a.Price), genre, year(a, `\N`), createdAtStamp)
}

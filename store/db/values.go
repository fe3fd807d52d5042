package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"
	"time"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/attribute"

	"soundcheck/internal/album"
)

// rowsPerInsert is the number of albums that one statement inserts into SQLite.
const rowsPerInsert = 1000

// nextRow are the parameters of an album after the first one.
const nextRow = ",(?,?,?,?,?,?,?)"

// insertValues is a statement for n albums. Its parameters have no numbers: the driver would search a
// list of them for each one.
func insertValues(n int) string {
	return "INSERT INTO albums (id, title, artist, price_cents, genre, year, created_at) VALUES (?,?,?,?,?,?,?)" +
		strings.Repeat(nextRow, n-1)
}

// textOf is a statement in telemetry, with one album: the text of 1,000 has 16 kB.
func textOf(query string) string {
	return strings.ReplaceAll(strings.Replace(query, nextRow, ", ...", 1), nextRow, "")
}

// queryText is for spans.
func queryText(_ context.Context, _ otelsql.Method, query string, _ []driver.NamedValue) []attribute.KeyValue {
	if query == "" {
		return nil
	}
	return []attribute.KeyValue{attribute.String("db.query.text", textOf(query))}
}

// insertRows inserts albums into SQLite with a parameter for each value. To read them from JSON takes
// SQLite as long as to insert them.
func (s *Store) insertRows(ctx context.Context, tx *sql.Tx, rows []album.Album, now time.Time) error {
	at := s.dialect.time(now)
	if len(rows) >= rowsPerInsert {
		query := insertValues(rowsPerInsert)
		many, err := tx.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		defer many.Close()
		for ; len(rows) >= rowsPerInsert; rows = rows[rowsPerInsert:] {
			end := s.slow(ctx, query)
			_, err := many.ExecContext(ctx, values(rows[:rowsPerInsert], at)...)
			if end(); err != nil {
				return err
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := s.exec(ctx, tx, insertValues(len(rows)), values(rows, at)...)
	return err
}

// values returns the parameters of insertValues.
func values(rows []album.Album, at any) []any {
	args := make([]any, 0, 7*len(rows))
	for _, r := range rows { // NULL: unknown
		args = append(args, r.ID, r.Title, r.Artist, int64(r.Price), sql.NullString{String: r.Genre, Valid: r.Genre != ""}, sql.NullInt64{Int64: int64(r.Year), Valid: r.Year != 0}, at)
	}
	return args
}

// arrays returns the parameters of insertArrays but the last.
func arrays(rows []album.Album) []any {
	n := len(rows)
	ids, titles, artists, cents, genres, years := make([]int64, n), make([]string, n), make([]string, n), make([]int64, n), make([]string, n), make([]int32, n)
	for i, a := range rows {
		ids[i], titles[i], artists[i], cents[i], genres[i], years[i] = a.ID, a.Title, a.Artist, int64(a.Price), a.Genre, int32(a.Year)
	}
	return []any{ids, titles, artists, cents, genres, years}
}

// takenOf is taken for ids that were allocated just now, in order. They have few gaps.
func (s *Store) takenOf(ctx context.Context, tx *sql.Tx, ids []int64) ([]int64, error) {
	first, last := ids[0], ids[len(ids)-1]
	if last-first > 2*int64(len(ids)) {
		return s.taken(ctx, tx, ids)
	}
	all, err := s.ids(ctx, tx, "SELECT id FROM albums WHERE id BETWEEN $1 AND $2 ORDER BY id", first, last) // and others' in gaps
	return slices.DeleteFunc(all, func(id int64) bool { _, found := slices.BinarySearch(ids, id); return !found }), err
}

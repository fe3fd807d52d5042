package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"soundcheck/internal/album"
)

// dialect has the differences between the databases.
type dialect string

const (
	sqlite   dialect = "sqlite"
	postgres dialect = "postgres"
)

// libraries are the uses of PostgreSQL's libraries. With -tags nopostgres there are none: they are a
// sixth of the build, and a lab with SQLite does not wait for them.
type libraries struct {
	queue       func(*sql.DB) riverdriver.Driver[*sql.Tx]
	complete    func(context.Context, *sql.Tx, *river.Job[job]) error
	unavailable func(error) bool
	rejected    func(error) bool // each attempt will fail
	conflicted  func(error) bool
}

var errNoPostgres = errors.New("this store was built without PostgreSQL (-tags nopostgres); build it without the tag: go build ./store")

// system is the db.system.name of the semantic conventions.
func (d dialect) system() string {
	if d == postgres {
		return "postgresql"
	}
	return "sqlite"
}

func (d dialect) of(sqliteQuery, postgresQuery string) string {
	if d == postgres {
		return postgresQuery
	}
	return sqliteQuery
}

// time returns t as the database stores it.
func (d dialect) time(t time.Time) any {
	if d == postgres {
		return t
	}
	return t.UnixMicro()
}

// instant scans a time of either database. NULL is the zero time.
type instant struct{ time.Time }

func (i *instant) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		i.Time = time.Time{}
	case int64:
		i.Time = time.UnixMicro(v).UTC()
	case time.Time:
		i.Time = v.UTC()
	default:
		return fmt.Errorf("%T is no time", v)
	}
	return nil
}

// insertArrays is for PostgreSQL: a batch is one statement with an array for each column. Arrays take
// the server a third of the time of JSON. For SQLite, see insertRows.
const insertArrays = `INSERT INTO albums (id, title, artist, price_cents, genre, year, created_at)
SELECT id, title, artist, cents, nullif(genre, ''), nullif(year, 0), $7
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::integer[]) AS a (id, title, artist, cents, genre, year)`

// nextIDs allocates $1 ids, up to the returned one. On PostgreSQL they may have gaps: other
// instances allocate ids too.
func (d dialect) nextIDs() string {
	return d.of(`UPDATE album_ids SET next = next + $1 RETURNING next - 1`,
		`SELECT nextval('album_ids') FROM generate_series(1, $1::bigint)`)
}

// skipIDs moves the next id beyond $1.
func (d dialect) skipIDs() string {
	return d.of(`UPDATE album_ids SET next = max(next, $1 + 1)`,
		`SELECT setval('album_ids', greatest($1::bigint, (SELECT last_value FROM album_ids)))`)
}

// byArtist is a condition with the number of its parameter left open.
func (d dialect) byArtist() string {
	return d.of(" AND artist = $%[1]d", " AND md5(artist) = md5($%[1]d) AND artist = $%[1]d")
}

// lastOfRun finds the last of the ids that follow $1 without a gap.
const lastOfRun = `SELECT a.id FROM albums a
WHERE a.id >= $1 AND NOT EXISTS (SELECT 1 FROM albums b WHERE a.id < 9223372036854775807 AND b.id = a.id + 1)
ORDER BY a.id LIMIT 1`

// spanName is "{operation} {table}" of the semantic conventions, or the driver's
// method where there is no statement.
func spanName(_ context.Context, method otelsql.Method, query string) string {
	switch method {
	case otelsql.MethodConnBeginTx:
		return "BEGIN"
	case otelsql.MethodTxCommit:
		return "COMMIT"
	case otelsql.MethodTxRollback:
		return "ROLLBACK"
	}
	for strings.HasPrefix(query, "--") { // generated statements begin with a comment
		_, query, _ = strings.Cut(query, "\n")
	}
	words := strings.Fields(query)
	for i, word := range words {
		switch strings.ToUpper(word) {
		case "FROM", "INTO", "UPDATE":
			if i+1 < len(words) {
				return strings.ToUpper(words[0]) + " " + strings.Trim(words[i+1], "(,;")
			}
		}
	}
	if len(words) > 0 {
		return strings.ToUpper(words[0])
	}
	return string(method)
}

// notReady wraps an error in album.ErrNotReady if the database is unavailable.
func notReady(err error) error {
	if err == nil || errors.Is(err, album.ErrNotReady) || !unavailable(err) {
		return err
	}
	return fmt.Errorf("%w: %w", album.ErrNotReady, err)
}

func unavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, errAcquire) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var lite *sqlitedriver.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CANTOPEN:
			return true
		}
	}
	return postgresql != nil && postgresql.unavailable(err)
}

// conflicted reports whether a transaction failed because of a concurrent one, so that a retry can
// succeed.
func conflicted(err error) bool { return postgresql != nil && postgresql.conflicted(err) }

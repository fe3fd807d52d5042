package db

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"

	"soundcheck/internal/album"
	"soundcheck/store/db/lite"
)

// conn is a pool or a transaction.
type conn interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// query calls scan for each row.
func (s *Store) query(ctx context.Context, c conn, scan func(*sql.Rows) error, query string, args ...any) error {
	defer s.slow(ctx, query)()
	rows, err := c.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	for err == nil && rows.Next() {
		err = scan(rows)
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

// exec returns the number of changed rows.
func (s *Store) exec(ctx context.Context, c conn, query string, args ...any) (int64, error) {
	defer s.slow(ctx, query)()
	r, err := c.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// slow logs a slow statement, without its values.
func (s *Store) slow(ctx context.Context, query string) func() {
	if s.config.SlowQuery == 0 {
		return func() {}
	}
	begun := time.Now()
	return func() {
		if took := time.Since(begun); took >= s.config.SlowQuery {
			s.log.WarnContext(ctx, "slow query", slog.String("db.system.name", s.dialect.system()),
				slog.String("db.query.text", strings.Join(strings.Fields(textOf(query)), " ")),
				slog.Float64("duration_ms", float64(took.Microseconds())/1000))
		}
	}
}

const columns = "id, title, artist, price_cents, coalesce(genre, ''), coalesce(year, 0), created_at"

func scanAlbum(rows *sql.Rows) (a album.Album, err error) {
	var created instant
	err = rows.Scan(&a.ID, &a.Title, &a.Artist, &a.Price, &a.Genre, &a.Year, &created)
	a.CreatedAt = created.Time
	return a, err
}

// List implements album.Service.
func (s *Store) List(ctx context.Context, q album.Query) (album.Page, error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	where, args := "id > $1", []any{q.After}
	if q.Artist != "" {
		args = append(args, q.Artist)
		where += fmt.Sprintf(s.dialect.byArtist(), len(args))
	}
	if q.Genre != "" {
		args = append(args, q.Genre)
		where += fmt.Sprintf(" AND genre = $%d", len(args))
	}
	args = append(args, q.Limit+1) // one more shows whether there is another page
	p := album.Page{Albums: make([]album.Album, 0, q.Limit+1)}
	err := s.read(ctx, func(c conn) error {
		return s.query(ctx, c, func(rows *sql.Rows) error {
			a, err := scanAlbum(rows)
			p.Albums = append(p.Albums, a)
			return err
		}, fmt.Sprintf("SELECT %s FROM albums WHERE %s ORDER BY id LIMIT $%d", columns, where, len(args)), args...)
	})
	if err != nil {
		return album.Page{}, s.wrap(ctx, "list albums", err)
	}
	if len(p.Albums) > q.Limit {
		p.Albums = p.Albums[:q.Limit]
		p.Next = p.Albums[q.Limit-1].ID
	}
	return p, nil
}

// Stream implements album.Service by pages: a slow client holds neither a connection nor a
// snapshot that blocks the database's cleanup.
func (s *Store) Stream(ctx context.Context, f album.Filter) iter.Seq2[album.Album, error] {
	pages := 0
	return album.Pages(ctx, f, func(ctx context.Context, q album.Query) (album.Page, error) {
		if pages++; pages > 10 { // a span per page would bloat the trace
			ctx = lite.WithoutSpans(ctx)
		}
		return s.List(ctx, q)
	})
}

// Get implements album.Service.
func (s *Store) Get(ctx context.Context, id int64) (a album.Album, err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	err = album.ErrNotFound
	readErr := s.read(ctx, func(c conn) error {
		return s.query(ctx, c, func(rows *sql.Rows) error {
			a, err = scanAlbum(rows)
			return err
		}, "SELECT "+columns+" FROM albums WHERE id = $1", id)
	})
	return a, s.wrap(ctx, "get album", cmp.Or(readErr, err))
}

// Put implements album.Service.
func (s *Store) Put(ctx context.Context, a album.Album) (_ album.Album, created bool, err error) {
	now := album.Now()
	err = s.tx(ctx, "put album", func(ctx context.Context, tx *sql.Tx) error {
		var at instant
		// created_at is ours in a new row, and older in a replaced one.
		err := s.query(ctx, tx, func(rows *sql.Rows) error { return rows.Scan(&at) },
			`INSERT INTO albums (id, title, artist, price_cents, genre, year, created_at)
VALUES ($1, $2, $3, $4, nullif($5, ''), nullif($6, 0), $7)
ON CONFLICT (id) DO UPDATE SET title = excluded.title, artist = excluded.artist, price_cents = excluded.price_cents,
genre = excluded.genre, year = excluded.year
RETURNING created_at`,
			a.ID, a.Title, a.Artist, int64(a.Price), a.Genre, a.Year, s.dialect.time(now))
		created = at.Equal(now)
		a.CreatedAt = at.Time
		return err
	})
	return a, created, err
}

// Delete implements album.Service.
func (s *Store) Delete(ctx context.Context, id int64) error {
	return s.tx(ctx, "delete album", func(ctx context.Context, tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, "DELETE FROM albums WHERE id = $1", id)
		if err == nil && n == 0 {
			err = album.ErrNotFound
		}
		return err
	})
}

var errQuery = errors.New("database call timed out")

// limit sets the timeout of a call, which a healthy database does not reach.
func limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, queryTimeout, errQuery)
}

// callers reports whether ctx ended for another reason than limit's timeout.
func callers(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), errQuery)
}

var errAcquire = errors.New("timed out waiting for a free database connection")

// attempts is the maximum number of attempts of a conflicting transaction.
const attempts = 10

// tx runs f in a transaction, and retries it after a conflict. The error contains what.
func (s *Store) tx(ctx context.Context, what string, f func(context.Context, *sql.Tx) error) error {
	ctx, cancel := limit(ctx)
	defer cancel()
	var err error
	for range attempts {
		if err = s.tryTx(ctx, f); !conflicted(err) {
			break
		}
	}
	if unavailable(err) && !errors.Is(err, errAcquire) && !callers(ctx) {
		s.lastFailure.Store(time.Now().UnixNano())
	}
	return s.wrap(ctx, what, err)
}

func (s *Store) tryTx(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	if s.group != nil {
		return s.group.Do(ctx, f)
	}
	c, err := acquire(ctx, s.writer)
	if err != nil {
		return err
	}
	defer c.Close()
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(ctx, tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.lastCommit.Store(time.Now().UnixNano())
	return nil
}

// limitWait sets the timeout of a wait for a connection.
func limitWait(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, acquireTimeout, errAcquire)
}

// acquire returns a connection. Its timeout is shorter than that of a call.
func acquire(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	ctx, stop := limitWait(ctx)
	defer stop()
	for {
		c, err := db.Conn(ctx)
		switch {
		case err == nil:
			return c, nil
		case errors.Is(context.Cause(ctx), errAcquire):
			return nil, errAcquire
		case !errors.Is(err, driver.ErrBadConn): // closed because its caller left: take the next
			return nil, err
		}
	}
}

// read runs f on a connection for reads.
func (s *Store) read(ctx context.Context, f func(conn) error) error {
	c, err := acquire(ctx, s.reader)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) || unavailable(err) {
		return nil // the connection is closed, and with it the transaction
	}
	return err
}

// wrap adds what to the error, except to expected results. If the caller left or its deadline
// passed, the database is not to blame.
func (s *Store) wrap(ctx context.Context, what string, err error) error {
	switch {
	case err == nil || album.Outcome(err):
		return err
	case callers(ctx):
		return fmt.Errorf("%s: %w: %w", what, ctx.Err(), err)
	}
	return fmt.Errorf("%s: %w", what, notReady(err))
}

package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"time"

	"github.com/pressly/goose/v3"
)

// Pending is the error when migrations are pending: how many.
type Pending int

func (n Pending) Error() string { return fmt.Sprintf("pending migrations: %d", int(n)) }

// Ping returns nil if the database accepts connections. It creates a missing SQLite file.
func (s *Store) Ping(ctx context.Context) error { return s.writer.PingContext(ctx) }

// CheckSchema returns nil if the schema has the version of this store. Otherwise the error is Pending
// or ErrNewer. Unlike Migrations it creates nothing and takes no lock: many instances can poll while
// one migrates.
func (s *Store) CheckSchema(ctx context.Context) error {
	if s.dialect == sqlite { // do not create the file
		if _, err := os.Stat(s.path); err != nil {
			return err
		}
	}
	m, err := s.migrator(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer m.Close()
	applied, err := s.applied(ctx)
	if err != nil {
		return err
	}
	pending, latest := Pending(0), int64(0)
	for _, known := range m.ListSources() {
		if !applied[known.Version] {
			pending++
		}
		latest = max(latest, known.Version)
	}
	for version := range applied {
		if err := newer(version, latest); err != nil {
			return err
		}
	}
	if pending > 0 {
		return pending
	}
	return nil
}

// applied returns the versions of the applied migrations.
func (s *Store) applied(ctx context.Context) (map[int64]bool, error) {
	var table sql.NullString
	err := s.reader.QueryRowContext(ctx, s.dialect.of(`SELECT max(name) FROM sqlite_schema WHERE type = 'table' AND name = $1`,
		`SELECT to_regclass($1)::text`), goose.DefaultTablename).Scan(&table)
	if err != nil || !table.Valid {
		return nil, err
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT version_id FROM "+goose.DefaultTablename+" WHERE is_applied")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	versions := map[int64]bool{}
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		versions[v] = true
	}
	return versions, rows.Err()
}

// Times of Await.
const (
	attemptTimeout = 5 * time.Second
	retryInterval  = 500 * time.Millisecond
)

// localPort is the port of this end of a connection, which each attempt has another of.
var localPort = regexp.MustCompile(`:\d+->`)

// Await repeats check until it returns nil, for at most limit; 0: one attempt. It returns an error at
// once if no attempt can succeed, such as a wrong password. Log is called with the first error, and
// with each that differs from the one before.
func Await(ctx context.Context, limit time.Duration, check func(context.Context) error, log func(error)) error {
	deadline, last := time.Now().Add(limit), ""
	for {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := check(attempt)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case limit == 0 || !temporary(err):
			return err
		case time.Until(deadline) < retryInterval:
			return fmt.Errorf("not ready after %s: %w", limit, err)
		}
		if text := localPort.ReplaceAllString(err.Error(), ":PORT->"); text != last {
			log(err)
			last = text
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryInterval):
		}
	}
}

// temporary reports whether an error of Await's check may disappear. That of a missing database or
// SQLite file does when another process creates it.
func temporary(err error) bool {
	if postgresql != nil && postgresql.rejected(err) {
		return false
	}
	return errors.As(err, new(Pending)) || errors.Is(err, fs.ErrNotExist) || unavailable(err)
}

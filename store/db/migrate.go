package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations
var migrations embed.FS

// riverMigrations are river's migrations for the tables of the queue. Each of ours runs a range of
// them. There are two, because PostgreSQL must commit the first before the second can run.
var riverMigrations = []struct {
	version  int64
	from, to int // river's versions; -1 is none
}{
	{4, -1, 5},
	{5, 5, 8},
}

// migrator returns the provider of the migrations. They have a connection of their own: on PostgreSQL one without a lock
// timeout, and on SQLite one that sorts in a file: an index of a large table would take as much memory as it has keys.
func (s *Store) migrator(log *slog.Logger) (_ *goose.Provider, err error) {
	db, err := sql.Open(s.dialect.of("sqlite", "pgx"), s.source)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	files, err := fs.Sub(migrations, "migrations/"+string(s.dialect))
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(log),
	}
	for _, r := range riverMigrations {
		options = append(options, goose.WithGoMigrations(goose.NewGoMigration(r.version,
			&goose.GoFunc{RunTx: s.migrateRiver(rivermigrate.DirectionUp, r.to)},
			&goose.GoFunc{RunTx: s.migrateRiver(rivermigrate.DirectionDown, r.from)})))
	}
	dialect := goose.DialectSQLite3
	if s.dialect == postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(dialect, db, files, options...)
}

func (s *Store) riverDriver() riverdriver.Driver[*sql.Tx] {
	if s.dialect == postgres {
		return postgresql.queue(s.writer)
	}
	return riversqlite.New(s.writer)
}

func (s *Store) migrateRiver(direction rivermigrate.Direction, target int) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		m, err := rivermigrate.New(s.riverDriver(), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		// River deprecates this because some of its migrations cannot share a transaction.
		// goose runs each of ours in one; tests run all of them, up and down, on both databases.
		//lint:ignore SA1019 see above
		_, err = m.MigrateTx(ctx, tx, direction, &rivermigrate.MigrateOpts{TargetVersion: target})
		return err
	}
}

// Migrate changes the schema: "up" to the latest version, "down" by one, or "redo" for the latest
// migration. It returns the applied migrations. Of concurrent calls, one applies them.
func (s *Store) Migrate(ctx context.Context, command string, log *slog.Logger) (done []*goose.MigrationResult, err error) {
	unlock, err := s.lockFile("-migrate", true)
	if err != nil {
		return nil, err
	}
	defer unlock()
	m, err := s.migrator(log)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if err := checkNewer(ctx, m); err != nil {
		return nil, err
	}
	one := func(r *goose.MigrationResult, err error) ([]*goose.MigrationResult, error) {
		if r == nil {
			return nil, err
		}
		return []*goose.MigrationResult{r}, err
	}
	switch command {
	case "up":
		return m.Up(ctx)
	case "down":
		return one(m.Down(ctx))
	case "redo":
		down, err := one(m.Down(ctx))
		if err != nil {
			return down, err
		}
		up, err := one(m.UpByOne(ctx))
		if errors.Is(err, goose.ErrNoNextVersion) {
			err = nil // another instance was faster
		}
		return append(down, up...), err
	}
	return nil, fmt.Errorf("unknown migration command %q", command)
}

// ErrNewer means that a newer store created the schema: it might misread what this one writes.
var ErrNewer = errors.New("the schema is newer than this store")

// checkNewer returns ErrNewer, with both versions, if the schema is newer than m's.
func checkNewer(ctx context.Context, m *goose.Provider) error {
	current, target, err := m.GetVersions(ctx)
	if err != nil {
		return err
	}
	return newer(current, target)
}

func newer(current, target int64) error {
	if current <= target {
		return nil
	}
	return fmt.Errorf("%w: it has version %d, the store knows versions up to %d; start a store that knows version %d", ErrNewer, current, target, current)
}

// Migrations returns the status of every known migration. If the schema is newer, the error is
// ErrNewer, beside them.
func (s *Store) Migrations(ctx context.Context) ([]*goose.MigrationStatus, error) {
	if s.dialect == sqlite { // do not create the file
		if _, err := os.Stat(s.path); err != nil {
			return nil, err
		}
	}
	m, err := s.migrator(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer m.Close()
	all, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	return all, checkNewer(ctx, m)
}

// lockFile locks an SQLite database for one process: suffix "-migrate" for its schema, "-store" for
// its operations. The lock ends with the process. PostgreSQL has its own locks.
func (s *Store) lockFile(suffix string, wait bool) (unlock func(), err error) {
	if s.dialect != sqlite {
		return func() {}, nil
	}
	f, err := os.OpenFile(s.path+suffix, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	switch err := syscall.Flock(int(f.Fd()), how); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		f.Close()
		return nil, fmt.Errorf("another store has %s open: one file, one store", s.path)
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

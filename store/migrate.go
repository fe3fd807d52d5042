//go:build !nodatabase

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/pressly/goose/v3"

	"soundcheck/internal/albumapi"
	"soundcheck/internal/cli"
	"soundcheck/internal/service"
	"soundcheck/store/db"
)

func checkURL(url string) error {
	_, _, _, err := db.Parse(url)
	return err
}

// open opens the database, applies -migrate, and starts the store.
func open(ctx context.Context, c config, t albumapi.Telemetry) (service.Backend, error) {
	s, err := openStore(ctx, c, t)
	if err != nil {
		return service.Backend{}, err
	}
	return service.Backend{Service: s, Ready: s.Ready, Close: s.Shutdown}, nil
}

func openStore(ctx context.Context, c config, t albumapi.Telemetry) (_ *db.Store, err error) {
	s, err := db.Open(db.Config{URL: c.db, MaxConns: c.maxConns, SlowQuery: c.slowQuery,
		TracerProvider: t.TracerProvider, MeterProvider: t.MeterProvider, Logger: t.Logger})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", cli.WithoutPassword(c.db), err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open %s: %w", cli.WithoutPassword(c.db), err), s.Close())
		}
	}()
	switch c.migrate {
	case "auto":
		done, err := s.Migrate(ctx, "up", slog.New(slog.DiscardHandler))
		for _, m := range done {
			t.Logger.InfoContext(ctx, "migrated", slog.Int64("version", m.Source.Version), slog.Duration("duration", m.Duration))
		}
		if err != nil {
			return nil, fmt.Errorf("migrate: %w", err)
		}
	case "check":
		all, err := s.Migrations(ctx)
		if err != nil {
			return nil, fmt.Errorf("check the schema: %w", err)
		}
		if n := pending(all); n > 0 {
			return nil, fmt.Errorf("pending migrations: %d; run \"store migrate up\", or start with -migrate auto", n)
		}
	}
	return s, s.Start(ctx)
}

func pending(all []*goose.MigrationStatus) (n int) {
	for _, m := range all {
		if m.State == goose.StatePending {
			n++
		}
	}
	return n
}

// Limits of -wait.
const (
	maxWait     = time.Hour
	defaultWait = 5 * time.Minute // of "store migrate wait"
)

// migrateFlags are those of "store migrate".
type migrateFlags struct {
	command, url string
	wait         time.Duration
}

func parseMigrate(args []string, getenv func(string) string, stdout io.Writer) (c migrateFlags, err error) {
	f := cli.NewFlags("store migrate up|down|status|redo|wait [flags]", "SOUNDCHECK_STORE", `Updates the schema (up), reverts the latest migration (down), reverts and reapplies it (redo), lists
migrations (status), or waits until none is pending (wait).`)
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		c.command, args = args[0], args[1:]
	}
	if c.command == "wait" {
		c.wait = defaultWait
	}
	f.StringVar(&c.url, "db", "", "`database`: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
	f.DurationVar(&c.wait, "wait", c.wait, "max wait for the database, and with wait for migrations: `duration` (0s to 1h; wait: default 5m)")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return c, err
	}
	switch {
	case !slices.Contains([]string{"up", "down", "status", "redo", "wait"}, c.command):
		return c, f.Errorf("migrate %q: must be one of up, down, status, redo, wait", c.command)
	case c.url == "" || c.url == memory:
		return c, f.Errorf("-db is required: sqlite:PATH or postgres://…")
	case c.wait < 0 || c.wait > maxWait:
		return c, f.Errorf("-wait %s is out of range: 0s to 1h", c.wait)
	}
	if err := checkDB(f, c.url); err != nil {
		return c, err
	}
	return c, f.NoArgs()
}

// migrate runs "store migrate".
func migrate(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, err := parseMigrate(args, getenv, stdout)
	if err != nil {
		return err
	}
	s, err := db.Open(db.Config{URL: c.url})
	if err != nil {
		return fmt.Errorf("open %s: %w", cli.WithoutPassword(c.url), err)
	}
	if err = c.await(ctx, s, stderr); err == nil {
		err = c.run(ctx, s, stdout)
	}
	if err != nil {
		err = fmt.Errorf("migrate %s %s: %w", c.command, cli.WithoutPassword(c.url), err)
	}
	return errors.Join(err, s.Close())
}

// await waits until the command can run.
func (c migrateFlags) await(ctx context.Context, s *db.Store, stderr io.Writer) error {
	check := s.Ping
	switch {
	case c.command == "wait":
		check = s.CheckSchema
	case c.wait == 0:
		return nil // the command's own error has the details
	case c.command == "status": // Ping would create an SQLite file
		check = func(ctx context.Context) error {
			if err := s.CheckSchema(ctx); !errors.As(err, new(db.Pending)) && !errors.Is(err, db.ErrNewer) {
				return err
			}
			return nil
		}
	}
	begun := false
	err := db.Await(ctx, c.wait, check, func(err error) {
		if !begun {
			fmt.Fprintf(stderr, "waiting up to %s for %s\n", c.wait, cli.WithoutPassword(c.url))
			begun = true
		}
		fmt.Fprintf(stderr, "waiting: %v\n", err)
	})
	if errors.As(err, new(db.Pending)) {
		err = fmt.Errorf("%w; run \"store migrate up\"", err)
	}
	return err
}

// run runs the command.
func (c migrateFlags) run(ctx context.Context, s *db.Store, stdout io.Writer) error {
	var done []*goose.MigrationResult
	var err error
	switch c.command {
	case "status":
		return showStatus(ctx, s, stdout)
	case "wait":
	default:
		done, err = s.Migrate(ctx, c.command, slog.New(slog.DiscardHandler))
	}
	for _, m := range done {
		fmt.Fprintf(stdout, "%-4s %5d  %s  %s\n", m.Direction, m.Source.Version, name(m.Source), m.Duration.Round(time.Millisecond))
	}
	if err == nil && len(done) == 0 {
		_, err = fmt.Fprintln(stdout, "no pending migrations")
	}
	if errors.Is(err, goose.ErrNoNextVersion) {
		err = errors.New("no migration to revert")
	}
	return err
}

func showStatus(ctx context.Context, s *db.Store, stdout io.Writer) error {
	all, err := s.Migrations(ctx)
	if err != nil && !errors.Is(err, db.ErrNewer) {
		return err
	}
	tab := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "VERSION\tMIGRATION\tAPPLIED AT")
	for _, m := range all {
		at := "-"
		if m.State == goose.StateApplied {
			at = m.AppliedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(tab, "%d\t%s\t%s\n", m.Source.Version, name(m.Source), at)
	}
	return errors.Join(tab.Flush(), err)
}

func name(s *goose.Source) string {
	if s.Type == goose.TypeGo {
		return "river queue"
	}
	return s.Path
}

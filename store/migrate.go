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

// migrate runs "store migrate".
func migrate(ctx context.Context, args []string, getenv func(string) string, stdout, _ io.Writer) error {
	f := cli.NewFlags("store migrate up|down|status|redo [flags]", "SOUNDCHECK_STORE",
		"Updates the schema (up), reverts the latest migration (down), reverts and reapplies it (redo), or lists migrations (status).")
	url := f.String("db", "", "`database`: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
	command := ""
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if !slices.Contains([]string{"up", "down", "status", "redo"}, command) {
		return f.Errorf("migrate %q: must be one of up, down, status, redo", command)
	}
	if *url == "" || *url == memory {
		return f.Errorf("-db is required: sqlite:PATH or postgres://…")
	}
	if err := checkDB(f, *url); err != nil {
		return err
	}
	if err := f.NoArgs(); err != nil {
		return err
	}
	s, err := db.Open(db.Config{URL: *url})
	if err != nil {
		return fmt.Errorf("open %s: %w", cli.WithoutPassword(*url), err)
	}
	if command == "status" {
		return errors.Join(showStatus(ctx, s, stdout), s.Close())
	}
	done, err := s.Migrate(ctx, command, slog.New(slog.DiscardHandler))
	for _, m := range done {
		fmt.Fprintf(stdout, "%-4s %5d  %s  %s\n", m.Direction, m.Source.Version, name(m.Source), m.Duration.Round(time.Millisecond))
	}
	if err == nil && len(done) == 0 {
		_, err = fmt.Fprintln(stdout, "no pending migrations")
	}
	if errors.Is(err, goose.ErrNoNextVersion) {
		err = errors.New("no migration to revert")
	}
	if err != nil {
		err = fmt.Errorf("migrate %s %s: %w", command, cli.WithoutPassword(*url), err)
	}
	return errors.Join(err, s.Close())
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

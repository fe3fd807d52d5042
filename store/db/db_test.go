package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
	"soundcheck/store/db/dbtest"
)

var (
	server   *dbtest.Postgres
	benchDir string // outlives each benchmark
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	acquireTimeout, busyTimeout, queryTimeout, groupTime, closeTimeout = 5*time.Minute, 5*time.Minute, 10*time.Minute, time.Minute, 5*time.Minute
	var err error
	if server, err = dbtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop()
	if benchDir, err = os.MkdirTemp("", "bench"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(benchDir)
	return m.Run()
}

// databases are where the tests run.
var databases = map[string]func(testing.TB) string{
	"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "albums.db") },
	"postgres": func(t testing.TB) string { return server.New(t) },
}

// on runs a test on each database.
func on(t *testing.T, test func(t *testing.T, url string)) {
	for name, url := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, url(t))
		})
	}
}

// open returns a Store of a new database, which works.
func open(t testing.TB, c Config) *Store {
	t.Helper()
	s := opened(t, c)
	if _, err := s.Migrate(t.Context(), "up", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// opened returns a Store that has not begun to work.
func opened(t testing.TB, c Config) *Store {
	t.Helper()
	if c.MaxConns == 0 {
		c.MaxConns = 4 // there are many tests at once
	}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestService(t *testing.T) {
	t.Parallel()
	for name, url := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			albumtest.Run(t, func(t *testing.T) album.Service { return open(t, Config{URL: url(t)}) })
		})
	}
}

// A caller whose deadline passes gets that error: the database is not unavailable.
func TestCallersDeadline(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		s := open(t, Config{URL: url})
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		_, listErr := s.List(ctx, album.Query{Limit: 1})
		_, getErr := s.Get(ctx, 1)
		_, _, putErr := s.Put(ctx, albumtest.New(1))
		_, opErr := s.Operation(ctx, "x")
		for _, err := range []error{listErr, getErr, putErr, opErr} {
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, album.ErrNotReady) {
				t.Errorf("%v, want the deadline alone", err)
			}
		}
		if s.lastFailure.Load() != 0 {
			t.Error("the database is taken for away")
		}
	})
}

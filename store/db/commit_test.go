package db

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
)

// holdCommits makes every COMMIT of a new album wait, as for a disk, until the returned
// function is called. Waiting returns how many do.
func holdCommits(t *testing.T, url string) (waiting func() int, resume func()) {
	t.Helper()
	driver, source, path, err := Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string) {
		t.Helper()
		if _, err := conn.ExecContext(context.WithoutCancel(t.Context()), query); err != nil {
			t.Fatal(err)
		}
	}
	if path != "" {
		// The only writer of SQLite waits for its lock.
		exec("PRAGMA busy_timeout = 60000") // the store may be writing
		exec("BEGIN IMMEDIATE")
		return func() int { return 1 }, sync.OnceFunc(func() { exec("ROLLBACK") })
	}
	exec("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END'")
	exec("CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON albums DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold()")
	exec("SELECT pg_advisory_lock(1)")
	return func() (n int) {
		err := conn.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'commit' AND wait_event_type = 'Lock'").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}, sync.OnceFunc(func() { exec("SELECT pg_advisory_unlock(1)") })
}

// Reads are served, and the database is ready, while all connections that write wait for
// their COMMIT.
func TestReadsDoNotWaitForCommits(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		const conns, creates = 6, 12
		s := open(t, Config{URL: url, MaxConns: conns})
		first, err := s.Create(t.Context(), album.Write{Albums: []album.Album{albumtest.New(0)}})
		if err != nil {
			t.Fatal(err)
		}
		waiting, resume := holdCommits(t, url)
		defer resume()
		var done sync.WaitGroup
		for range creates {
			done.Go(func() {
				if _, err := s.Create(t.Context(), album.Write{Albums: []album.Album{albumtest.New(0)}}); err != nil {
					t.Error(err)
				}
			})
		}
		all := s.writer.Stats().MaxOpenConnections
		for deadline := time.Now().Add(5 * time.Minute); waiting() < all || s.writer.Stats().InUse < all; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d COMMITs wait, %d connections are in use, want %d", waiting(), s.writer.Stats().InUse, all)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // COMMITs wait longer
		defer cancel()
		for range 3 {
			if _, err := s.Get(ctx, first.Albums[0].ID); err != nil {
				t.Errorf("get an album: %v", err)
			}
			if _, err := s.List(ctx, album.Query{Limit: 10}); err != nil {
				t.Errorf("list albums: %v", err)
			}
		}
		s.lastCommit.Store(time.Now().Add(time.Hour).UnixNano()) // the test may take longer than busyFor
		if err := s.Ready(ctx); err != nil {
			t.Errorf("not ready while commits wait: %v", err)
		}
		resume()
		done.Wait()
	})
}

// The pools together have MaxConns connections.
func TestMaxConns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		database                string
		conns, readers, writers int
	}{{"postgres", 2, 1, 1}, {"postgres", 7, 3, 4}, {"postgres", 16, 8, 8}, {"sqlite", 16, 16, 1}} {
		url := "postgres://127.0.0.1/albums"
		if tt.database == "sqlite" {
			url = "sqlite:" + filepath.Join(t.TempDir(), "albums.db")
		}
		s := opened(t, Config{URL: url, MaxConns: tt.conns})
		got := fmt.Sprint(s.reader.Stats().MaxOpenConnections, s.writer.Stats().MaxOpenConnections)
		if want := fmt.Sprint(tt.readers, tt.writers); got != want {
			t.Errorf("-max-conns %d of %s: %s connections for reads and writes, want %s", tt.conns, strings.ToUpper(tt.database), got, want)
		}
	}
}

package db

import (
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/pressly/goose/v3"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
)

var discard = slog.New(slog.DiscardHandler)

// Each migration goes up, down and up again, with data in place.
func TestMigrations(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		s := opened(t, Config{URL: url})
		if err := s.Ready(t.Context()); err == nil {
			t.Error("ready without a schema")
		}
		all, err := s.Migrations(t.Context())
		if err != nil || len(all) != 5 {
			t.Fatalf("%d migrations, %v, want 5", len(all), err)
		}
		m, err := s.migrator(discard)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for n := range int64(len(all)) {
			for _, step := range []func() (*goose.MigrationResult, error){
				func() (*goose.MigrationResult, error) { return m.UpByOne(t.Context()) },
				func() (*goose.MigrationResult, error) { return m.Down(t.Context()) },
				func() (*goose.MigrationResult, error) { return m.UpByOne(t.Context()) },
			} {
				if r, err := step(); err != nil {
					t.Fatalf("%+v: %v", r, err)
				}
				version, err := m.GetDBVersion(t.Context())
				if err != nil || version < n || version > n+1 {
					t.Fatalf("version %d, %v", version, err)
				}
				s.fill(t, version) // in place when the next step comes
			}
		}
		if err := s.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(albumtest.All(t, s, album.Query{Limit: 100})); n < 4 {
			t.Errorf("%d albums have survived the migrations, want more", n)
		}
		op, _, err := s.Submit(t.Context(), album.One(albumtest.New(0)))
		if err != nil {
			t.Fatal(err)
		}
		albumtest.Await(t, s, op.ID)
		s.redoWithQueued(t, url)
		for range all { // with data in place all the way back
			if _, err := s.Migrate(t.Context(), "down", discard); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// fill adds what the schema can keep now, if it can keep anything.
func (s *Store) fill(t *testing.T, version int64) {
	t.Helper()
	w := album.One(albumtest.New(0))
	if version >= 2 {
		w.Key = fmt.Sprint("key ", version)
		w.Albums[0].Title = fmt.Sprint("of version ", version)
	}
	if _, err := s.Create(t.Context(), w); err != nil && version >= 1 {
		t.Fatalf("create at version %d: %v", version, err)
	}
}

// redoWithQueued reverts and reapplies the tables of the queue while an operation
// is queued, which must not be lost.
func (s *Store) redoWithQueued(t *testing.T, url string) {
	t.Helper()
	if err := s.queue.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.queue.unlock() // for the store that is opened below
	op, _, err := s.Submit(t.Context(), album.One(albumtest.New(0)))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"down", "down", "up"} {
		if _, err := s.Migrate(t.Context(), step, discard); err != nil {
			t.Fatal(err)
		}
	}
	next := opened(t, Config{URL: url})
	if err := next.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if end := albumtest.Await(t, next, op.ID); end.Status != album.Succeeded {
		t.Errorf("the operation that was queued is %+v", end)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
}

// Of several that start at once one migrates, and the others find it done.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		var mu sync.Mutex
		var done []int64
		var wg sync.WaitGroup
		for range 4 {
			s := opened(t, Config{URL: url})
			wg.Go(func() {
				results, err := s.Migrate(t.Context(), "up", discard)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				for _, r := range results {
					done = append(done, r.Source.Version)
				}
			})
		}
		wg.Wait()
		slices.Sort(done)
		if !slices.Equal(done, []int64{1, 2, 3, 4, 5}) {
			t.Errorf("migrations %v were done, want each once", done)
		}
	})
}

// Migrations sort large indexes in files, and writes copy pages to memory.
func TestMigrateTempStore(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{URL: databases["sqlite"](t)})
	own, err := sql.Open("sqlite", s.source)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for db, want := range map[*sql.DB]int{own: 0, s.writer: 2} {
		var got int
		if err := db.QueryRow("PRAGMA temp_store").Scan(&got); err != nil || got != want {
			t.Errorf("temp_store is %d, want %d (%v)", got, want, err)
		}
	}
}

package db

import (
	"errors"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
)

// A SQLite file has one store. Another one does not start, until the first has ended.
func TestOneFileOneStore(t *testing.T) {
	t.Parallel()
	url := databases["sqlite"](t)
	first, second := open(t, Config{URL: url}), opened(t, Config{URL: url})
	if err := second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "albums.db open: one file, one store") {
		t.Errorf("a second store starts: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Start(t.Context()); err != nil {
		t.Errorf("the next store: %v", err)
	}
}

// After a kill the next store of a SQLite file does at once what waited between attempts: the
// leadership of the killed one does not have to expire.
func TestKilledLeader(t *testing.T) {
	t.Parallel()
	url := databases["sqlite"](t)
	first := open(t, Config{URL: url})
	if err := first.queue.client.Stop(t.Context()); err != nil { // so that nobody works on what follows
		t.Fatal(err)
	}
	op, _, err := first.Submit(t.Context(), album.One(albumtest.New(0)))
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"UPDATE river_job SET state = 'retryable', attempt = 1, scheduled_at = datetime('now', 'subsec')",
		"DELETE FROM river_leader",
		"INSERT INTO river_leader (leader_id, elected_at, expires_at) VALUES ('killed', datetime('now', 'subsec'), datetime('now', '+1 day', 'subsec'))",
	} {
		if _, err := first.writer.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	next := opened(t, Config{URL: url})
	if err := next.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		got, err := next.Operation(t.Context(), op.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status == album.Succeeded {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the operation is %+v", got)
		}
	}
}

// A store does not start on a schema that is newer than it, and names both versions.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		s := open(t, Config{URL: url})
		if _, err := s.writer.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, $1)", true); err != nil {
			t.Fatal(err)
		}
		const want = "it has version 99, the store knows versions up to 5"
		for _, command := range []string{"up", "down", "redo"} {
			if done, err := s.Migrate(t.Context(), command, discard); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), want) || len(done) > 0 {
				t.Errorf("migrate %s: %v, %v, want ErrNewer", command, done, err)
			}
		}
		if all, err := s.Migrations(t.Context()); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), want) || len(all) != 5 {
			t.Errorf("%d migrations, %v, want 5 and ErrNewer", len(all), err)
		}
	})
}

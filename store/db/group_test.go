package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
	"soundcheck/internal/telemetry/telemetrytest"
)

// together starts the functions while another transaction runs, in order, so that they are a group.
func together(t *testing.T, s *Store, fs ...func()) {
	t.Helper()
	var done sync.WaitGroup
	var returned atomic.Int32
	err := s.tx(t.Context(), "hold", func(context.Context, *sql.Tx) error {
		for i, f := range fs {
			done.Go(func() { defer returned.Add(1); f() })
			for s.group.Waiting()+int(returned.Load()) < i+1 {
				time.Sleep(time.Millisecond)
			}
		}
		return errors.New("nothing")
	})
	if err == nil {
		t.Fatal("the first transaction has not failed")
	}
	done.Wait()
}

func one() album.Write { return album.One(albumtest.New(0)) }

// Transactions that wait for the connection share a COMMIT. Each has its own result and its own spans.
func TestGroup(t *testing.T) {
	t.Parallel()
	rec := telemetrytest.New(t)
	s := open(t, Config{URL: databases["sqlite"](t), TracerProvider: rec.TracerProvider, MeterProvider: rec.MeterProvider})
	svc := album.Traced(s, rec.TracerProvider)
	albumtest.Create(t, s, albumtest.New(0)) // without a span; it skips the ids of the first albums
	const n, committed = 20, 17
	var fs []func()
	ids := make([]int64, n)
	for i := range n {
		fs = append(fs, func() {
			w := one()
			if i%5 == 3 {
				w.Albums[0].ID = 1 // exists
			}
			created, err := svc.Create(t.Context(), w)
			switch {
			case i%5 == 3:
				if !errors.Is(err, album.ErrExists) {
					t.Errorf("a create of album 1: %v, want %v", err, album.ErrExists)
				}
			case err != nil:
				t.Error(err)
			default:
				ids[i] = created.Albums[0].ID
			}
		})
	}
	fs = append(fs, func() {
		if err := svc.Delete(t.Context(), 404); !errors.Is(err, album.ErrNotFound) {
			t.Errorf("deleted album 404: %v", err)
		}
	}, func() {
		if err := svc.Delete(t.Context(), 2); err != nil {
			t.Error(err)
		}
	})
	together(t, s, fs...)
	seen := map[int64]bool{}
	for i, id := range ids {
		if i%5 == 3 {
			continue
		}
		if _, err := s.Get(t.Context(), id); err != nil || seen[id] {
			t.Errorf("album %d: %v, twice: %t", id, err, seen[id])
		}
		seen[id] = true
	}
	if _, err := s.Get(t.Context(), 2); !errors.Is(err, album.ErrNotFound) {
		t.Errorf("the deleted album: %v", err)
	}
	spans := rec.Spans()
	for _, call := range spans {
		var names []string
		if !strings.HasPrefix(call.Name, "album.create") {
			continue
		}
		end := call.StartTime
		for _, span := range below(spans, &call) {
			names = append(names, span.Name)
			if span.StartTime.Before(end) {
				t.Errorf("%s begins before the end of what is before it: %v", span.Name, names)
			}
			end = span.EndTime
			if span.Name != "COMMIT" {
				continue
			}
			var size attribute.Value
			for _, kv := range span.Attributes {
				if kv.Key == "db.operation.batch.size" {
					size = kv.Value
				}
			}
			if size.AsInt64() < committed {
				t.Errorf("the COMMIT of a create is of %d transactions, want at least %d", size.AsInt64(), committed)
			}
		}
		want := "[BEGIN UPDATE album_ids SELECT albums INSERT albums COMMIT]"
		if got := fmt.Sprint(names); got != want && got != "[BEGIN SELECT albums ROLLBACK]" {
			t.Errorf("spans of a create: %s, want %s", got, want)
		}
	}
}

// A caller that leaves takes nothing from the others.
func TestGroupLeft(t *testing.T) {
	t.Parallel()
	s := open(t, Config{URL: databases["sqlite"](t)})
	ctx, leave := context.WithCancel(t.Context())
	create := func(ctx context.Context, want error) func() {
		return func() {
			if _, err := s.Create(ctx, one()); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
	}
	left := create(ctx, context.Canceled)
	together(t, s, create(t.Context(), nil), left, create(t.Context(), nil), func() {
		leave()
		create(t.Context(), nil)()
	})
	// One that leaves while its statements run has an answer.
	ctx, leave = context.WithCancel(t.Context())
	together(t, s, create(t.Context(), nil), func() {
		if err := s.tx(ctx, "leave", func(ctx context.Context, tx *sql.Tx) error {
			leave()
			_, err := s.exec(ctx, tx, "UPDATE albums SET year = 2000 WHERE id = 1")
			return err
		}); err != nil {
			t.Error(err)
		}
	}, create(t.Context(), nil))
	if a, err := s.Get(t.Context(), 1); err != nil || a.Year != 2000 {
		t.Errorf("album 1 is %+v, %v", a, err)
	}
	page, err := s.List(t.Context(), album.Query{Limit: 100})
	if err != nil || len(page.Albums) != 3+5 {
		t.Errorf("%d albums, %v, want 8", len(page.Albums), err)
	}
}

// SQLite rolls back all of a transaction after some errors, such as of a full disk. The others of the
// group run again.
func TestGroupRolledBack(t *testing.T) {
	t.Parallel()
	s := open(t, Config{URL: databases["sqlite"](t)})
	full := errors.New("disk full")
	calls := 0
	create := func() {
		if _, err := s.Create(t.Context(), one()); err != nil {
			t.Error(err)
		}
	}
	fail := func() {
		err := s.tx(t.Context(), "fail", func(ctx context.Context, tx *sql.Tx) error {
			calls++
			if _, err := tx.ExecContext(ctx, "INSERT INTO albums (id, title, artist, price_cents, created_at) VALUES (77, 'a', 'b', 1, 1)"); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "ROLLBACK"); err != nil {
				return err
			}
			return full
		})
		if !errors.Is(err, full) {
			t.Errorf("%v, want %v", err, full)
		}
	}
	crash := func() {
		defer func() {
			if v := recover(); v != "crash" {
				t.Errorf("panic: %v", v)
			}
		}()
		_ = s.tx(t.Context(), "panic", func(context.Context, *sql.Tx) error { panic("crash") })
	}
	together(t, s, create, create, fail, create, crash, create, fail)
	together(t, s, fail, crash, create)
	if calls != 5 { // twice in a group, and alone
		t.Errorf("the failed transactions ran %d times, want 5", calls)
	}
	page, err := s.List(t.Context(), album.Query{Limit: 100})
	if err != nil || len(page.Albums) != 3+5 {
		t.Errorf("%d albums, %v, want 8", len(page.Albums), err)
	}
	create() // the connection still works
}

// A transaction for which the disk has no space takes nothing from the others of its group.
func TestGroupDiskFull(t *testing.T) {
	t.Parallel()
	s := open(t, Config{URL: databases["sqlite"](t)})
	pragma := func(text string) (n int) {
		if err := s.writer.QueryRow("PRAGMA " + text).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	pragma(fmt.Sprintf("max_page_count = %d", pragma("page_count")+4))
	create := func() {
		if _, err := s.Create(t.Context(), one()); err != nil {
			t.Error(err)
		}
	}
	batch := func(n int) album.Write {
		w := album.Write{Batch: true, Albums: make([]album.Album, n)}
		for i := range w.Albums {
			w.Albums[i] = albumtest.New(0)
		}
		return w
	}
	large := batch(2 * rowsPerInsert) // shares no COMMIT
	full := func(w album.Write) func() {
		return func() {
			if _, err := s.Create(t.Context(), w); !errors.Is(err, album.ErrNotReady) {
				t.Errorf("%v, want %v", err, album.ErrNotReady)
			}
		}
	}
	shared := full(batch(rowsPerInsert))
	together(t, s, create, shared, create, shared, full(large), create)
	if s.lastFailure.Load() == 0 {
		t.Error("a full disk is no failure of the database")
	}
	pragma("max_page_count = 1000000")
	if _, err := s.Create(t.Context(), large); err != nil {
		t.Errorf("with space again: %v", err)
	}
	n := 0
	for _, err := range s.Stream(t.Context(), album.Filter{}) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if want := 3 + 3 + len(large.Albums); n != want {
		t.Errorf("%d albums, want %d", n, want)
	}
}

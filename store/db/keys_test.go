package db

import (
	"errors"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
)

// A key expires after a day, and is deleted.
func TestKeyLifetime(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		s := open(t, Config{URL: url})
		first, other := album.One(albumtest.New(0)), album.One(albumtest.New(0))
		first.Key, other.Key, other.Albums[0].Price = "k", "k", 2
		age := func(d time.Duration) {
			t.Helper()
			if _, err := s.writer.Exec("UPDATE idempotency_keys SET created_at = $1", s.dialect.time(album.Now().Add(-d))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Create(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		age(album.KeyLifetime - time.Minute)
		if _, err := s.Create(t.Context(), other); !errors.Is(err, album.ErrKeyReused) {
			t.Errorf("within a day: %v, want ErrKeyReused", err)
		}
		age(album.KeyLifetime + time.Minute)
		if c, err := s.Create(t.Context(), other); err != nil || c.Replayed {
			t.Errorf("after a day: %+v, %v, want a new album", c, err)
		}
		if c, err := s.Create(t.Context(), other); err != nil || !c.Replayed {
			t.Errorf("again: %+v, %v, want the same result", c, err)
		}
		age(album.KeyLifetime + time.Minute)
		if err := s.queue.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.queue.unlock() // one file, one store
		next := opened(t, Config{URL: url})
		if err := next.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
			var n int
			if err := s.writer.QueryRow("SELECT count(*) FROM idempotency_keys").Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d keys are left", n)
			}
		}
	})
}

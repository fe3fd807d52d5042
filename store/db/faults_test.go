package db

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"soundcheck/internal/album"
)

// A connection that is kept is missing in the pool for reads, until its release.
func TestKeep(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "albums.db"), MaxConns: 2}) // nothing else uses its connections
	var releases []func()
	for range 2 {
		release, err := s.Keep(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	if got := s.reader.Stats().InUse; got != 2 {
		t.Errorf("%d connections in use, want 2", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Keep(ctx); err == nil {
		t.Error("one connection more than there are")
	}
	for _, release := range releases {
		release()
	}
	if got := s.reader.Stats().InUse; got != 0 {
		t.Errorf("%d connections in use after the release", got)
	}
}

// While the lock is held nothing can be written, and everything can be read.
func TestLock(t *testing.T) {
	t.Parallel()
	s := open(t, Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "albums.db")})
	write := func(ctx context.Context) error {
		_, err := s.Create(ctx, album.Write{Albums: []album.Album{{Title: "Title", Artist: "Artist", Price: 100}}})
		return err
	}
	release, err := s.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := write(ctx); err == nil {
		t.Error("written under the lock of another connection")
	}
	if _, err := s.List(t.Context(), album.Query{Limit: 1}); err != nil {
		t.Errorf("read under the lock: %v", err)
	}
	if _, err := s.Lock(ctx); err == nil {
		t.Error("the lock was taken twice")
	}
	release()
	if err := write(t.Context()); err != nil {
		t.Errorf("after the release: %v", err)
	}
}

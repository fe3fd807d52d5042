package album_test

import (
	"context"
	"errors"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	albumtest.Run(t, func(t *testing.T) album.Service {
		m := album.NewMemory(album.Seed()...)
		t.Cleanup(func() { m.Close(context.Background()) })
		return m
	})
}

// A full Memory retains its albums, and accepts more after a delete.
func TestMemoryFull(t *testing.T) {
	t.Parallel()
	m := album.NewMemory(album.Seed()...)
	m.Max = 5
	create := func(n int, key string) error {
		w := album.Write{Batch: true, Key: key}
		for range n {
			w.Albums = append(w.Albums, albumtest.New(0))
		}
		_, err := m.Create(t.Context(), w)
		return err
	}
	put := func(id int64) error {
		_, _, err := m.Put(t.Context(), albumtest.New(id))
		return err
	}
	for i, step := range []struct {
		err, want error
	}{
		{create(3, "k"), album.ErrFull},
		{create(2, ""), nil},
		{create(1, ""), album.ErrFull},
		{put(1), nil}, // in the place of another
		{put(99), album.ErrFull},
		{m.Delete(t.Context(), 2), nil},
		{m.Delete(t.Context(), 3), nil},
		{m.Delete(t.Context(), 4), nil},
		{create(3, "k"), nil}, // ErrFull is not replayed
	} {
		if !errors.Is(step.err, step.want) {
			t.Errorf("step %d = %v, want %v", i, step.err, step.want)
		}
	}
}

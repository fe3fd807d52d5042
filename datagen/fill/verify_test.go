package fill

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

// Verify distinguishes missing, changed and duplicated albums from other albums of the
// service.
func TestVerify(t *testing.T) {
	t.Parallel()
	const n = 2500 // several pages
	kept := func(t *testing.T) *album.Memory {
		m := album.NewMemory()
		for i := range uint64(n) {
			if _, err := m.Create(t.Context(), album.One(fakealbum.New(7, i))); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	const first = 1 // id of album 0
	for _, tt := range []struct {
		name   string
		spoil  func(t *testing.T, m *album.Memory) error
		want   Verified
		expect []album.Album // besides
	}{
		{"whole", func(*testing.T, *album.Memory) error { return nil }, Verified{Once: n}, nil},
		{"missing", func(t *testing.T, m *album.Memory) error { return m.Delete(t.Context(), first+5) },
			Verified{Once: n - 1, Missing: 1, Examples: []Example{{5, "missing"}}}, nil},
		{"changed", func(t *testing.T, m *album.Memory) error {
			a := fakealbum.New(7, 5)
			a.ID, a.Price = first+5, a.Price+1
			_, _, err := m.Put(t.Context(), a)
			return err
		}, Verified{Once: n - 1, Changed: 1, Examples: []Example{{5, "changed"}}}, nil},
		{"twice, and three times", func(t *testing.T, m *album.Memory) error {
			for _, i := range []uint64{5, 2000, 2000} {
				if _, err := m.Create(t.Context(), album.One(fakealbum.New(7, i))); err != nil {
					return err
				}
			}
			return nil
		}, Verified{Once: n - 2, Twice: 2, Examples: []Example{{5, "twice"}, {2000, "twice"}}}, nil},
		{"another of the same name", func(t *testing.T, m *album.Memory) error {
			a := fakealbum.New(7, 5)
			a.Year++
			_, err := m.Create(t.Context(), album.One(a))
			return err
		}, Verified{Once: n, Others: 1}, nil},
		{"to be there twice, and once is", func(*testing.T, *album.Memory) error { return nil },
			Verified{Once: n, Missing: 1, Examples: []Example{{n, "missing"}}}, []album.Album{fakealbum.New(7, 5)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := NewExpected(0)
			for i := range uint64(n) {
				e.Add(i, fakealbum.New(7, i))
			}
			for i, a := range tt.expect {
				e.Add(uint64(n+i), a)
			}
			m := kept(t)
			if err := tt.spoil(t, m); err != nil {
				t.Fatal(err)
			}
			seen := 0
			got, err := e.Verify(t.Context(), m, time.Second, func(n int) { seen = n })
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			want.Albums = n + len(tt.expect)
			if !reflect.DeepEqual(*got, want) || got.OK() != (len(want.Examples) == 0) || seen < n-1 {
				t.Errorf("%+v after %d albums, want %+v", got, seen, want)
			}
		})
	}
}

// lister is a Service whose pages return err.
type lister struct {
	album.Service
	err func() error
}

func (l lister) List(ctx context.Context, q album.Query) (album.Page, error) {
	if err := l.err(); err != nil {
		return album.Page{}, err
	}
	return l.Service.List(ctx, q)
}

func TestVerifyWaits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		refused int
		err     error
		ok      bool
	}{{10, laterError(time.Second), true}, {1000, laterError(time.Second), false}, {1, album.ErrNotFound, false}} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			s := lister{album.NewMemory(), func() error {
				if calls++; calls <= tt.refused {
					return tt.err
				}
				return nil
			}}
			if _, err := NewExpected(0).Verify(t.Context(), s, 30*time.Second, nil); (err == nil) != tt.ok || !tt.ok && !errors.Is(err, tt.err) {
				t.Errorf("%d times %v: %v, want success: %v", tt.refused, tt.err, err, tt.ok)
			}
		})
	}
}

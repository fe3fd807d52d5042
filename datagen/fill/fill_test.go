package fill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

// creator is an album.Service of which only Create is called.
type creator struct {
	album.Service
	create func(ctx context.Context, a album.Album) (album.Album, error)
}

func (c creator) Create(ctx context.Context, w album.Write) (album.Created, error) {
	a, err := c.create(ctx, w.Albums[0])
	return album.Created{Albums: []album.Album{a}}, err
}

func TestRunCreatesEveryAlbumOnce(t *testing.T) {
	t.Parallel()
	const n, seed = 500, 7
	var want []album.Album
	for i := range uint64(n) {
		want = append(want, fakealbum.Catalogue{Seed: seed, Unicode: 0.5}.Album(100+i))
	}
	for _, concurrency := range []int{1, 8, 1024} {
		var mu sync.Mutex
		var got []album.Album
		s, err := Run(t.Context(), Config{N: n, Seed: seed, Unicode: 0.5, From: 100, Concurrency: concurrency,
			Service: creator{create: func(_ context.Context, a album.Album) (album.Album, error) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, a)
				return a, nil
			}}})
		if err != nil || s.Created != n || s.Failed != 0 || s.Unknown != 0 {
			t.Errorf("concurrency %d: Run = %+v, %v, want %d created", concurrency, s, err, n)
		}
		slices.SortFunc(got, compare)
		slices.SortFunc(want, compare)
		if !slices.Equal(got, want) {
			t.Errorf("concurrency %d: the albums are not those of the seed", concurrency)
		}
	}
}

func compare(a, b album.Album) int {
	return slices.Compare([]string{a.Title, a.Artist, a.Price.String()}, []string{b.Title, b.Artist, b.Price.String()})
}

func TestRunGivesUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		n, concurrency int
		err            func(call int) error
		calls          int // that were made; with concurrency, this many more at most
		gaveUp         bool
	}{
		{"nobody there", 1000, 1, func(int) error { return album.ErrUnavailable }, giveUpAfter, true},
		{"nobody there, many at a time", 1000, 16, func(int) error { return album.ErrUnavailable }, giveUpAfter, true},
		{"no answer", 1000, 1, func(int) error { return album.ErrTimeout }, giveUpAfter, true},
		{"few albums", 3, 1, func(int) error { return album.ErrUnavailable }, 3, true},
		{"gone in the middle", 1000, 1, func(call int) error {
			if call <= 100 {
				return nil
			}
			return album.ErrUnavailable
		}, 100 + giveUpAfter, true},
		{"a success between", 100, 1, func(call int) error {
			if call%giveUpAfter == 0 {
				return nil
			}
			return album.ErrUnavailable
		}, 100, false},
		{"refused", 100, 1, func(int) error { return album.ErrExists }, 100, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			s, err := Run(t.Context(), Config{N: tt.n, Concurrency: tt.concurrency,
				Service: creator{create: func(_ context.Context, a album.Album) (album.Album, error) {
					return a, tt.err(int(calls.Add(1)))
				}}})
			if errors.Is(err, ErrGaveUp) != tt.gaveUp || !tt.gaveUp && err != nil {
				t.Errorf("Run = %v, want ErrGaveUp: %v", err, tt.gaveUp)
			}
			if got := int(calls.Load()); got < tt.calls || got > tt.calls+2*(tt.concurrency-1) {
				t.Errorf("%d calls, want %d", got, tt.calls)
			}
			if got := s.Created + s.Failed; got != int(calls.Load()) {
				t.Errorf("summary of %d calls, want %d", got, calls.Load())
			}
		})
	}
}

// What is in flight when ctx ends may finish; the summary says what is certain.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		takes            time.Duration // one call
		created, unknown int
		ends             time.Duration
	}{
		{"calls finish", 900 * time.Millisecond, 8, 0, 1800 * time.Millisecond},
		{"calls are cut off", time.Hour, 0, 4, time.Second + grace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, context.Canceled)
				defer cancel()
				begun := time.Now()
				s, err := Run(ctx, Config{N: 1000, Concurrency: 4,
					Service: creator{create: func(ctx context.Context, a album.Album) (album.Album, error) {
						select {
						case <-time.After(tt.takes):
							return a, nil
						case <-ctx.Done():
							return a, fmt.Errorf("%w: cut", context.Canceled)
						}
					}}})
				if err == nil || errors.Is(err, ErrGaveUp) {
					t.Errorf("Run = %v, want the end of ctx", err)
				}
				if s.Created != tt.created || s.Unknown != tt.unknown || s.Failed != 0 {
					t.Errorf("%+v, want %d created, %d unknown, none failed", s, tt.created, tt.unknown)
				}
				if got := time.Since(begun); got != tt.ends {
					t.Errorf("Run ended after %s, want %s", got, tt.ends)
				}
			})
		})
	}
}

func TestRunProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []string
		_, err := Run(t.Context(), Config{N: 10, Concurrency: 1,
			Progress: func(created, failed int, elapsed time.Duration) {
				got = append(got, fmt.Sprint(created, failed, elapsed))
			},
			Service: creator{create: func(_ context.Context, a album.Album) (album.Album, error) {
				time.Sleep(350 * time.Millisecond)
				return a, nil
			}}})
		if want := []string{"2 0 1s", "5 0 2s", "8 0 3s"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("progress %q, %v, want %q", got, err, want)
		}
	})
}

package fill

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/fakealbum"
)

// fake is a Service with responses set by a test.
type fake struct {
	album.Service // for what is not given
	create        func(ctx context.Context, w album.Write) (album.Created, error)
	try           func() (int, albumapi.Problem, error)
}

func (f fake) Create(ctx context.Context, w album.Write) (album.Created, error) {
	return f.create(ctx, w)
}

func (f fake) Try(context.Context, string, []byte) (int, albumapi.Problem, error) { return f.try() }

// failing is a Service whose creates return err: the calls are counted from 1.
func failing(err func(call int) error) (Service, *atomic.Int64) {
	calls := new(atomic.Int64)
	return fake{create: func(context.Context, album.Write) (album.Created, error) {
		return album.Created{}, err(int(calls.Add(1)))
	}}, calls
}

func items(from, n uint64) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for i := from; i < from+n; i++ {
			if !yield(Item{Number: i, Album: fakealbum.New(7, i)}, nil) {
				return
			}
		}
	}
}

// config is what a test changes.
func config(s Service, from, n uint64) Config {
	return Config{Service: s, Items: items(from, n), First: from, N: int(n), Batch: 1, Concurrency: 1, Rate: rate.Inf, Patience: 30 * time.Second,
		Key: func(first Item) string { return fmt.Sprintf("key-%d", first.Number) }}
}

// later is an error with a Retry-After.
type laterError time.Duration

func (laterError) Error() string               { return "retry later" }
func (e laterError) RetryAfter() time.Duration { return time.Duration(e) }

// Every album is sent once, whatever the concurrency; requests are made of those whose
// numbers belong together, with the key of the first.
func TestRun(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, n            uint64
		batch, concurrency int
		requests           int
	}{
		{100, 500, 1, 1, 500}, {100, 500, 1, 1024, 500}, {0, 1000, 100, 8, 10}, {150, 1000, 100, 8, 11}, {99, 2, 100, 1, 2}, {5, 3, 10000, 3, 1},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			got := map[string][]album.Album{}
			c := config(fake{create: func(_ context.Context, w album.Write) (album.Created, error) {
				mu.Lock()
				defer mu.Unlock()
				if _, twice := got[w.Key]; twice || w.Batch != (tt.batch > 1) || len(w.Albums) > tt.batch {
					t.Errorf("request %q has %d albums, batch: %v, and came before: %v", w.Key, len(w.Albums), w.Batch, twice)
				}
				got[w.Key] = w.Albums
				return album.Created{Albums: w.Albums}, nil
			}}, tt.from, tt.n)
			c.Batch, c.Concurrency = tt.batch, tt.concurrency
			s, err := Run(t.Context(), c)
			if err != nil || s.Created != int(tt.n) || s.Done() != s.Created || s.Undone || len(got) != tt.requests {
				t.Errorf("Run = %+v, %v after %d requests, want %d created by %d", s, err, len(got), tt.n, tt.requests)
			}
			for i := tt.from; i < tt.from+tt.n; {
				albums := got[fmt.Sprintf("key-%d", i)]
				if len(albums) == 0 {
					t.Fatalf("no request begins with album %d", i)
				}
				for _, a := range albums {
					if a != fakealbum.New(7, i) {
						t.Fatalf("album %d is %+v", i, a)
					}
					i++
				}
				if i < tt.from+tt.n && i%uint64(tt.batch) != 0 {
					t.Errorf("a request ends before album %d", i)
				}
			}
		})
	}
}

// Requests in flight when ctx ends may finish; the summary has the certain outcomes, and
// where to resume.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		takes            time.Duration // one call
		created, unknown int
		resume           uint64
		ends             time.Duration
	}{
		{"calls finish", 900 * time.Millisecond, 8, 0, 108, 1800 * time.Millisecond},
		{"calls are cut off", time.Hour, 0, 4, 100, time.Second + grace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Second, cancel)
				c := config(fake{create: func(ctx context.Context, w album.Write) (album.Created, error) {
					select {
					case <-time.After(tt.takes):
						return album.Created{}, nil
					case <-ctx.Done():
						return album.Created{}, fmt.Errorf("%w: cut", context.Canceled)
					}
				}}, 100, 1000)
				c.Concurrency = 4
				s, err := Run(ctx, c)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("Run = %v, want the end of ctx", err)
				}
				if s.Created != tt.created || s.Unknown != tt.unknown || s.Failed != 0 || s.Resume != tt.resume {
					t.Errorf("%+v, want %d created, %d unknown, none failed, to go on at %d", s, tt.created, tt.unknown, tt.resume)
				}
				if s.Elapsed != tt.ends {
					t.Errorf("Run ended after %s, want %s", s.Elapsed, tt.ends)
				}
			})
		})
	}
}

// An error of Items stops sending, but not requests in flight.
func TestRunInputError(t *testing.T) {
	t.Parallel()
	bad := errors.New("line 26")
	for batch, created := range map[int]int{1: 25, 10: 20} {
		c := config(fake{create: func(context.Context, album.Write) (album.Created, error) { return album.Created{}, nil }}, 0, 0)
		c.Items, c.Batch = func(yield func(Item, error) bool) {
			for item := range items(0, 25) {
				if !yield(item, nil) {
					return
				}
			}
			yield(Item{Number: 25}, bad)
		}, batch
		s, err := Run(t.Context(), c)
		var input *InputError
		if !errors.As(err, &input) || !errors.Is(err, bad) || s.Created != created || s.Resume != uint64(created) {
			t.Errorf("batches of %d: Run = %+v, %v, want %d created", batch, s, err, created)
		}
	}
}

func TestRunProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []string
		c := config(fake{create: func(context.Context, album.Write) (album.Created, error) {
			time.Sleep(350 * time.Millisecond)
			return album.Created{Replayed: true}, nil
		}}, 0, 10)
		c.Tick = time.Second
		c.Progress = func(s Summary) { got = append(got, fmt.Sprint(s.There, s.Elapsed)) }
		_, err := Run(t.Context(), c)
		if want := []string{"2 1s", "5 2s", "8 3s"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("progress %q, %v, want %q", got, err, want)
		}
	})
}

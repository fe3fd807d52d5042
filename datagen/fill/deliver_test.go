package fill

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/fakealbum"
)

// Retryable requests are retried until they succeed or the patience ends.
func TestRetries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		err             func(call int) error
		n               uint64
		created, failed int
		retried         int // about
		gaveUp          bool
		least, most     time.Duration
	}{
		{"nobody there", func(int) error {
			return fmt.Errorf("%w: %w", album.ErrUnavailable, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
		}, 10, 0, 1, 5, true, firstPatience, firstPatience + longWait},
		{"something else there", func(int) error { return fmt.Errorf("%w: %w", album.ErrUnavailable, albumapi.ErrForeign) }, 10, 0, 1, 5, true, firstPatience, firstPatience + longWait},
		{"no answer", func(int) error { return album.ErrTimeout }, 10, 0, 1, 20, true, 30 * time.Second, 32 * time.Second},
		{"the store is unavailable", func(int) error { return album.ErrNotReady }, 10, 0, 1, 20, true, 30 * time.Second, 32 * time.Second},
		{"gone for ever", func(call int) error {
			if call <= 5 {
				return nil
			}
			return album.ErrUnavailable
		}, 10, 5, 1, 20, true, 30 * time.Second, 32 * time.Second},
		{"gone for a while", func(call int) error {
			if call > 5 && call < 15 {
				return album.ErrUnavailable
			}
			return nil
		}, 10, 10, 0, 9, false, 5 * time.Second, 20 * time.Second},
		{"told when", func(call int) error {
			if call == 2 {
				return laterError(7 * time.Second)
			}
			return nil
		}, 2, 2, 0, 1, false, 7 * time.Second, 7*time.Second + firstWait},
		{"told too late", func(call int) error {
			if call == 2 {
				return laterError(time.Minute)
			}
			return nil
		}, 3, 1, 1, 0, true, 0, 0},
		{"full", func(call int) error {
			if call == 3 {
				return album.ErrFull
			}
			return nil
		}, 10, 2, 1, 0, true, 0, 0},
		{"refused", func(call int) error {
			if call == 2 {
				return album.ErrExists
			}
			return nil
		}, 3, 2, 1, 0, false, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, calls := failing(tt.err)
				got, err := Run(t.Context(), config(s, 0, tt.n))
				if errors.Is(err, ErrAborted) != tt.gaveUp || !tt.gaveUp && err != nil {
					t.Errorf("Run = %v, want ErrAborted: %v", err, tt.gaveUp)
				}
				if got.Created != tt.created || got.Failed != tt.failed || got.Undone != (tt.failed > 0) {
					t.Errorf("%+v, want %d created, %d failed", got, tt.created, tt.failed)
				}
				if got.Retried < tt.retried/2 || got.Retried > 2*tt.retried || got.Retried+tt.created+tt.failed != int(calls.Load()) {
					t.Errorf("%d retried, %d calls, want about %d", got.Retried, calls.Load(), tt.retried)
				}
				if got.Elapsed < tt.least || got.Elapsed > tt.most {
					t.Errorf("it took %s, want %s to %s", got.Elapsed, tt.least, tt.most)
				}
			})
		})
	}
}

// The run aborts if the service rejects every request.
func TestConsecutiveFailures(t *testing.T) {
	t.Parallel()
	s, calls := failing(func(int) error { return album.ErrKeyReused })
	got, err := Run(t.Context(), config(s, 0, 100_000))
	if !errors.Is(err, ErrAborted) || !errors.Is(err, album.ErrKeyReused) || calls.Load() != maxRejections || got.Failed != maxRejections || got.Retryable != 0 {
		t.Errorf("Run = %+v, %v after %d calls", got, err, calls.Load())
	}
}

// Conflicts of ids do not abort the run, however many there are.
func TestTakenIDs(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 2000} {
		const taken, free = maxRejections + 1, 10
		store := album.NewMemory()
		c := config(fake{Service: store, create: store.Create}, 0, taken+free)
		c.Batch = batch
		c.Items = func(yield func(Item, error) bool) {
			for i := range uint64(taken + free) {
				a := fakealbum.New(7, i)
				if a.ID = int64(i) + 1; i < taken {
					other := a
					other.Title += ", another"
					if _, err := store.Create(t.Context(), album.Write{Albums: []album.Album{other}}); err != nil {
						t.Error(err)
					}
				}
				if !yield(Item{Number: i, Album: a}, nil) {
					return
				}
			}
		}
		got, err := Run(t.Context(), c)
		if err != nil || got.Created != free || got.Failed != taken || !got.Undone || got.Resume != 0 {
			t.Errorf("batch %d: Run = %+v, %v, want %d created and %d failed", batch, got, err, free, taken)
		}
	}
}

// Patience is for what was tried: waiting for the rate is not trouble.
func TestPatienceWithRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := failing(func(call int) error {
			if call == 3 {
				return laterError(0)
			}
			return nil
		})
		c := config(s, 0, 60)
		c.Batch, c.Rate, c.Patience = 10, 2, 3*time.Second
		if got, err := Run(t.Context(), c); err != nil || got.Created != 60 || got.Retried != 1 {
			t.Errorf("Run = %+v, %v", got, err)
		}
	})
}

// One album that always fails stops nothing else.
func TestOneFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := config(fake{create: func(_ context.Context, w album.Write) (album.Created, error) {
			time.Sleep(time.Second)
			if w.Key == "key-3" {
				return album.Created{}, album.ErrNotReady
			}
			return album.Created{}, nil
		}}, 0, 200)
		c.Concurrency = 2
		s, err := Run(t.Context(), c)
		if err != nil || s.Created != 199 || s.Failed != 1 || !s.Undone || s.Resume != 3 {
			t.Errorf("Run = %+v, %v, want all but album 3", s, err)
		}
	})
}

func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := failing(func(int) error { return nil })
		c := config(s, 0, 101)
		c.Rate, c.Concurrency = 10, 8
		if got, err := Run(t.Context(), c); err != nil || got.Elapsed != 10*time.Second {
			t.Errorf("101 albums at 10 a second took %s, %v", got.Elapsed, err)
		}
		c = config(s, 0, 1000)
		c.Rate, c.Batch = 10, 100
		if got, err := Run(t.Context(), c); err != nil || got.Elapsed != 90*time.Second {
			t.Errorf("10 batches of 100 albums at 10 a second took %s, %v", got.Elapsed, err)
		}
	})
}

// Invalid items are sent one by one, and must be rejected as expected.
func TestBroken(t *testing.T) {
	t.Parallel()
	b := fakealbum.Broken{What: "no price", Status: 400, Field: "price"}
	problem := func(fields ...string) (p albumapi.Problem) {
		for _, f := range fields {
			p.Errors = append(p.Errors, album.FieldError{Field: f})
		}
		return p
	}
	for _, tt := range []struct {
		status int
		p      albumapi.Problem
		want   string
	}{
		{400, problem("title", "price"), ""},
		{201, problem(), "no price got status 201, want 400"},
		{400, problem("title"), `the response to no price does not name the field "price"`},
	} {
		c := config(fake{
			create: func(_ context.Context, w album.Write) (album.Created, error) { return album.Created{}, nil },
			try:    func() (int, albumapi.Problem, error) { return tt.status, tt.p, nil },
		}, 0, 0)
		c.Batch = 10
		c.Items = func(yield func(Item, error) bool) {
			for item := range items(0, 100) {
				if item.Number%7 == 3 {
					item.Broken = &b
				}
				if !yield(item, nil) {
					return
				}
			}
		}
		s, err := Run(t.Context(), c)
		if err != nil || s.Created != 86 || s.Rejected+s.Failed != 14 || (s.Failed == 0) != (tt.want == "") {
			t.Errorf("Run = %+v, %v", s, err)
		}
		if tt.want != "" && (len(s.Errors) != 1 || s.Errors[0].Message != tt.want) {
			t.Errorf("errors %v, want %q", s.Errors, tt.want)
		}
	}
}

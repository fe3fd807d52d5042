// Package fill creates made-up albums in an album service.
package fill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

// Config says what to create.
type Config struct {
	Service     album.Service // whose spans come from a Noted provider, for Summary's trace ids
	N           int           // albums, at least 1
	Seed        uint64        // see fakealbum.Catalogue
	Unicode     float64       // the same
	From        uint64        // the first album's number
	Concurrency int           // calls at a time
	// Progress, if not nil, is called every second while albums are left to begin.
	Progress func(created, failed int, elapsed time.Duration)
}

const (
	// giveUpAfter is how many calls in a row may find nobody there: the others
	// would not either.
	giveUpAfter = 20
	// grace is how long calls in flight may take when ctx ends. Cut off, they
	// leave it open whether their albums exist.
	grace = time.Second
)

// ErrGaveUp means that the service did not answer, so that Run stopped.
var ErrGaveUp = errors.New("gave up")

// Run creates the albums. It stops early if ctx ends, or with ErrGaveUp.
func Run(ctx context.Context, c Config) (*Summary, error) {
	feed, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	calls, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(feed, func() { time.AfterFunc(grace, cut) })()

	f := &filler{summary: &Summary{N: c.N}, stop: stop}
	begun := time.Now()
	indexes := make(chan int)
	var wg sync.WaitGroup
	for range min(c.Concurrency, c.N) {
		wg.Go(func() {
			for i := range indexes {
				var n note
				_, err := c.Service.Create(n.in(calls), album.One(fakealbum.Catalogue{Seed: c.Seed, Unicode: c.Unicode}.Album(c.From+uint64(i))))
				f.done(err, n.traceID, calls.Err() != nil)
			}
		})
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := 0; i < c.N && feed.Err() == nil; {
		select {
		case indexes <- i:
			i++
		case <-tick.C:
			if c.Progress != nil {
				created, failed := f.counts()
				c.Progress(created, failed, time.Since(begun))
			}
		case <-feed.Done():
		}
	}
	close(indexes)
	wg.Wait()
	f.summary.Elapsed = time.Since(begun)
	if f.summary.Created == c.N {
		return f.summary, nil // ctx may have ended just after the last one
	}
	return f.summary, context.Cause(feed)
}

// filler collects what came of the calls.
type filler struct {
	stop context.CancelCauseFunc

	mu      sync.Mutex // for what follows
	summary *Summary
	absent  int // calls in a row that found nobody there
}

func (f *filler) done(err error, traceID string, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.summary.Created++
		f.absent = 0
	case cut && errors.Is(err, context.Canceled):
		f.summary.Unknown++
	default:
		f.summary.fail(err, traceID)
		if !errors.Is(err, album.ErrUnavailable) && !errors.Is(err, album.ErrTimeout) {
			f.absent = 0
		} else if f.absent++; f.absent == min(giveUpAfter, f.summary.N) {
			f.stop(fmt.Errorf("%w after %d calls in a row: %w", ErrGaveUp, f.absent, err))
		}
	}
}

func (f *filler) counts() (created, failed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.summary.Created, f.summary.Failed
}

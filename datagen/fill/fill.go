// Package fill creates made-up albums in an album service.
package fill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

// Config says what to create.
type Config struct {
	Service     album.Service
	N           int    // albums 0 to N-1 of Seed
	Seed        uint64 // see fakealbum.New
	Concurrency int    // calls at a time
	Tracer      trace.Tracer
	// Progress is called about once a second.
	Progress func(created, failed int, elapsed time.Duration)
}

// Summary is what came of it.
type Summary struct {
	N       int
	Created int
	Failed  int // refused, or nobody knows whether they were created
	Elapsed time.Duration
	Errors  []Failure // the different ones, at most maxErrors
}

// Failure is one kind of failure, with the first trace that had it.
type Failure struct {
	Message string
	Count   int
	TraceID string
}

const (
	maxErrors = 5
	// giveUpAfter is how many calls in a row may find nobody there: the others
	// would not either.
	giveUpAfter = 50
)

// ErrUnreachable means that the service was not there, so that Run gave up.
var ErrUnreachable = errors.New("the album service cannot be reached")

// Run creates the albums. It returns early if ctx ends, or with ErrUnreachable.
func Run(ctx context.Context, c Config) (*Summary, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begun := time.Now()
	s := &Summary{N: c.N}
	var (
		mu       sync.Mutex
		absent   int // in a row
		reported = begun
		wg       sync.WaitGroup
		indexes  = make(chan int)
	)
	done := func(err error, traceID string) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			s.Created++
			absent = 0
		case ctx.Err() != nil && errors.Is(err, context.Canceled):
			return // cut off: neither
		default:
			s.fail(err, traceID)
			if !errors.Is(err, album.ErrUnavailable) {
				absent = 0
			} else if absent++; absent == giveUpAfter {
				cancel(fmt.Errorf("%w: %w", ErrUnreachable, err))
			}
		}
		if c.Progress != nil && time.Since(reported) >= time.Second {
			reported = time.Now()
			c.Progress(s.Created, s.Failed, time.Since(begun))
		}
	}
	for range c.Concurrency {
		wg.Go(func() {
			for i := range indexes {
				err, traceID := create(ctx, c, i)
				done(err, traceID)
			}
		})
	}
feed:
	for i := range c.N {
		select {
		case indexes <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(indexes)
	wg.Wait()
	s.Elapsed = time.Since(begun)
	if errors.Is(context.Cause(ctx), ErrUnreachable) {
		return s, context.Cause(ctx)
	}
	return s, ctx.Err()
}

// create creates album i in a trace of its own.
func create(ctx context.Context, c Config, i int) (error, string) {
	ctx, span := c.Tracer.Start(ctx, "datagen.create", trace.WithNewRoot())
	defer span.End()
	_, err := c.Service.Create(ctx, fakealbum.New(c.Seed, uint64(i)))
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err, span.SpanContext().TraceID().String()
}

func (s *Summary) fail(err error, traceID string) {
	s.Failed++
	message := kind(err)
	for i := range s.Errors {
		if s.Errors[i].Message == message {
			s.Errors[i].Count++
			return
		}
	}
	if len(s.Errors) < maxErrors {
		s.Errors = append(s.Errors, Failure{message, 1, traceID})
	}
}

// kind is the text of an error without what differs from one call to the next.
func kind(err error) string {
	for _, e := range []error{album.ErrUnavailable, album.ErrTimeout, album.ErrExists} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return err.Error()
}

// Write writes the summary as text.
func (s *Summary) Write(w io.Writer) error {
	rate := float64(s.Created) / max(s.Elapsed, time.Microsecond).Seconds()
	_, err := fmt.Fprintf(w, "created  %d of %d albums in %.1f s, %.0f/s\nfailed   %d\n", s.Created, s.N, s.Elapsed.Seconds(), rate, s.Failed)
	for _, f := range s.Errors {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %d × %s, as in trace %s\n", f.Count, f.Message, f.TraceID)
		}
	}
	return err
}

// Package fill creates albums in an album service, each of them once.
package fill

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/fakealbum"
)

// Item is an album to create, or an invalid one that must be rejected.
type Item struct {
	Number uint64 // consecutive, except for skipped lines
	Album  album.Album
	Broken *fakealbum.Broken // sent instead, on its own
}

// Service is what Run needs of an album service. albumapi.Client is one.
type Service interface {
	album.Service
	Try(ctx context.Context, contentType string, body []byte) (status int, p albumapi.Problem, err error)
}

// Config configures a run.
type Config struct {
	Service Service // whose spans come from a Noted provider, for Summary's trace ids
	// Items are in the order of their numbers. An error is the last.
	Items iter.Seq2[Item, error]
	First uint64 // number of the first item
	N     int    // items; 0: unknown
	// Batch is the number of albums per request: those whose numbers divided by it are the
	// same, so a run with another -from sends the same requests. With 1 each album
	// has its own request.
	Batch       int
	Async       bool       // asynchronous operations, polled until they end
	Concurrency int        // max requests in flight
	Rate        rate.Limit // max albums per second
	// Patience is how long a request is retried, and the service waited for.
	Patience time.Duration
	// Key returns the idempotency key of a request by its first item.
	Key func(first Item) string
	// Progress, if not nil, is called every Tick with a snapshot.
	Progress func(s Summary)
	Tick     time.Duration
}

const (
	// grace is how long requests in flight may take when ctx ends. If they are cancelled,
	// it is unknown whether their albums exist.
	grace = time.Second
	// firstPatience is the patience until the first response of an album service.
	firstPatience = 3 * time.Second
	// maxRejections is how many consecutive requests may fail permanently: the others would, too.
	maxRejections = 1000
)

// ErrAborted means that Run stopped because the service was unavailable or rejected every
// request.
var ErrAborted = errors.New("aborted")

// InputError is an error of Items.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns the error that came.
func (e *InputError) Unwrap() error { return e.Err }

// Run creates the albums. It stops early if ctx ends, with ErrAborted, or with an
// *InputError.
func Run(ctx context.Context, c Config) (Summary, error) {
	feed, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	calls, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(feed, func() { time.AfterFunc(grace, cut) })()

	r := &runner{Config: c, feed: feed, stop: stop, calls: calls, limit: rate.NewLimiter(c.Rate, c.Batch),
		summary: Summary{N: c.N}, begun: time.Now()}
	r.succeeded = r.begun
	requests := make(chan request)
	var wg sync.WaitGroup
	for range c.Concurrency {
		wg.Go(func() {
			for q := range requests {
				r.deliver(q)
			}
		})
	}
	var shown sync.WaitGroup
	shown.Go(r.show)
	inputErr := r.send(requests)
	close(requests)
	wg.Wait()
	stop(errEnded)
	shown.Wait()
	s := r.snapshot()
	if cause := context.Cause(feed); !errors.Is(cause, errEnded) && s.Undone {
		return s, cause
	}
	return s, inputErr // ctx may have ended just after the last one
}

var errEnded = errors.New("everything was sent")

// request is sent, and retried, until it succeeds or fails permanently.
type request struct {
	write  album.Write
	key    string            // initial key of the write
	broken *fakealbum.Broken // sent instead of write
	first  uint64            // number of its first item
}

func (q request) albums() int { return max(1, len(q.write.Albums)) }

// runner sends requests and collects their outcomes.
type runner struct {
	Config
	feed  context.Context // ends when no more is to be sent
	stop  context.CancelCauseFunc
	calls context.Context // of requests in flight
	limit *rate.Limiter
	begun time.Time

	mu         sync.Mutex // for what follows
	summary    Summary
	met        bool      // a response came from an album service
	succeeded  time.Time // when a request last succeeded
	troubled   time.Time // start of the first failed attempt since then; zero: none
	rejections int       // consecutive requests that failed permanently
	trouble    string    // why the run makes no progress now
}

// send makes requests of the items, in order.
func (r *runner) send(requests chan<- request) error {
	var next []album.Album
	var first Item
	hand := func(q request) bool {
		select {
		case requests <- q:
			return true
		case <-r.feed.Done():
			r.undone(q.first)
			return false
		}
	}
	flush := func() bool {
		if len(next) == 0 {
			return true
		}
		key := r.Key(first)
		q := request{write: album.Write{Albums: next, Batch: r.Batch > 1, Key: key}, key: key, first: first.Number}
		next = nil
		return hand(q)
	}
	left := func(number uint64) {
		r.undone(number)
		if len(next) > 0 {
			r.undone(first.Number)
		}
	}
	size := uint64(r.Batch)
	expect := r.First // number of the next item, as far as is known
	items := r.pull()
	for {
		var p pulled
		var more bool
		select {
		case p, more = <-items:
		case <-r.feed.Done():
			left(expect)
			return nil
		}
		item := p.Item
		switch {
		case !more:
			flush()
			return nil
		case p.err != nil:
			// Those before it in a batch are not sent either: it would be another one.
			left(item.Number)
			return &InputError{p.err}
		case len(next) > 0 && item.Number/size != first.Number/size && !flush():
			return nil
		}
		expect = item.Number + 1
		if item.Broken != nil {
			if !hand(request{broken: item.Broken, first: item.Number}) {
				left(item.Number)
				return nil
			}
			continue
		}
		if len(next) == 0 {
			first = item
			next = make([]album.Album, 0, size)
		}
		if next = append(next, item.Album); len(next) == r.Batch && !flush() {
			return nil
		}
	}
}

type pulled struct {
	Item
	err error
}

// pull reads the items in a goroutine: a read can block for ever, as from a pipe that
// has no writer.
func (r *runner) pull() <-chan pulled {
	items := make(chan pulled, 64)
	go func() {
		defer close(items)
		for item, err := range r.Items {
			select {
			case items <- pulled{item, err}:
			case <-r.feed.Done():
				return
			}
		}
	}()
	return items
}

// show reports progress.
func (r *runner) show() {
	if r.Progress == nil {
		return
	}
	tick := time.NewTicker(r.Tick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.Progress(r.snapshot())
		case <-r.feed.Done():
			return
		}
	}
}

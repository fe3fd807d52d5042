package fill

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
)

// What follows keeps the books of a run.

func (r *runner) snapshot() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.summary
	s.Elapsed = time.Since(r.begun)
	s.Trouble = r.trouble
	s.Errors = slices.Clone(s.Errors)
	return s
}

// undone notes that an item, and perhaps those after it, were not sent or not created.
func (r *runner) undone(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.undone(number)
}

func (r *runner) retried() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.Retried++
}

// say notes why it does not go on now.
func (r *runner) say(trouble string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = trouble
}

// impatient reports whether a request that was first tried at first, and whose last try
// began at began and failed, is to be tried no more. If all was in vain for so long, it
// stops everything. Time in which nothing was tried, because of the rate, does not count.
func (r *runner) impatient(first, began time.Time, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.troubled.IsZero() {
		if r.troubled = began; began.Before(r.answered) {
			r.troubled = r.answered
		}
	}
	patience := r.Patience
	if r.met = r.met || !nobody(err); !r.met {
		patience = min(patience, firstPatience)
	}
	if idle := time.Since(r.troubled); idle >= patience {
		r.stop(fmt.Errorf("%w after %s without an album: %w", ErrAborted, idle.Round(100*time.Millisecond), err))
	}
	return time.Since(first) >= patience
}

// nobody reports whether there may be no album service at all at an address.
func nobody(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, albumhttp.ErrForeign)
}

// served notes that the service is there and did what it should.
func (r *runner) served() {
	r.answered, r.troubled, r.met, r.inVain, r.trouble = time.Now(), time.Time{}, true, 0, ""
}

// done notes what came of a request.
func (r *runner) done(q request, o outcome, err error, traceID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, n := &r.summary, q.albums()
	switch o {
	case created:
		s.Created += n
	case there:
		s.There += n
	case refused:
		s.Rejected += n
	case failed:
		s.fail(err, n, traceID)
	case unknown:
		s.Unknown += n
	}
	if o == created || o == there || o == refused {
		r.served()
		return
	}
	s.undone(q.first)
	switch {
	case o != failed || later(err):
		return
	case errors.Is(err, album.ErrExists) && q.idConflict(err):
		// It is about the album's own id: the next albums may have others.
		r.served()
		return
	}
	r.met = true
	switch r.inVain++; {
	case errors.Is(err, album.ErrFull):
		r.stop(fmt.Errorf("%w: %w", ErrAborted, err))
	case r.inVain == maxInVain:
		r.stop(fmt.Errorf("%w after %d requests in a row that failed: %w", ErrAborted, r.inVain, err))
	}
}

package fill

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
)

// Bookkeeping of a run.

func (r *runner) snapshot() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.summary
	s.Elapsed = time.Since(r.begun)
	s.Trouble = r.trouble
	s.Errors = slices.Clone(s.Errors)
	return s
}

// undone records that an item, and maybe later ones, were not sent or not created.
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

// waiting records why the run makes no progress now.
func (r *runner) waiting(trouble string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = trouble
}

// impatient reports whether to stop retrying a request. Its first attempt was at first, its
// last one started at began and failed. If no request has succeeded for -patience, it aborts
// the run. Time without attempts, because of the rate limit, does not count.
func (r *runner) impatient(first, began time.Time, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.troubled.IsZero() {
		if r.troubled = began; began.Before(r.succeeded) {
			r.troubled = r.succeeded
		}
	}
	patience := r.Patience
	if r.met = r.met || !noService(err); !r.met {
		patience = min(patience, firstPatience)
	}
	if idle := time.Since(r.troubled); idle >= patience {
		r.stop(fmt.Errorf("%w after %s without an album created: %w", ErrAborted, idle.Round(100*time.Millisecond), err))
	}
	return time.Since(first) >= patience
}

// noService reports whether there may be no album service at the URL.
func noService(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, albumapi.ErrForeign)
}

// served records that the service is up and works.
func (r *runner) served() {
	r.succeeded, r.troubled, r.met, r.rejections, r.trouble = time.Now(), time.Time{}, true, 0, ""
}

// done records the outcome of a request.
func (r *runner) done(q request, o outcome, err error, traceID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, n := &r.summary, q.albums()
	switch o {
	case created:
		s.Created += n
	case there:
		s.There += n
	case rejected:
		s.Rejected += n
	case failed:
		s.fail(err, n, traceID)
	case unknown:
		s.Unknown += n
	}
	if o == created || o == there || o == rejected {
		r.served()
		return
	}
	s.undone(q.first)
	switch {
	case o != failed || retryable(err):
		return
	case errors.Is(err, album.ErrExists) && q.idConflict(err):
		// A conflict of this album's id only: other albums may succeed.
		r.served()
		return
	}
	r.met = true
	switch r.rejections++; {
	case errors.Is(err, album.ErrFull):
		r.stop(fmt.Errorf("%w: %w", ErrAborted, err))
	case r.rejections == maxRejections:
		r.stop(fmt.Errorf("%w after %d consecutive failed requests: %w", ErrAborted, r.rejections, err))
	}
}

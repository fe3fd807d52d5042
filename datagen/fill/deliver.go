package fill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"soundcheck/internal/album"
)

// Waits before a request is sent again, where the service does not say how long, and
// before a service is asked again how far an operation is.
const (
	firstWait  = 50 * time.Millisecond
	longWait   = 2 * time.Second
	firstCheck = 10 * time.Millisecond
	longCheck  = time.Second
)

// outcome is what came of a request.
type outcome int

const (
	created outcome = iota
	there           // it had been created before
	refused         // a broken one, as it must be
	failed
	unknown // cut off: it may have been created
	unsent  // it was certainly not created, and no longer tried
)

// deliver sends a request until it is answered for good.
func (r *runner) deliver(q request) {
	begun := time.Now()
	ours := false // an operation of this run is about it
	for try := 0; ; try++ {
		if r.limit.WaitN(r.feed, q.albums()) != nil {
			r.done(q, unsent, nil, "")
			return
		}
		if try > 0 {
			r.mu.Lock()
			r.summary.Retried++
			r.mu.Unlock()
		}
		var n note
		o, err := r.once(n.in(r.calls), q, &ours)
		switch {
		case err == nil:
		case r.calls.Err() != nil && errors.Is(err, context.Canceled):
			o = unknown
		case !later(err):
			o = failed
		case r.impatient(begun, err):
			o = failed
		default:
			r.say(kind(err))
			wait, told := pause(err, try)
			if told && wait > r.Patience {
				r.done(q, failed, fmt.Errorf("%w: to come again after %s is longer than there is patience for", err, wait), n.traceID)
				return
			}
			select {
			case <-time.After(wait):
				continue
			case <-r.feed.Done():
			}
			o = unsent
			if open(err) {
				o = unknown
			}
			if errors.Is(context.Cause(r.feed), ErrGaveUp) {
				o = failed
			}
		}
		r.done(q, o, err, n.traceID)
		return
	}
}

// later reports whether a request is worth to be sent again.
func later(err error) bool {
	return album.Later(err) || errors.Is(err, album.ErrNoOperation)
}

// open reports whether the albums may have been created though the call failed.
func open(err error) bool {
	return errors.Is(err, album.ErrUnavailable) || errors.Is(err, album.ErrTimeout) || errors.Is(err, album.ErrKeyRunning)
}

// pause returns how long to wait before another try: a little longer than the service
// asks for, or twice as long each time; by chance, so that not all come back at once.
func pause(err error, try int) (wait time.Duration, told bool) {
	var later interface{ RetryAfter() time.Duration }
	if told = errors.As(err, &later); told {
		wait = later.RetryAfter()
	}
	return wait + time.Duration((0.5+rand.Float64()/2)*float64(min(firstWait<<min(try, 16), longWait))), told
}

// once sends a request once. It notes in ours that the service has promised to this run
// that it will be done.
func (r *runner) once(ctx context.Context, q request, ours *bool) (outcome, error) {
	switch {
	case q.broken != nil:
		return r.try(ctx, q)
	case r.Async:
		op, replayed, err := r.Service.Submit(ctx, q.write)
		if err != nil {
			return 0, err
		}
		*ours = *ours || !replayed
		if err := r.follow(ctx, op); err != nil || *ours {
			return created, err
		}
		return there, nil
	}
	c, err := r.Service.Create(ctx, q.write)
	if err == nil && c.Replayed {
		return there, nil
	}
	return created, err
}

// try sends what must be refused.
func (r *runner) try(ctx context.Context, q request) (outcome, error) {
	b := q.broken
	status, p, err := r.Service.Try(ctx, b.ContentType, b.Body)
	if err != nil {
		return 0, err
	}
	if status != b.Status {
		return 0, fmt.Errorf("%s was answered %d, not %d", b.What, status, b.Status)
	}
	named := b.Field == ""
	for _, f := range p.Errors {
		named = named || f.Field == b.Field
	}
	if !named {
		return 0, fmt.Errorf("%s was answered without the field %q", b.What, b.Field)
	}
	return refused, nil
}

// follow asks for an operation until it ends.
func (r *runner) follow(ctx context.Context, op album.Operation) (err error) {
	begun := time.Now()
	for check := firstCheck; ; check = min(2*check, longCheck) {
		switch {
		case op.Status == album.Succeeded:
			return nil
		case op.Status == album.Failed && op.Err != nil:
			// The key is answered so from now on, whatever it was: %v, for it ends here.
			return fmt.Errorf("an operation failed: %v", op.Err)
		case op.Status == album.Failed:
			return errors.New("an operation failed")
		case r.impatient(begun, fmt.Errorf("%w: an operation is still %s", album.ErrNotReady, op.Status)):
			return fmt.Errorf("an operation is still %s: it may yet create the albums", op.Status)
		}
		select {
		case <-time.After(check):
		case <-ctx.Done():
			return ctx.Err()
		}
		if op, err = r.Service.Operation(ctx, op.ID); err != nil {
			return err
		}
	}
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
	switch o {
	case created, there, refused:
		r.answered, r.met, r.trouble = time.Now(), true, ""
		return
	case failed:
		if !later(err) { // it was answered
			r.answered, r.met = time.Now(), true
		}
	}
	s.undone(q.first)
}

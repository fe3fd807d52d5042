package fill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
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
	unknown // no longer tried, and perhaps created
	unsent  // no longer tried, and certainly not created
)

// deliver sends a request until it is answered for good.
func (r *runner) deliver(q request) {
	var first time.Time // when it was first tried
	var last error      // of the try before
	var n note
	ours := false // an operation of this run is about it
	for try := 0; ; try++ {
		if r.limit.WaitN(r.feed, q.albums()) != nil {
			r.leave(q, last, n.traceID)
			return
		}
		began := time.Now()
		if try == 0 {
			first = began
		} else {
			r.retried()
		}
		o, err := r.once(n.in(r.calls), &q, &ours)
		if q.idConflict(err) {
			if len(q.write.Albums) > 1 {
				r.splitBatch(q)
				return
			}
			o, err = r.compareExisting(n.in(r.calls), q.write.Albums[0], err)
		}
		switch {
		case err == nil:
			r.done(q, o, nil, "")
			return
		case r.calls.Err() != nil && errors.Is(err, context.Canceled):
			r.done(q, unknown, nil, "")
			return
		case !later(err) || r.impatient(first, began, err):
			r.done(q, failed, err, n.traceID)
			return
		}
		last = err
		r.say(kind(err))
		wait, told := pause(err, try)
		if told > r.Patience {
			err = fmt.Errorf("%w: to come again after %s is longer than there is patience for", err, told)
			r.stop(fmt.Errorf("%w: %w", ErrAborted, err))
			r.done(q, failed, err, n.traceID)
			return
		}
		select {
		case <-time.After(wait):
		case <-r.feed.Done():
		}
	}
}

// idConflict reports whether a request was rejected because of the ids in its albums: an id
// is taken, is in the batch twice, or was sent by an earlier run in another batch.
func (q request) idConflict(err error) bool {
	albums, ids := q.write.Albums, 0
	for _, a := range albums {
		if a.ID != 0 {
			ids++
		}
	}
	var invalid *album.InvalidError
	switch {
	case errors.Is(err, album.ErrExists):
		return ids > 0
	case errors.Is(err, album.ErrKeyReused):
		return ids > 0 && ids == len(albums)
	}
	return ids > 0 && len(albums) > 1 && errors.As(err, &invalid)
}

// splitBatch sends the albums of a rejected batch one by one: the service creates a batch as
// a whole or not at all, and one conflict must not cost the others.
func (r *runner) splitBatch(q request) {
	for i, a := range q.write.Albums {
		key := q.key + "-of-batch-" + strconv.Itoa(i)
		r.deliver(request{write: album.Write{Albums: []album.Album{a}, Key: key}, key: key, first: q.first})
	}
}

// compareExisting reads the album that has the id of want. If it is equal, want is already
// there: an earlier run created it and its key has expired, or it was exported from there.
func (r *runner) compareExisting(ctx context.Context, want album.Album, conflict error) (outcome, error) {
	got, err := r.Service.Get(ctx, want.ID)
	got.CreatedAt, want.CreatedAt = time.Time{}, time.Time{}
	switch {
	case err != nil && later(err):
		return failed, err
	case err != nil || got != want:
		return failed, conflict
	}
	return there, nil
}

// leave notes a request that is no longer tried, because the run ends.
func (r *runner) leave(q request, last error, traceID string) {
	switch {
	case last != nil && errors.Is(context.Cause(r.feed), ErrAborted):
		r.done(q, failed, last, traceID)
	case open(last):
		r.done(q, unknown, nil, "")
	default:
		r.done(q, unsent, nil, "")
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
// told, if it did, or twice as long each time; by chance, so that not all come back at once.
func pause(err error, try int) (wait, told time.Duration) {
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		told = later.RetryAfter()
	}
	return told + time.Duration((0.5+rand.Float64()/2)*float64(min(firstWait<<min(try, 16), longWait))), told
}

// once sends a request once. It notes in ours that the service has promised to this run
// that it will be done.
func (r *runner) once(ctx context.Context, q *request, ours *bool) (outcome, error) {
	switch {
	case q.broken != nil:
		return r.try(ctx, q)
	case r.Async:
		return r.submit(ctx, q, ours)
	}
	c, err := r.Service.Create(ctx, q.write)
	if err == nil && c.Replayed {
		return there, nil
	}
	return created, err
}

// submit has a request done later, and waits until it is. What an earlier run's operation
// has failed with is the answer to its key from then on; that one created nothing, so it is
// asked for with another key.
func (r *runner) submit(ctx context.Context, q *request, ours *bool) (outcome, error) {
	op, replayed, err := r.Service.Submit(ctx, q.write)
	for n := 2; err == nil && replayed && !*ours && op.Status == album.Failed; n++ {
		q.write.Key = q.key + "-" + strconv.Itoa(n)
		op, replayed, err = r.Service.Submit(ctx, q.write)
	}
	if err != nil {
		return 0, err
	}
	*ours = *ours || !replayed
	if err := r.follow(ctx, op); err != nil || *ours {
		return created, err
	}
	return there, nil
}

// try sends what must be refused.
func (r *runner) try(ctx context.Context, q *request) (outcome, error) {
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
	began := time.Now()
	for check := firstCheck; ; check = min(2*check, longCheck) {
		switch {
		case op.Status == album.Succeeded:
			return nil
		case op.Status == album.Failed:
			if errors.Is(op.Err, album.ErrExists) {
				return fmt.Errorf("an operation failed: %w", op.Err)
			}
			// %v: what is wrong now may be right later, but not for this operation.
			return fmt.Errorf("an operation failed: %v", op.Err)
		case time.Since(began) >= r.Patience:
			return fmt.Errorf("%w: an operation is still %s", album.ErrNotReady, op.Status)
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

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

// Backoff of retries without Retry-After, and the poll interval of asynchronous
// operations.
const (
	firstWait  = 50 * time.Millisecond
	longWait   = 2 * time.Second
	firstCheck = 10 * time.Millisecond
	longCheck  = time.Second
)

// outcome is the outcome of a request.
type outcome int

const (
	created  outcome = iota
	there            // it already existed
	rejected         // an invalid one, as expected
	failed
	unknown // cancelled in flight, may be created
	unsent  // not sent, or certainly not created
)

// deliver sends a request until it succeeds or fails permanently.
func (r *runner) deliver(q request) {
	var first time.Time // of the first attempt
	var last error      // of the previous attempt
	var n note
	ours := false // this run has submitted its operation
	for attempt := 0; ; attempt++ {
		if r.limit.WaitN(r.feed, q.albums()) != nil {
			r.cancelled(q, last, n.traceID)
			return
		}
		began := time.Now()
		if attempt == 0 {
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
		case !retryable(err) || r.impatient(first, began, err):
			r.done(q, failed, err, n.traceID)
			return
		}
		last = err
		r.waiting(kind(err))
		wait, retryAfter := pause(err, attempt)
		if retryAfter > r.Patience {
			err = fmt.Errorf("%w: Retry-After of %s is longer than -patience", err, retryAfter)
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

// idConflict reports whether a request was rejected because of the ids of its albums: an id
// exists, is in the batch twice, or was sent by an earlier run in another batch.
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

// splitBatch sends the albums of a rejected batch one by one: the service creates all albums of
// a batch or none, and one conflict must not affect the others.
func (r *runner) splitBatch(q request) {
	for i, a := range q.write.Albums {
		key := q.key + "-of-batch-" + strconv.Itoa(i)
		r.deliver(request{write: album.Write{Albums: []album.Album{a}, Key: key}, key: key, first: q.first})
	}
}

// compareExisting reads the album with the id of want. If it is equal, want is already
// there: an earlier run created it and its key has expired, or it was exported from this service.
func (r *runner) compareExisting(ctx context.Context, want album.Album, conflict error) (outcome, error) {
	got, err := r.Service.Get(ctx, want.ID)
	got.CreatedAt, want.CreatedAt = time.Time{}, time.Time{}
	switch {
	case err != nil && retryable(err):
		return failed, err
	case err != nil || got != want:
		return failed, conflict
	}
	return there, nil
}

// cancelled records a request that is not retried because the run ends.
func (r *runner) cancelled(q request, last error, traceID string) {
	switch {
	case last != nil && errors.Is(context.Cause(r.feed), ErrAborted):
		r.done(q, failed, last, traceID)
	case mayBeCreated(last):
		r.done(q, unknown, nil, "")
	default:
		r.done(q, unsent, nil, "")
	}
}

// retryable reports whether a request can be retried.
func retryable(err error) bool {
	return album.Later(err) || errors.Is(err, album.ErrNoOperation)
}

// mayBeCreated reports whether the albums may have been created although the call failed.
func mayBeCreated(err error) bool {
	return errors.Is(err, album.ErrUnavailable) || errors.Is(err, album.ErrTimeout) || errors.Is(err, album.ErrKeyRunning)
}

// pause returns the wait before a retry: the service's Retry-After, if any, plus an exponential
// backoff with jitter, so that clients do not retry in step.
func pause(err error, attempt int) (wait, retryAfter time.Duration) {
	var limited interface{ RetryAfter() time.Duration }
	if errors.As(err, &limited) {
		retryAfter = limited.RetryAfter()
	}
	return retryAfter + time.Duration((0.5+rand.Float64()/2)*float64(min(firstWait<<min(attempt, 16), longWait))), retryAfter
}

// once makes one attempt. It sets ours when the service has accepted an operation of
// this run.
func (r *runner) once(ctx context.Context, q *request, ours *bool) (outcome, error) {
	switch {
	case q.broken != nil:
		return r.sendInvalid(ctx, q)
	case r.Async:
		return r.submit(ctx, q, ours)
	}
	c, err := r.Service.Create(ctx, q.write)
	if err == nil && c.Replayed {
		return there, nil
	}
	return created, err
}

// submit submits an asynchronous operation and waits until it ends. If an earlier run's
// operation failed, the service replays that failure for its key. It created nothing, so
// submit uses another key.
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

// sendInvalid sends an invalid album, which must be rejected.
func (r *runner) sendInvalid(ctx context.Context, q *request) (outcome, error) {
	b := q.broken
	status, p, err := r.Service.Try(ctx, b.ContentType, b.Body)
	if err != nil {
		return 0, err
	}
	if status != b.Status {
		return 0, fmt.Errorf("%s got status %d, want %d", b.What, status, b.Status)
	}
	named := b.Field == ""
	for _, f := range p.Errors {
		named = named || f.Field == b.Field
	}
	if !named {
		return 0, fmt.Errorf("the response to %s does not name the field %q", b.What, b.Field)
	}
	return rejected, nil
}

// follow polls an operation until it ends.
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
			// %v: the error of a finished operation is not retryable.
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

package albumhttp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/albumapi"
	"soundcheck/internal/overload"
)

// Request bodies are received before their requests acquire a slot: a slow client holds none. The
// memory for bodies is limited, and is allocated as bytes arrive, not by Content-Length. When it
// is exhausted, the slow client that holds the most memory is shed; without a slow client the
// request waits.
const (
	smallBody     = 4 << 10  // bytes; not counted, since the connection's buffers are as large
	intakeSize    = 32 << 20 // bytes of all bodies in transfer and in the queue
	intakeRate    = 512 << 10
	intakeGrace   = 500 * time.Millisecond // no client counts as slow before
	intakeWait    = 2 * time.Second        // max wait for memory
	intakePoll    = 100 * time.Millisecond // interval of the search for slow clients
	intakeWaiters = 1024                   // max requests that wait for memory
)

// intake manages the memory for bodies.
type intake struct {
	rate    int64 // bytes/s; a slower client can be shed
	grace   time.Duration
	maxWait time.Duration

	mu      sync.Mutex
	free    int64
	bodies  map[*received]struct{} // those that hold memory
	changed chan struct{}          // closed when memory is released
	scanned time.Time              // time of the last search for slow clients
	ending  int                    // shed bodies that still hold memory
	waiters int                    // requests that wait for memory
	blocked int                    // waiters that hold memory
}

func newIntake(size int64) *intake {
	return &intake{rate: intakeRate, grace: intakeGrace, maxWait: intakeWait,
		free: size, bodies: map[*received]struct{}{}, changed: make(chan struct{})}
}

// received is a request body in memory. Once complete, it is the request's Body.
type received struct {
	bytes.Reader
	data []byte
	in   *intake // nil: not counted

	cut   func() // aborts a Read of it
	bytes atomic.Int64

	// under the intake's lock
	begun    time.Time
	held     int64
	waiting  bool // for memory
	complete bool
	shed     bool
}

// Close implements io.Closer: it releases the memory.
func (r *received) Close() error {
	if r.in != nil {
		r.in.release(r)
	}
	return nil
}

// receive reads the body of a request. The error is albumapi.ErrTooLarge, errBody, the
// context's, or an *overload.Shed.
func (h *handler) receive(c *gin.Context) error {
	body, length := c.Request.Body, c.Request.ContentLength
	if body == nil || body == http.NoBody {
		return nil
	}
	most, wanted := h.maxBody, c.Request.Method == http.MethodPost || c.Request.Method == http.MethodPut
	switch {
	case !wanted: // unused, but net/http detects that a client left only after the body is read
		most = smallBody
	case c.FullPath() == batchPath:
		most = h.maxBatch
	}
	if length > most {
		if wanted {
			return albumapi.ErrTooLarge
		}
		return nil
	}
	r := &received{}
	var err error
	if 0 <= length && length <= smallBody {
		r.data = make([]byte, length)
		if _, err = io.ReadFull(body, r.data); err != nil {
			return errBody
		}
	} else {
		control := http.NewResponseController(c.Writer)
		r.in, r.begun = h.intake, time.Now()
		r.cut = func() { _ = control.SetReadDeadline(time.Now()) } // a test recorder has no deadline
		if err := r.readFrom(c.Request.Context(), body, length, most); err != nil {
			r.Close()
			if err == albumapi.ErrTooLarge && !wanted {
				return nil
			}
			return err
		}
	}
	r.Reset(r.data)
	c.Request.Body = r
	return nil
}

// readFrom reads a body of at most most bytes; length is -1 if unknown.
func (r *received) readFrom(ctx context.Context, body io.Reader, length, most int64) error {
	for {
		if len(r.data) == cap(r.data) {
			size := min(max(2*int64(cap(r.data)), smallBody), most+1)
			if length >= 0 {
				size = min(size, length+1)
			}
			if err := r.in.take(ctx, r, size-int64(cap(r.data))); err != nil {
				return err
			}
			r.data = append(make([]byte, 0, size), r.data...)
		}
		n, err := body.Read(r.data[len(r.data):cap(r.data)])
		r.data = r.data[:len(r.data)+n]
		r.bytes.Add(int64(n))
		switch {
		case int64(len(r.data)) > most:
			return albumapi.ErrTooLarge
		case err != nil && !r.in.end(r):
			return &overload.Shed{Reason: overload.QueueFull, After: time.Second}
		case err == io.EOF:
			return nil
		case err != nil:
			return errBody
		}
	}
}

// take allocates n bytes for r, and waits for them if necessary.
func (in *intake) take(ctx context.Context, r *received, n int64) error {
	last := time.Now()
	deadline := last.Add(in.maxWait)
	for {
		in.mu.Lock()
		now := time.Now()
		r.begun, last = r.begun.Add(now.Sub(last)), now // the client is not slow while its request waits
		in.wait(r, false)
		switch {
		case r.shed:
			in.mu.Unlock()
			return &overload.Shed{Reason: overload.QueueFull, After: time.Second}
		case in.free >= n:
			in.free -= n
			r.held += n
			in.bodies[r] = struct{}{}
			in.mu.Unlock()
			return nil
		case now.After(deadline):
			in.mu.Unlock()
			return &overload.Shed{Reason: overload.QueueTimeout, After: time.Second}
		}
		if in.wait(r, true); in.blocked == len(in.bodies) || in.waiters > intakeWaiters {
			in.wait(r, false) // all would wait for each other, or too many wait
			in.mu.Unlock()
			return &overload.Shed{Reason: overload.QueueFull, After: time.Second}
		}
		if in.ending == 0 && now.Sub(in.scanned) >= intakePoll {
			in.scanned = now
			in.shedSlow()
		}
		changed := in.changed
		in.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			in.mu.Lock()
			in.wait(r, false)
			in.mu.Unlock()
			return ctx.Err()
		case <-time.After(intakePoll):
		}
	}
}

// wait records whether r waits for memory. The caller holds mu.
func (in *intake) wait(r *received, waiting bool) {
	if r.waiting == waiting {
		return
	}
	r.waiting = waiting
	n := 1
	if !waiting {
		n = -1
	}
	in.waiters += n
	if r.held > 0 {
		in.blocked += n
	}
}

// shedSlow sheds the slow client that holds the most memory. The caller holds mu.
func (in *intake) shedSlow() {
	var slow *received
	for r := range in.bodies {
		switch elapsed := time.Since(r.begun); {
		case r.waiting || r.complete || elapsed < in.grace || r.bytes.Load() >= int64(elapsed.Seconds()*float64(in.rate)):
		case slow == nil || r.held > slow.held:
			slow = r
		}
	}
	if slow == nil {
		return
	}
	slow.shed = true
	slow.cut()
	in.ending++
}

// end records that r is complete. It returns false if r was shed.
func (in *intake) end(r *received) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	r.complete = true
	return !r.shed
}

// release releases the memory of r.
func (in *intake) release(r *received) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if r.held == 0 {
		return
	}
	if r.shed { // if that is not enough, the next request sheds another
		in.ending--
		in.scanned = time.Time{}
	}
	in.free += r.held
	r.held = 0
	delete(in.bodies, r)
	close(in.changed)
	in.changed = make(chan struct{})
}

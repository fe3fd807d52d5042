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

	"soundcheck/internal/overload"
)

// Request bodies are received before their requests take a slot of the service: a client
// that sends slowly keeps none from others. The memory for that is bounded, and is taken as
// bytes arrive, not as they are announced. If there is no more, the client that sends too
// slowly and holds the most is shed; without such a client the request waits.
const (
	smallBody      = 4 << 10  // bytes; as much as the connection's own buffers, not counted
	intakeSize     = 32 << 20 // bytes of all bodies that are received or wait for a slot
	intakeRate     = 512 << 10
	intakeGrace    = 500 * time.Millisecond // no client is too slow so early
	intakePatience = 2 * time.Second
	intakePoll     = 100 * time.Millisecond // how often slow clients are looked for, however many requests wait
	intakeWaiters  = 1024                   // requests that wait for memory
)

// intake is the memory for bodies.
type intake struct {
	rate     int64 // bytes/s; a client that sends less is too slow
	grace    time.Duration
	patience time.Duration

	mu      sync.Mutex
	free    int64
	bodies  map[*received]struct{} // that hold memory
	changed chan struct{}          // closed when memory is given back
	scanned time.Time              // when slow clients were last looked for
	ending  int                    // bodies that are shed and hold memory
	waiters int                    // requests that wait for memory
	blocked int                    // of them, those that hold memory
}

func newIntake(size int64) *intake {
	return &intake{rate: intakeRate, grace: intakeGrace, patience: intakePatience,
		free: size, bodies: map[*received]struct{}{}, changed: make(chan struct{})}
}

// received is a request body in memory. It is the request's Body once it is complete.
type received struct {
	bytes.Reader
	data []byte
	in   *intake // nil: it is not counted

	cut   func() // ends a Read of it
	bytes atomic.Int64

	// under the intake's lock
	begun    time.Time
	held     int64
	waiting  bool // for memory
	complete bool
	shed     bool
}

// Close implements io.Closer: it gives the memory back.
func (r *received) Close() error {
	if r.in != nil {
		r.in.release(r)
	}
	return nil
}

// receive reads the body of a request. The error is ErrTooLarge, errBody, the
// context's, or an *overload.Shed.
func (h *handler) receive(c *gin.Context) error {
	body, length := c.Request.Body, c.Request.ContentLength
	if body == nil || body == http.NoBody {
		return nil
	}
	most, wanted := h.maxBody, c.Request.Method == http.MethodPost || c.Request.Method == http.MethodPut
	switch {
	case !wanted: // nobody reads it; but only after it does net/http notice that a client left
		most = smallBody
	case c.FullPath() == batchPath:
		most = h.maxBatch
	}
	if length > most {
		if wanted {
			return ErrTooLarge
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
		r.cut = func() { _ = control.SetReadDeadline(time.Now()) } // a recorder in a test has none
		if err := r.readFrom(c.Request.Context(), body, length, most); err != nil {
			r.Close()
			if err == ErrTooLarge && !wanted {
				return nil
			}
			return err
		}
	}
	r.Reset(r.data)
	c.Request.Body = r
	return nil
}

// readFrom reads a body of at most so many bytes; length is -1 if it is not known.
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
			return ErrTooLarge
		case err != nil && !r.in.end(r):
			return &overload.Shed{Reason: overload.QueueFull, After: time.Second}
		case err == io.EOF:
			return nil
		case err != nil:
			return errBody
		}
	}
}

// take takes n bytes for r, which may have to wait for them.
func (in *intake) take(ctx context.Context, r *received, n int64) error {
	last := time.Now()
	deadline := last.Add(in.patience)
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
			in.wait(r, false) // each would wait for the others, or too many wait
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

// wait notes whether r waits for memory. The caller holds mu.
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

// shedSlow ends the body that holds the most of those that come too slowly. The caller
// holds mu.
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

// end notes that no more of r is read. It reports false if r was shed meanwhile.
func (in *intake) end(r *received) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	r.complete = true
	return !r.shed
}

// release gives back what r holds.
func (in *intake) release(r *received) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if r.held == 0 {
		return
	}
	if r.shed { // it may not be enough: the next request that finds so looks for another
		in.ending--
		in.scanned = time.Time{}
	}
	in.free += r.held
	r.held = 0
	delete(in.bodies, r)
	close(in.changed)
	in.changed = make(chan struct{})
}

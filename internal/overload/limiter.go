package overload

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// errWaited means that a request has waited for a permit for as long as it may.
var errWaited = errors.New("no permit in time")

// limiter hands out permits, first come first served. Its limit is fixed, or follows
// the latency.
type limiter struct {
	mu       sync.Mutex
	limit    int
	inFlight int
	waiters  list.List // of chan struct{}, each closed when its request has a permit
	follower *follower // nil: the limit is fixed
}

func newLimiter(limit int) *limiter { return &limiter{limit: limit} }

func newAdaptiveLimiter() *limiter {
	return &limiter{limit: initialLimit, follower: newFollower(time.Now())}
}

// try returns whether there is a permit that nobody else waits for.
func (l *limiter) try() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inFlight >= l.limit || l.waiters.Len() > 0 {
		if l.follower != nil {
			l.follower.saturated = true
		}
		return false
	}
	l.add(1)
	return true
}

// acquire waits for a permit, but no longer than maxWait: then it returns errWaited.
func (l *limiter) acquire(ctx context.Context, maxWait time.Duration) error {
	if l.try() {
		return nil
	}
	ready := make(chan struct{})
	l.mu.Lock()
	e := l.waiters.PushBack(ready)
	l.grant() // one may have come back since
	l.mu.Unlock()
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	err := errWaited
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-ready: // at the same moment
		return nil
	default:
		l.waiters.Remove(e)
		return err
	}
}

// release gives back a permit held since start. Record says that its latency
// is typical.
func (l *limiter) release(start time.Time, record bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.add(-1)
	if record && l.follower != nil {
		l.limit = l.follower.record(now, start, l.limit)
	}
	l.grant()
}

// grant gives the permits that are free to those who wait. The caller holds mu.
func (l *limiter) grant() {
	for l.waiters.Len() > 0 && l.inFlight < l.limit {
		l.add(1)
		close(l.waiters.Remove(l.waiters.Front()).(chan struct{}))
	}
	if l.follower != nil && l.waiters.Len() > 0 {
		l.follower.saturated = true // also of a window that began with them in the queue
	}
}

// add changes how many permits are out. The caller holds mu.
func (l *limiter) add(n int) (now time.Time) {
	if l.follower != nil {
		now = time.Now()
		l.follower.observe(now, l.inFlight)
	}
	l.inFlight += n
	return now
}

// state returns the limit and how many requests are in flight.
func (l *limiter) state() (limit, inFlight int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit, l.inFlight
}

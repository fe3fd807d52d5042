package overload

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// errQueueTimeout means that a request waited too long for a permit.
var errQueueTimeout = errors.New("queue timeout")

// limiter grants permits in order of arrival. Its limit is fixed or adaptive.
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

// tryAcquire takes a permit if one is free and the queue is empty.
func (l *limiter) tryAcquire() bool {
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

// acquire waits for a permit. After maxWait it returns errQueueTimeout.
func (l *limiter) acquire(ctx context.Context, maxWait time.Duration) error {
	if l.tryAcquire() {
		return nil
	}
	ready := make(chan struct{})
	l.mu.Lock()
	e := l.waiters.PushBack(ready)
	l.grant() // one may have been released since
	l.mu.Unlock()
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	err := errQueueTimeout
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
	case <-ready: // granted at the same moment
		return nil
	default:
		l.waiters.Remove(e)
		return err
	}
}

// release returns a permit held since start. Record is whether its latency is representative.
func (l *limiter) release(start time.Time, record bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.add(-1)
	if record && l.follower != nil {
		l.limit = l.follower.record(now, start, l.limit)
	}
	l.grant()
}

// grant gives free permits to queued requests. The caller holds mu.
func (l *limiter) grant() {
	for l.waiters.Len() > 0 && l.inFlight < l.limit {
		l.add(1)
		close(l.waiters.Remove(l.waiters.Front()).(chan struct{}))
	}
	if l.follower != nil && l.waiters.Len() > 0 {
		l.follower.saturated = true // also in a window that began with a queue
	}
}

// add changes the number of requests in flight. The caller holds mu.
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

package engine

import (
	"container/heap"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"soundcheck/internal/httpheader"
	"soundcheck/loadgen/measure"
)

// Retry says what is done with a request that was not served.
type Retry string

// Without retries what was refused stays refused. Honoured means that a request that
// was refused (429, 503) with a Retry-After is sent again at that time. Naive is what
// clients do that make an overload worse: whatever failed is sent again at once.
const (
	RetryNone   Retry = "none"
	RetryHonour Retry = "honour"
	RetryNaive  Retry = "naive"
)

func (r Retry) on() bool { return r == RetryHonour || r == RetryNaive }

// maxRetries of one request.
const maxRetries = 3

// next returns whether a request whose attempt was answered so (0: not at all) has another
// attempt, and after what time. Attempts are counted from 0.
func (r Retry) next(status int, promised time.Duration, attempt int) (wait time.Duration, retry bool) {
	switch {
	case attempt >= maxRetries:
		return 0, false
	case r == RetryHonour:
		return promised, measure.IsShed(status) && promised > 0
	case r == RetryNaive:
		return 0, status == 0 || status == http.StatusTooManyRequests || status >= 500
	}
	return 0, false
}

// retryAfter returns how long a Retry-After header asks to wait; 0: it says nothing.
func retryAfter(h http.Header) time.Duration {
	wait, ok := httpheader.RetryAfter(h)
	if !ok {
		return 0
	}
	return max(wait, time.Millisecond)
}

// promises are the times at which refused clients were told to come again. Whether one
// was true shows the first request that is sent after it: it is served, or refused again.
type promises struct {
	first atomic.Int64 // the earliest, in ns since the epoch; 0: none

	mu   sync.Mutex
	list moments
}

// maxPromises bounds what is remembered; those beyond it are not tested.
const maxPromises = 1 << 16

// moments are a heap, the earliest first.
type moments []int64

func (l moments) Len() int           { return len(l) }
func (l moments) Less(i, j int) bool { return l[i] < l[j] }
func (l moments) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *moments) Push(v any)        { *l = append(*l, v.(int64)) }
func (l *moments) Pop() any {
	last := len(*l) - 1
	v := (*l)[last]
	*l = (*l)[:last]
	return v
}

func (p *promises) add(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) == maxPromises {
		return
	}
	heap.Push(&p.list, at.UnixNano())
	p.first.Store(p.list[0])
}

// take returns how many promises are tested by a request that is sent now.
func (p *promises) take(now time.Time) int {
	at := now.UnixNano()
	if first := p.first.Load(); first == 0 || first > at {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for len(p.list) > 0 && p.list[0] <= at {
		heap.Pop(&p.list)
		n++
	}
	p.first.Store(0)
	if len(p.list) > 0 {
		p.first.Store(p.list[0])
	}
	return n
}

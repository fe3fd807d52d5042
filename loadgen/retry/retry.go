// Package retry is how clients retry, and whether services keep the promise of a Retry-After.
package retry

import (
	"container/heap"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"soundcheck/internal/httpheader"
	"soundcheck/loadgen/measure"
)

// Policy is a retry policy.
type Policy string

// Honour retries a shed request (429, 503) at the time of its Retry-After. Naive retries
// immediately after 429, 5xx or no response, as clients that amplify an overload do.
const (
	None   Policy = "none"
	Honour Policy = "honour"
	Naive  Policy = "naive"
)

// On reports whether there are retries.
func (p Policy) On() bool { return p == Honour || p == Naive }

// Max is the max number of retries per request.
const Max = 3

// Next returns whether to retry after an attempt (counted from 0) with a status (0: no
// response), and after what wait.
func (p Policy) Next(status int, promised time.Duration, attempt int) (wait time.Duration, retry bool) {
	switch {
	case attempt >= Max:
		return 0, false
	case p == Honour:
		return promised, measure.IsShed(status) && promised > 0
	case p == Naive:
		return 0, status == 0 || status == http.StatusTooManyRequests || status >= 500
	}
	return 0, false
}

// After returns the wait of a Retry-After header; 0: none.
func After(h http.Header) time.Duration {
	wait, ok := httpheader.RetryAfter(h)
	if !ok {
		return 0
	}
	return max(wait, time.Millisecond)
}

// Promises are the Retry-After times of shed requests. The first attempt after one tests it:
// served (kept) or shed again (broken).
type Promises struct {
	first atomic.Int64 // the earliest, in ns since the epoch; 0: none

	mu   sync.Mutex
	list moments
}

// maxPromises bounds the memory; promises beyond it are not tested.
const maxPromises = 1 << 16

// moments are a min-heap.
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

// Add adds a time.
func (p *Promises) Add(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) == maxPromises {
		return
	}
	heap.Push(&p.list, at.UnixNano())
	p.first.Store(p.list[0])
}

// Take returns how many promises an attempt tests now.
func (p *Promises) Take() int {
	first := p.first.Load()
	if first == 0 {
		return 0
	}
	at := time.Now().UnixNano()
	if first > at {
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

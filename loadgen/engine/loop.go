package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// initialWorkers is the initial number of workers of the open model. There are more while all are busy.
const initialWorkers = 16

// loop sends the requests of a plan, in place of vegeta's attacker. That passes each request from the pacer
// to a worker, and each result to a collector, through unbuffered channels: two goroutine switches a
// request, which cost as much as the request itself. Here the worker whose turn it is waits for the
// scheduled time, gives the turn to the next worker, and sends. Results are collected in batches.
type loop struct {
	t             *transport
	max           int // workers
	start         time.Time
	turn          chan uint64  // the next request's number, for the worker whose turn it is
	idle          atomic.Int64 // workers that wait for their turn
	sent          atomic.Uint64
	wg            sync.WaitGroup
	cancel        func() // of the users' time
	endPopulation func() // the last user of a closed population has begun: no worker waits for the next one

	// Of the worker whose turn it is:
	workers int
	ended   bool
}

// newLoop starts the workers. Its results end with the last one.
func newLoop(t *transport) *loop {
	l := &loop{t: t, max: t.c.MaxWorkers, start: time.Now(), turn: make(chan uint64, 1), cancel: func() {}}
	t.pacer.Begin(0)
	if t.c.Flow != nil {
		t.users.ctx, l.cancel = context.WithDeadline(t.users.ctx, t.pacer.Began().Add(t.c.usersExtent()))
	}
	t.users.next, l.endPopulation = context.WithCancel(t.users.ctx)
	if most := t.c.Plan.Max; most > 0 && t.c.Plan.Share(most) == 0 { // other shards have all users
		l.endPopulation()
	}
	n := l.max
	turns := t.c.Workers == 0 || t.c.Stream != nil // a stream feeds one request at a time
	if t.c.Workers == 0 {
		n = min(n, initialWorkers)
	}
	l.workers = n
	for i := range n {
		if turns {
			l.wg.Go(l.open)
		} else {
			l.wg.Go(func() { l.closed(i) })
		}
	}
	if turns {
		l.turn <- 0
	}
	go func() {
		l.wg.Wait()
		l.endPopulation()
		l.cancel()
		t.results.end()
	}()
	return l
}

// open is a worker of the open model, and of the closed model with a stream.
func (l *loop) open() {
	w := newWorker(l.t)
	for {
		l.idle.Add(1)
		n := <-l.turn
		l.idle.Add(-1)
		if !l.ended {
			_, l.ended = l.t.pacer.Pace(time.Since(l.start), n)
		}
		if l.ended {
			l.turn <- n
			return
		}
		if l.workers < l.max && l.idle.Load() == 0 {
			l.workers++
			l.wg.Go(l.open)
		}
		l.turn <- n + 1
		w.run(n, time.Time{}, nil)
	}
}

// closed is a worker of the closed model.
func (l *loop) closed(index int) {
	w := newWorker(l.t)
	began := l.t.pacer.Began()
	var due time.Time // of the next user; zero: at once
	for wait(l.t.users.next, began) && l.t.joins(index, &due) {
		n := l.sent.Add(1) - 1
		if l.t.pacer.Over(time.Since(began), n) {
			return
		}
		if n+1 == l.t.c.Plan.Share(l.t.c.Plan.Max) {
			l.endPopulation()
		}
		due = w.run(n, due, func() bool { return !l.t.pacer.Over(time.Since(began), l.sent.Load()) })
	}
}

// results are finished requests, until the collector takes them.
type results struct {
	mu    sync.Mutex
	list  []*note
	free  []*note
	ready chan struct{} // a batch is full
	over  chan struct{} // closed after the last request
}

// batch is how many results are collected at once; fewer every second.
const batch = 128

func newResults() *results {
	return &results{ready: make(chan struct{}, 1), over: make(chan struct{})}
}

func (r *results) end() { close(r.over) }

// add adds a finished request.
func (r *results) add(n *note) {
	r.mu.Lock()
	r.list = append(r.list, n)
	full := len(r.list)%batch == 0
	r.mu.Unlock()
	if full {
		select {
		case r.ready <- struct{}{}:
		default:
		}
	}
}

// note returns a note for a new request.
func (r *results) note() *note {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := len(r.free) - 1; last >= 0 {
		n := r.free[last]
		r.free = r.free[:last]
		return n
	}
	return new(note)
}

// take returns the finished requests, and takes back those of the last call.
func (r *results) take(done []*note) []*note {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range done {
		if len(r.free) < 4*batch {
			r.free = append(r.free, n)
		}
	}
	clear(done)
	list := r.list
	r.list = done[:0]
	return list
}

// collect adds the results to a collector until the last one, or until it ends the run.
func (l *loop) collect(k *collector, end <-chan string, stop func()) {
	var list []*note
	drain := func() {
		list = l.t.results.take(list)
		for _, n := range list {
			k.add(n)
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-l.t.results.ready:
			drain()
		case <-l.t.results.over:
			drain()
			return
		case reason := <-end:
			if k.Report.Ended == "" {
				k.Report.Ended = reason
			}
			stop()
		case <-tick.C:
			drain()
			if k.look() {
				stop()
			}
		}
	}
}

package connect

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// ErrClosed is that of a request after Close.
var ErrClosed = errors.New("the run has ended")

// Pool has the connections of a client: idle ones by address, and all, to close them. C is a connection for one
// request at a time, its zero value none. The methods are called from many goroutines.
type Pool[C interface {
	comparable
	io.Closer
}] struct {
	max int // idle connections of each address

	mu     sync.Mutex
	idle   map[string][]C // last used at the end
	gate   *Gate[C]
	all    map[C]bool
	closed bool
}

// NewPool returns a pool with a max number of idle connections of each address.
func NewPool[C interface {
	comparable
	io.Closer
}](max int) *Pool[C] {
	return &Pool[C]{max: max, idle: map[string][]C{}, gate: NewGate[C](), all: map[C]bool{}}
}

// Close closes all connections, and so cancels requests in flight.
func (p *Pool[C]) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.all {
		_ = c.Close()
	}
}

// Add adds a new connection. After Close, the error is ErrClosed, and the connection is closed.
func (p *Pool[C]) Add(c C) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return ErrClosed
	}
	p.all[c] = true
	return nil
}

// Drop closes a connection.
func (p *Pool[C]) Drop(c C) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, c)
}

// Keep returns a connection to the idle ones.
func (p *Pool[C]) Keep(address string, c C) {
	p.mu.Lock()
	ok := !p.closed && len(p.idle[address]) < p.max
	if ok && !p.gate.Give(address, c) {
		p.idle[address] = append(p.idle[address], c)
	}
	p.mu.Unlock()
	if !ok {
		p.Drop(c)
	}
}

// Idle returns the idle connections of an address.
func (p *Pool[C]) Idle(address string) []C {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle[address]
}

// Take returns an idle connection; none: the request opens one, which Dialed ends. Fresh: not one that may be closed.
func (p *Pool[C]) Take(ctx context.Context, address string, deadline time.Time, fresh bool) (c C) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if list := p.idle[address]; len(list) > 0 && !fresh {
		p.idle[address] = list[:len(list)-1]
		return list[len(list)-1]
	}
	w := p.gate.Enter(address)
	if w == nil {
		return c
	}
	p.mu.Unlock()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	c, ok := Wait(ctx, w)
	cancel()
	p.mu.Lock()
	if !ok {
		c = p.gate.Stop(address, w)
	}
	return c
}

// Dialed ends the opening of a connection.
func (p *Pool[C]) Dialed(address string, start time.Time, err error) {
	took := time.Since(start)
	if err != nil {
		took = 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate.Leave(address, took)
}

// Open calls open, which keeps a new connection, until an address has so many idle ones, or until ctx ends.
func (p *Pool[C]) Open(ctx context.Context, address string, n int, open func(deadline time.Time)) {
	n -= len(p.Idle(address))
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Minute)
	}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { open(deadline) })
	}
	wg.Wait()
}

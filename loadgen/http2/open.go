package http2

import (
	"context"
	"sync"
	"time"

	"soundcheck/loadgen/connect"
)

// take returns an idle connection; nil: the request opens one, which dialed ends. Fresh: not one that may be closed.
func (t *Client) take(ctx context.Context, address string, deadline time.Time, fresh bool) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if list := t.idle[address]; len(list) > 0 && !fresh {
		c := list[len(list)-1]
		t.idle[address] = list[:len(list)-1]
		return c
	}
	w := t.gate.Enter(address)
	if w == nil {
		return nil
	}
	t.mu.Unlock()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	c, ok := connect.Wait(ctx, w)
	cancel()
	t.mu.Lock()
	if !ok {
		c = t.gate.Stop(address, w)
	}
	return c
}

// dialed ends the opening of a connection.
func (t *Client) dialed(address string, start time.Time, err error) {
	took := time.Since(start)
	if err != nil {
		took = 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gate.Leave(address, took)
}

// Open opens connections until an address has so many idle ones, or until ctx ends. It leaves errors to the requests.
func (t *Client) Open(ctx context.Context, address string, secure bool, n int) {
	t.mu.Lock()
	n -= len(t.idle[address])
	t.mu.Unlock()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Minute)
	}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if c, err := t.get(ctx, address, secure, deadline, true, false); err == nil {
				t.keep(c)
			}
		})
	}
	wg.Wait()
}

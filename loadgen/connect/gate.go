package connect

import (
	"context"
	"slices"
	"time"
)

const (
	// dialsPerMillisecond is how many requests open a connection to an address at once, for each millisecond of the
	// fastest handshake so far. More would slow each other down, and the next requests would open still more.
	dialsPerMillisecond = 8
	// maxGateWait is how long the others wait for one of these, or for an idle connection. Then they open one too: if a
	// server leaves handshakes without a response, the gate must not be what delays a request.
	maxGateWait = 100 * time.Millisecond
)

// Gate limits how many requests open connections at once. C is a connection, its zero value none. All methods but Wait
// are called with a lock of the caller.
type Gate[C comparable] struct {
	dialing map[string]int           // by address
	fastest map[string]time.Duration // handshake; none: no limit
	waiting map[string][]chan C
}

// NewGate returns an open gate.
func NewGate[C comparable]() *Gate[C] {
	return &Gate[C]{map[string]int{}, map[string]time.Duration{}, map[string][]chan C{}}
}

// full reports whether another request is to wait.
func (g *Gate[C]) full(address string) bool {
	fastest, ok := g.fastest[address]
	return ok && g.dialing[address] >= dialsPerMillisecond*int((fastest+time.Millisecond-1)/time.Millisecond)
}

// Enter is called before a connection is opened. If the request is to wait, it returns a channel for Wait.
func (g *Gate[C]) Enter(address string) chan C {
	if !g.full(address) {
		g.dialing[address]++
		return nil
	}
	w := make(chan C, 1)
	g.waiting[address] = append(g.waiting[address], w)
	return w
}

// Leave is called after a connection was opened in a time; 0: it failed.
func (g *Gate[C]) Leave(address string, took time.Duration) {
	if fastest, ok := g.fastest[address]; took > 0 && (!ok || took < fastest) {
		g.fastest[address] = took
	}
	g.dialing[address]--
	for !g.full(address) {
		var none C
		if !g.Give(address, none) {
			return
		}
		g.dialing[address]++
	}
}

// Give passes an idle connection to the request that waits longest, or none to let it open one. It reports whether one
// waits.
func (g *Gate[C]) Give(address string, c C) bool {
	list := g.waiting[address]
	if len(list) == 0 {
		return false
	}
	list[0] <- c
	g.waiting[address] = list[1:]
	return true
}

// Wait waits for what Give passes.
func Wait[C comparable](ctx context.Context, w chan C) (c C, ok bool) {
	timer := time.NewTimer(maxGateWait)
	defer timer.Stop()
	select {
	case c = <-w:
		return c, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return c, false
}

// Stop is called after Wait without success. It returns a connection that came since, or the request opens one.
func (g *Gate[C]) Stop(address string, w chan C) (c C) {
	i := slices.Index(g.waiting[address], w)
	if i < 0 {
		return <-w
	}
	g.waiting[address] = slices.Delete(g.waiting[address], i, i+1)
	g.dialing[address]++
	return c
}

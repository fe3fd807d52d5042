package engine

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/http1"
	"soundcheck/loadgen/http2"
)

const (
	// maxOpen is the max number of connections that are opened before the start.
	maxOpen = 32
	// openTimeout is how much later than otherwise a plan begins at most.
	openTimeout = time.Second
)

// open opens connections before the start of an open plan, as many as its peak rate needs at 1 ms a request. Without
// them, the first requests would all open one, and be so slow that the next ones open more: at 20,000 req/s a thousand.
// A plan that begins at a set time does so.
func (c Config) open(ctx context.Context, p *Pool) {
	n := min(int(math.Ceil(c.Plan.Peak()*time.Millisecond.Seconds())), c.MaxWorkers, maxOpen)
	if p == nil || c.Workers > 0 || n < 2 { // a slow rate has no such start: its first request shows the time to connect
		return
	}
	deadline := time.Now().Add(openTimeout)
	if !c.StartAt.IsZero() {
		deadline = c.StartAt
		select {
		case <-time.After(time.Until(deadline) - openTimeout): // a server may close an idle connection
		case <-ctx.Done():
			return
		}
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	services := c.Services(c.arms, n)
	for _, u := range services {
		p.open(ctx, u, (n+len(services)-1)/len(services))
	}
}

// open opens connections to the service of a URL, with the client that route would choose.
func (p *Pool) open(ctx context.Context, u *url.URL, n int) {
	o := p.options
	if o.NoKeepalive || o.Multiplex || p.proxied[u.Scheme] || !isASCII(u.Host) {
		return
	}
	address, secure := http2.Address(&http.Request{URL: u})
	two := o.Version == connect.H2C || o.Version == connect.HTTP2 && secure
	if o.Version == connect.Auto && secure {
		deadline, _ := ctx.Deadline()
		var err error
		if two, err = p.http2.Supports(ctx, address, deadline); err != nil {
			return
		}
	}
	switch {
	case two:
		p.http2.Open(ctx, address, secure, n)
	case o.Version != connect.HTTP2:
		p.http1.Open(ctx, http1.Address(u), n)
	}
}

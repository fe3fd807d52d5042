// Package http2 is an HTTP/2 client for load: one request at a time on each connection, as HTTP/1.1 does it, and as
// h2load -m 1 does. The goroutine that sends a request also reads its response. net/http multiplexes all requests on
// one connection, and passes each between three goroutines and under one lock.
//
// Frames and header compression are those of golang.org/x/net/http2.
package http2

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	frames "golang.org/x/net/http2"

	"soundcheck/loadgen/connect"
)

// stopwatch measures a time once.
type stopwatch struct {
	start time.Time
	took  *time.Duration
}

func (s *stopwatch) stop() {
	if *s.took == 0 {
		*s.took = time.Since(s.start)
	}
}

// Client sends requests. Its methods are called from many goroutines.
type Client struct {
	dialer *connect.Dialer
	pool   *connect.Pool[*conn]

	mu        sync.Mutex
	supported map[string]*answer // by address
}

// answer is whether a server supports HTTP/2.
type answer struct {
	ready   chan struct{} // closed when the rest is set
	yes     bool
	err     error
	timeout bool // err is about the time of the request that asked, not about the server
}

// New returns a client with a max number of idle connections of each address.
func New(d *connect.Dialer, idle int) *Client {
	if d.NoKeepalive {
		idle = 0
	}
	return &Client{dialer: d, pool: connect.NewPool[*conn](idle), supported: map[string]*answer{}}
}

var errLength = errors.New("the length of the request's body is unknown")

// Close closes all connections, and so cancels requests in flight.
func (t *Client) Close() { t.pool.Close() }

// Address returns the address of a request's server, and whether it speaks TLS.
func Address(req *http.Request) (address string, secure bool) {
	secure = req.URL.Scheme == "https"
	switch {
	case req.URL.Port() != "":
		return req.URL.Host, secure
	case secure:
		return net.JoinHostPort(req.URL.Hostname(), "443"), secure
	}
	return net.JoinHostPort(req.URL.Hostname(), "80"), secure
}

// Supports reports whether the server of an https:// URL picks HTTP/2 rather than HTTP/1.1. The first call opens a
// connection, others wait for it; later ones know. If the first one times out, one of the others takes over.
func (t *Client) Supports(ctx context.Context, address string, deadline time.Time) (bool, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for {
		t.mu.Lock()
		a := t.supported[address]
		first := a == nil
		if first {
			a = &answer{ready: make(chan struct{})}
			t.supported[address] = a
		}
		t.mu.Unlock()
		if first {
			t.ask(ctx, address, deadline, a)
			return a.yes, a.err
		}
		select {
		case <-a.ready:
			if !a.timeout {
				return a.yes, a.err
			}
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// ask opens a connection to find out whether a server supports HTTP/2. After an error, the next call does so again.
func (t *Client) ask(ctx context.Context, address string, deadline time.Time, a *answer) {
	defer close(a.ready)
	c, err := t.open(ctx, address, true, deadline, connect.ALPN2, connect.ALPN1)
	switch {
	case err == nil:
		a.yes = true
		t.keep(c)
	case !errors.Is(err, connect.ErrNoHTTP2):
		a.err, a.timeout = err, ctx.Err() != nil || connect.IsTimeout(err)
		t.mu.Lock()
		delete(t.supported, address)
		t.mu.Unlock()
	}
}

// Send sends a request and returns the response. A body needs a ContentLength. The deadline includes the response
// body.
func (t *Client) Send(ctx context.Context, req *http.Request, deadline time.Time, tm *connect.Times) (*http.Response, error) {
	start := time.Now()
	if req.Body != nil && req.Body != http.NoBody && req.ContentLength <= 0 {
		return nil, errLength
	}
	address, secure := Address(req)
	again := connect.Safe(req.Method) && (req.Body == nil || req.GetBody != nil)
	for fresh := false; ; fresh = true {
		c, err := t.get(ctx, address, secure, deadline, fresh, again)
		if err != nil {
			return nil, err
		}
		tm.Connected = time.Since(start)
		resp, err := c.exchange(req, &stopwatch{start, &tm.FirstByte})
		if err == nil {
			return resp, nil
		}
		t.pool.Drop(c)
		// The server may have closed the idle connection just now. A request that it has not processed is sent
		// once more, any other one only if its method is safe, as with net/http.
		unprocessed := errors.As(err, new(*GoAwayError)) && c.unprocessed
		stale := c.used && tm.FirstByte == 0 && !connect.IsTimeout(err) && ctx.Err() == nil
		if !stale || !unprocessed && !connect.Safe(req.Method) || req.Body != nil && req.GetBody == nil {
			return nil, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// keep returns c to the idle connections.
func (t *Client) keep(c *conn) {
	if c.ending || c.next >= maxStream {
		t.pool.Drop(c)
		return
	}
	c.idle = time.Now()
	t.pool.Keep(c.address, c)
}

// Open opens connections until an address has so many idle ones, or until ctx ends. It leaves errors to the requests.
func (t *Client) Open(ctx context.Context, address string, secure bool, n int) {
	t.pool.Open(ctx, address, n, func(deadline time.Time) {
		if c, err := t.get(ctx, address, secure, deadline, true, false); err == nil {
			t.keep(c)
		}
	})
}

// get returns a live idle connection or a new one. Again: the request may be sent twice, so that a connection which was
// used just now need not be checked.
func (t *Client) get(ctx context.Context, address string, secure bool, deadline time.Time, fresh, again bool) (*conn, error) {
	for c := t.pool.Take(ctx, address, deadline, fresh); c != nil; c = t.pool.Take(ctx, address, deadline, fresh) {
		if c.SetDeadline(deadline) == nil && (again && !c.ending && time.Since(c.idle) < connect.JustUsed || c.alive()) {
			return c, nil
		}
		t.pool.Drop(c)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	start := time.Now()
	c, err := t.open(ctx, address, secure, deadline, connect.ALPN2)
	t.pool.Dialed(address, start, err)
	return c, err
}

func (t *Client) open(ctx context.Context, address string, secure bool, deadline time.Time, protocols ...string) (*conn, error) {
	nc, raw, err := t.dial(ctx, address, secure, protocols)
	if err != nil {
		return nil, err
	}
	c := newConn(t, nc, raw, address)
	if err := t.pool.Add(c); err != nil {
		return nil, err
	}
	if err = c.SetDeadline(deadline); err == nil {
		err = c.greet()
	}
	if err != nil {
		t.pool.Drop(c)
		return nil, err
	}
	return c, nil
}

// dial returns a connection, and that below TLS.
func (t *Client) dial(ctx context.Context, address string, secure bool, protocols []string) (conn, raw net.Conn, err error) {
	if !secure {
		conn, err = t.dialer.Dial(ctx, "tcp", address)
		return conn, conn, err
	}
	s, err := t.dialer.DialTLS(ctx, "tcp", address, protocols...)
	if err != nil {
		return nil, nil, refusal(err)
	}
	if got := s.ConnectionState().NegotiatedProtocol; got != connect.ALPN2 {
		_ = s.Close()
		return nil, nil, fmt.Errorf("%w: it chose %q", connect.ErrNoHTTP2, got)
	}
	return s, s.NetConn(), nil
}

// noALPN is the alert no_application_protocol (RFC 7301, 3.2). For its text see crypto/tls.
const noALPN = tls.AlertError(120)

// refusal names the reason of a server that speaks no offered protocol.
func refusal(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" && op.Err.Error() == noALPN.Error() {
		return fmt.Errorf("%w: %w", connect.ErrNoHTTP2, err)
	}
	return err
}

// GoAwayError is that the server ends the connection, with a code other than NO_ERROR or without processing the request.
type GoAwayError struct {
	Code  frames.ErrCode
	Debug string
}

func (e *GoAwayError) Error() string {
	return fmt.Sprintf("the server sent GOAWAY with %s %q", e.Code, e.Debug)
}

// alive reports whether the server has not closed the connection. Without TLS it also handles what the server has sent
// meanwhile. With TLS that could be something that is not for us, so that a read would wait.
func (c *conn) alive() bool {
	for {
		n := -1
		if c.raw != nil {
			n = c.pending()
		}
		if c.r.Buffered() == 0 && (n < 0 || n > 0 && c.secure) {
			return true
		}
		if n == 0 || c.idleFrame() != nil || c.ending {
			return false
		}
	}
}

// pending returns the number of bytes that can be read, at most 1; 0: the connection is closed; -1: none yet.
func (c *conn) pending() int {
	n := 0
	var err error
	if e := c.raw.Read(func(fd uintptr) bool {
		n, _, err = syscall.Recvfrom(int(fd), c.probe[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}); e != nil {
		return 0
	}
	if errors.Is(err, syscall.EAGAIN) {
		return -1
	}
	return max(n, 0)
}

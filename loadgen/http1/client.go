// Package http1 is an HTTP/1.1 client for load. net/http's transport has two goroutines for each connection
// and passes everything between them. Here the sending goroutine reads the response too: less CPU for a generator that
// shares its machine with the target.
package http1

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"soundcheck/loadgen/connect"
)

// Client sends requests. Its methods are called from many goroutines.
type Client struct {
	dialer *connect.Dialer
	pool   *connect.Pool[*conn]
}

// New returns a client with a max number of idle connections of each address.
func New(d *connect.Dialer, max int) *Client {
	if d.NoKeepalive {
		max = 0
	}
	return &Client{dialer: d, pool: connect.NewPool[*conn](max)}
}

// conn is a connection, for one request at a time.
type conn struct {
	net.Conn
	raw     syscall.RawConn // of TCP; nil: unknown
	secure  bool
	address string
	head    headLimit
	r       *bufio.Reader
	w       *bufio.Writer
	plain   head // of the last response
	probe   [1]byte
	used    bool      // by an earlier request
	idle    time.Time // since
	broken  bool      // the request was not written completely

	deadline time.Time // of the request
	timer    time.Time // deadline of the connection, not later: setting it costs more than a late look
}

// Close closes all connections, and so cancels requests in flight.
func (t *Client) Close() { t.pool.Close() }

// keep returns c to the idle connections.
func (t *Client) keep(c *conn) {
	c.used, c.idle = true, time.Now()
	t.pool.Keep(c.address, c)
}

// Open opens connections until an address has so many idle ones, or until ctx ends. It leaves errors to the requests.
func (t *Client) Open(ctx context.Context, address string, n int) {
	t.pool.Open(ctx, address, n, func(deadline time.Time) {
		if c, err := t.get(ctx, address, deadline, true, false); err == nil {
			t.keep(c)
		}
	})
}

// get returns a live idle connection or a new one. Retry: the request may be sent again, so that a connection
// which was used just now need not be checked.
func (t *Client) get(ctx context.Context, address string, deadline time.Time, fresh, retry bool) (*conn, error) {
	for c := t.pool.Take(ctx, address, deadline, fresh); c != nil; c = t.pool.Take(ctx, address, deadline, fresh) {
		if c.limit(deadline) == nil && (retry && time.Since(c.idle) < connect.JustUsed || c.alive()) {
			return c, nil
		}
		t.pool.Drop(c)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	start := time.Now()
	nc, raw, err := t.dial(ctx, address)
	t.pool.Dialed(address, start, err)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, secure: nc != raw, address: address, head: headLimit{left: math.MaxInt}}
	c.head.r, c.w = c, bufio.NewWriterSize(c, 8<<10)
	c.r = bufio.NewReaderSize(&c.head, 8<<10)
	if s, ok := raw.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn()
	}
	if err := t.pool.Add(c); err != nil {
		return nil, err
	}
	if err := c.limit(deadline); err != nil {
		t.pool.Drop(c)
		return nil, err
	}
	return c, nil
}

// dial returns a connection, and that below TLS.
func (t *Client) dial(ctx context.Context, address string) (conn, raw net.Conn, err error) {
	address, secure := strings.CutPrefix(address, tlsPrefix)
	if !secure {
		conn, err = t.dialer.Dial(ctx, "tcp", address)
		return conn, conn, err
	}
	s, err := t.dialer.DialTLS(ctx, "tcp", address, connect.ALPN1)
	if err != nil {
		return nil, nil, err
	}
	return s, s.NetConn(), nil
}

// limit sets the deadline of a request.
func (c *conn) limit(deadline time.Time) error {
	c.deadline = deadline
	// With TLS, a connection is of no use after a write that timed out.
	if !c.timer.IsZero() && !c.timer.After(deadline) && !c.secure {
		return nil
	}
	c.timer = deadline
	return c.SetDeadline(deadline)
}

// early reports whether an error is that of a deadline of an earlier request, which it replaces.
func (c *conn) early(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(c.deadline) {
		return false
	}
	c.timer = c.deadline
	return c.SetDeadline(c.deadline) == nil
}

// Read implements io.Reader.
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err == nil || n > 0 || !c.early(err) {
			return n, err
		}
	}
}

// Write implements io.Writer.
func (c *conn) Write(p []byte) (n int, err error) {
	for {
		var k int
		k, err = c.Conn.Write(p[n:])
		if n += k; err == nil || !c.early(err) {
			return n, err
		}
	}
}

// alive reports whether the server has neither closed the connection nor sent unexpected
// data.
func (c *conn) alive() bool {
	if c.r.Buffered() > 0 {
		return false
	}
	if c.raw == nil {
		return true
	}
	for {
		var err error
		e := c.raw.Read(func(fd uintptr) bool {
			_, err = syscall.Read(int(fd), c.probe[:])
			return true
		})
		if e == nil {
			return errors.Is(err, syscall.EAGAIN)
		}
		if !c.early(e) {
			return false
		}
	}
}

// Send sends a request and returns the response. The deadline includes the response body.
func (t *Client) Send(ctx context.Context, req *http.Request, deadline time.Time, tm *connect.Times) (*http.Response, error) {
	start := time.Now()
	address := Address(req.URL)
	for fresh := false; ; fresh = true {
		c, err := t.get(ctx, address, deadline, fresh, false)
		if err != nil {
			return nil, err
		}
		tm.Connected = time.Since(start)
		var resp *http.Response
		if err = c.exchange(req); err == nil {
			tm.FirstByte = time.Since(start)
			resp, err = c.readHeader(req)
		}
		if err == nil {
			resp.Body = &body{ReadCloser: resp.Body, client: t, conn: c, reusable: !resp.Close && !c.broken && resp.StatusCode != http.StatusSwitchingProtocols}
			return resp, nil
		}
		t.pool.Drop(c)
		if tm.FirstByte != 0 || !c.stale(ctx, err, connect.Safe(req.Method) && (req.Body == nil || req.GetBody != nil)) {
			return nil, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// exchange sends the request and waits for the first byte of the response.
func (c *conn) exchange(req *http.Request) error {
	err := req.Write(c.w)
	if err == nil {
		err = c.w.Flush()
	}
	// A server that rejects a large body responds before it has read it.
	_, e := c.r.Peek(1)
	if e == nil {
		c.broken = err != nil
		return nil
	}
	return cmp.Or(err, e)
}

// readHeader reads the response header.
func (c *conn) readHeader(req *http.Request) (*http.Response, error) {
	c.head.left = MaxHead
	defer func() { c.head.left = math.MaxInt }()
	for {
		resp, err := http.ReadResponse(c.r, req)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// body returns the connection at its end.
type body struct {
	io.ReadCloser
	client   *Client
	conn     *conn // nil: returned
	reusable bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(err == io.EOF && b.reusable)
	}
	return n, err
}

func (b *body) end(keep bool) {
	switch c := b.conn; {
	case c == nil:
	case keep:
		b.conn = nil
		b.client.keep(c)
	default:
		b.conn = nil
		b.client.pool.Drop(c)
	}
}

// Close closes the connection if the body was not read to its end.
func (b *body) Close() error {
	b.end(false)
	return nil
}

// tlsPrefix is before the address of a server with TLS.
const tlsPrefix = "tls:"

// Address returns the address of a URL's server, for this package: with a prefix for TLS.
func Address(u *url.URL) string {
	switch port := u.Port(); {
	case u.Scheme == "https" && port == "":
		return tlsPrefix + net.JoinHostPort(u.Hostname(), "443")
	case u.Scheme == "https":
		return tlsPrefix + u.Host
	case port == "":
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return u.Host
}

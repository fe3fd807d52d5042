package engine

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
	"sync"
	"syscall"
	"time"

	"soundcheck/loadgen/connect"
)

// timing has times since the send time of a request.
type timing struct {
	connected time.Duration // connection ready
	firstByte time.Duration // of the response; 0: none
}

// sender sends a request and returns the response, as an http.RoundTripper. The deadline
// includes the response body.
type sender interface {
	send(ctx context.Context, req *http.Request, deadline time.Time, t *timing) (*http.Response, error)
}

// wire is an HTTP/1.1 client. net/http's transport has two goroutines for each connection and
// passes everything between them. Here the sending goroutine reads the response too: less CPU
// for a generator that shares its machine with the target.
type wire struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	max  int // max idle connections

	mu     sync.Mutex
	idle   map[string][]*conn // by address; last used at the end
	all    map[*conn]bool
	closed bool
}

func newWire(max int, d *connect.Dialer) *wire {
	if d.NoKeepalive {
		max = 0
	}
	return &wire{dial: d.Dial, max: max, idle: map[string][]*conn{}, all: map[*conn]bool{}}
}

// conn is a connection, for one request at a time.
type conn struct {
	net.Conn
	raw     syscall.RawConn
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

var errClosed = errors.New("the run has ended")

// close closes all connections, and so cancels requests in flight.
func (t *wire) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for c := range t.all {
		_ = c.Close()
	}
}

func (t *wire) drop(c *conn) {
	_ = c.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, c)
}

// keep returns c to the idle connections.
func (t *wire) keep(c *conn) {
	t.mu.Lock()
	ok := !t.closed && len(t.idle[c.address]) < t.max
	if ok {
		c.used, c.idle = true, time.Now()
		t.idle[c.address] = append(t.idle[c.address], c)
	}
	t.mu.Unlock()
	if !ok {
		t.drop(c)
	}
}

// get returns a live idle connection or a new one. Retry: the request may be sent again, so that a connection
// which was used just now need not be checked.
func (t *wire) get(ctx context.Context, address string, deadline time.Time, fresh, retry bool) (*conn, error) {
	for !fresh {
		t.mu.Lock()
		list := t.idle[address]
		if len(list) == 0 {
			t.mu.Unlock()
			break
		}
		c := list[len(list)-1]
		t.idle[address] = list[:len(list)-1]
		t.mu.Unlock()
		if c.limit(deadline) == nil && (retry && time.Since(c.idle) < justUsed || c.alive()) {
			return c, nil
		}
		t.drop(c)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	nc, err := t.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, address: address, head: headLimit{left: math.MaxInt}}
	c.head.r, c.w = c, bufio.NewWriterSize(c, 8<<10)
	c.r = bufio.NewReaderSize(&c.head, 8<<10)
	if s, ok := nc.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn()
	}
	t.mu.Lock()
	t.all[c] = true
	closed := t.closed
	t.mu.Unlock()
	if err = c.limit(deadline); closed {
		err = errClosed
	}
	if err != nil {
		t.drop(c)
		return nil, err
	}
	return c, nil
}

// justUsed is how long a connection is assumed to be open.
const justUsed = time.Millisecond

// limit sets the deadline of a request.
func (c *conn) limit(deadline time.Time) error {
	c.deadline = deadline
	if !c.timer.IsZero() && !c.timer.After(deadline) {
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
	var err error
	if e := c.raw.Read(func(fd uintptr) bool {
		_, err = syscall.Read(int(fd), c.probe[:])
		return true
	}); e != nil {
		return false
	}
	return errors.Is(err, syscall.EAGAIN)
}

func (t *wire) send(ctx context.Context, req *http.Request, deadline time.Time, tm *timing) (*http.Response, error) {
	start := time.Now()
	address := address(req.URL)
	for fresh := false; ; fresh = true {
		c, err := t.get(ctx, address, deadline, fresh, false)
		if err != nil {
			return nil, err
		}
		tm.connected = time.Since(start)
		var resp *http.Response
		if err = c.exchange(req); err == nil {
			tm.firstByte = time.Since(start)
			resp, err = c.readHeader(req)
		}
		if err == nil {
			resp.Body = &wireBody{ReadCloser: resp.Body, wire: t, conn: c, reusable: !resp.Close && !c.broken && resp.StatusCode != http.StatusSwitchingProtocols}
			return resp, nil
		}
		t.drop(c)
		if tm.firstByte != 0 || !c.stale(ctx, err, isSafe(req.Method) && (req.Body == nil || req.GetBody != nil)) {
			return nil, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
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
	c.head.left = maxHead
	defer func() { c.head.left = math.MaxInt }()
	for {
		resp, err := http.ReadResponse(c.r, req)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// wireBody returns the connection at its end.
type wireBody struct {
	io.ReadCloser
	wire     *wire
	conn     *conn // nil: returned
	reusable bool
}

func (b *wireBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(err == io.EOF && b.reusable)
	}
	return n, err
}

func (b *wireBody) end(keep bool) {
	switch c := b.conn; {
	case c == nil:
	case keep:
		b.conn = nil
		b.wire.keep(c)
	default:
		b.conn = nil
		b.wire.drop(c)
	}
}

// Close closes the connection if the body was not read to its end.
func (b *wireBody) Close() error {
	b.end(false)
	return nil
}

// address returns the address of a server of cleartext HTTP.
func address(u *url.URL) string {
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return u.Host
}

// isPlainHost reports whether a host is sent as it is: without a zone, or an internationalized name.
func isPlainHost(s string) bool { return isASCII(s) && !strings.Contains(s, "%") }

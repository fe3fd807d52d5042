package http1

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"soundcheck/loadgen/connect"
)

// Reply is a response whose body was read.
type Reply struct {
	Status int         // 0: no response header
	Proto  string      // HTTP version, as in HTTP/1.1
	Header http.Header // nil unless it is needed
	Body   []byte      // its first bytes, as many as are needed
	Bytes  uint64      // of the whole body
	Err    error       // the response is not complete
}

// Needs is what of a response is kept.
type Needs struct {
	Header bool
	Body   int // max bytes
}

// Protocol returns the name of an HTTP version: that of 2 has no minor version (RFC 9113).
func Protocol(proto string) string {
	if proto == "HTTP/2.0" {
		return "HTTP/2"
	}
	return proto
}

// Exchange sends an encoded request and reads its response. Retry: the request is safe and may be sent
// twice. Needs returns what is kept of a response with a status.
func (t *Client) Exchange(ctx context.Context, address, method string, request []byte, retry bool, deadline time.Time, tm *connect.Times, needs func(status int) Needs) Reply {
	start := time.Now()
	for fresh := false; ; fresh = true {
		c, err := t.get(ctx, address, deadline, fresh, retry)
		if err != nil {
			return Reply{Err: err}
		}
		tm.Connected = time.Since(start)
		_, err = c.Write(request)
		// A server that rejects a large body responds before it has read it.
		if _, e := c.r.Peek(1); e == nil {
			tm.FirstByte = time.Since(start)
			r, keep := c.response(method, needs)
			if keep && err == nil && c.r.Buffered() == 0 { // else the server has sent more than a response
				t.keep(c)
			} else {
				t.pool.Drop(c)
			}
			return r
		} else {
			err = cmp.Or(err, e)
		}
		t.pool.Drop(c)
		if !c.stale(ctx, err, retry) {
			return Reply{Err: err}
		}
	}
}

// stale reports whether a request that has no response may be sent again: the server may have closed the
// idle connection just now. As net/http, only safe requests are.
func (c *conn) stale(ctx context.Context, err error, retry bool) bool {
	return c.used && retry && !connect.IsTimeout(err) && ctx.Err() == nil
}

// isToken are the bytes of a header's name (RFC 9110, 5.6.2).
var isToken = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c > 0 && strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return table
}()

// head is what the header of a response says about its body and its connection.
type head struct {
	size   int // of the header, in bytes
	status int
	length int64 // of the body
	last   bool  // the server closes the connection
}

// response reads a response. Keep: the connection can have another one. It reads the plain ones itself, without
// a map of headers: those of HTTP/1.1 with a Content-Length, whose header fits into the buffer. net/http reads
// all others.
func (c *conn) response(method string, needs func(status int) Needs) (r Reply, keep bool) {
	h, err := c.readHead()
	if err != nil {
		return Reply{Err: err}, false
	}
	if h == nil {
		return c.standardResponse(method, needs)
	}
	r.Status, r.Proto = h.status, "HTTP/1.1"
	need := needs(h.status)
	if need.Header {
		b, _ := c.r.Peek(h.size)
		r.Header = headerOf(b)
	}
	_, _ = c.r.Discard(h.size)
	if method == http.MethodHead || h.status == http.StatusNoContent || h.status == http.StatusNotModified {
		h.length = 0
	}
	if need.Body > 0 && h.length > 0 {
		r.Body, r.Err = readUpTo(io.LimitReader(c.r, h.length), need.Body)
		r.Bytes = uint64(len(r.Body))
		if r.Err == nil && len(r.Body) < int(min(h.length, int64(need.Body))) {
			r.Err = io.EOF
		}
	}
	for r.Err == nil && r.Bytes < uint64(h.length) {
		var n int
		n, r.Err = c.r.Discard(int(min(h.length-int64(r.Bytes), maxDiscard)))
		r.Bytes += uint64(n)
	}
	r.Err = bodyError(r.Err)
	return r, r.Err == nil && !h.last
}

const maxDiscard = 1 << 30

// readHead parses a plain header, without consuming it. It returns nil as soon as something is unusual.
func (c *conn) readHead() (*head, error) {
	h := &c.plain
	*h = head{length: -1}
	for {
		b, _ := c.r.Peek(c.r.Buffered())
		switch end := bytes.IndexByte(b[h.size:], '\n'); {
		case end == 1 && b[h.size] == '\r' && h.status != 0:
			h.size += 2
			if h.length < 0 && h.status != http.StatusNoContent && h.status != http.StatusNotModified {
				return nil, nil
			}
			return h, nil
		case end >= 0:
			if !h.line(b[h.size : h.size+end]) {
				return nil, nil
			}
			h.size += end + 1
		case len(b) == c.r.Size():
			return nil, nil
		default:
			if _, err := c.r.Peek(len(b) + 1); err == io.EOF {
				return nil, io.ErrUnexpectedEOF // of which net/http would say that the header is malformed
			} else if err != nil {
				return nil, err
			}
		}
	}
}

// line takes a line, without its line feed. It reports whether it is plain.
func (h *head) line(b []byte) bool {
	if len(b) == 0 || b[len(b)-1] != '\r' {
		return false
	}
	b = b[:len(b)-1]
	if h.status == 0 {
		const version = "HTTP/1.1 "
		if len(b) < len(version)+3 || string(b[:len(version)]) != version || len(b) > len(version)+3 && b[len(version)+3] != ' ' {
			return false
		}
		for _, c := range b[len(version) : len(version)+3] {
			if c < '0' || c > '9' {
				return false
			}
			h.status = 10*h.status + int(c-'0')
		}
		return h.status >= 200 && h.status <= 599
	}
	colon := 0
	for colon < len(b) && isToken[b[colon]] {
		colon++
	}
	if colon == 0 || colon == len(b) || b[colon] != ':' {
		return false
	}
	value := b[colon+1:]
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return h.field(b[:colon], value)
}

// field takes a header field. It reports whether it is plain.
func (h *head) field(name, value []byte) bool {
	switch len(name) {
	case len("Connection"):
		if strings.EqualFold(string(name), "Connection") {
			switch value = bytes.TrimSpace(value); {
			case strings.EqualFold(string(value), "close"):
				h.last = true
			case !strings.EqualFold(string(value), "keep-alive"):
				return false
			}
		}
	case len("Content-Length"):
		if strings.EqualFold(string(name), "Content-Length") {
			n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 62)
			if err != nil || h.length >= 0 {
				return false
			}
			h.length = int64(n)
		}
	case len("Transfer-Encoding"):
		return !strings.EqualFold(string(name), "Transfer-Encoding")
	}
	return true
}

// headerOf returns all fields of a plain header.
func headerOf(b []byte) http.Header {
	h := http.Header{}
	_, fields, _ := bytes.Cut(b, []byte("\r\n"))
	for line := range bytes.SplitSeq(fields, []byte("\r\n")) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok {
			key := textproto.CanonicalMIMEHeaderKey(string(name))
			h[key] = append(h[key], string(bytes.TrimSpace(value)))
		}
	}
	return h
}

// standardResponse reads a response with net/http.
func (c *conn) standardResponse(method string, needs func(status int) Needs) (r Reply, keep bool) {
	resp, err := c.readHeader(&http.Request{Method: method})
	if err != nil {
		return Reply{Err: err}, false
	}
	r.Status, r.Proto = resp.StatusCode, Protocol(resp.Proto)
	need := needs(r.Status)
	if need.Header {
		r.Header = resp.Header
	}
	r.Body, r.Bytes, r.Err = ReadBody(resp.Body, need.Body)
	return r, r.Err == nil && !resp.Close && r.Status != http.StatusSwitchingProtocols
}

// ReadBody reads a body to its end, and returns up to a max number of its bytes, and how many it has.
func ReadBody(body io.ReadCloser, most int) (kept []byte, size uint64, err error) {
	defer body.Close()
	if most > 0 {
		kept, err = readUpTo(body, most)
	}
	if err != nil {
		return kept, uint64(len(kept)), err
	}
	n, err := io.Copy(io.Discard, body)
	return kept, uint64(len(kept)) + uint64(n), err
}

// readUpTo reads up to a max number of bytes.
func readUpTo(r io.Reader, most int) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(io.LimitReader(r, int64(most)))
	return b.Bytes(), err
}

// bodyError is the error of a body that ends early.
func bodyError(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

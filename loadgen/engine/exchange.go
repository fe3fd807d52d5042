package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/workload"
)

// reply is a response whose body was read.
type reply struct {
	status int         // 0: no response header
	header http.Header // nil unless it is needed
	bytes  uint64      // of the body
	err    error       // the response is not complete
}

// exchange sends an encoded request and reads its response. Retry: the request is safe and may be sent
// twice. Needs reports whether the header of a response is needed.
func (t *wire) exchange(ctx context.Context, address, method string, request []byte, retry bool, deadline time.Time, tm *timing, needs func(status int) bool) reply {
	start := time.Now()
	for fresh := false; ; fresh = true {
		c, err := t.get(ctx, address, deadline, fresh, retry)
		if err != nil {
			return reply{err: err}
		}
		tm.connected = time.Since(start)
		_, err = c.Write(request)
		// A server that rejects a large body responds before it has read it.
		if _, e := c.r.Peek(1); e == nil {
			tm.firstByte = time.Since(start)
			r, keep := c.response(method, needs)
			if keep && err == nil && c.r.Buffered() == 0 { // else the server has sent more than a response
				t.keep(c)
			} else {
				t.drop(c)
			}
			return r
		} else {
			err = cmp.Or(err, e)
		}
		t.drop(c)
		if !c.stale(ctx, err, retry) {
			return reply{err: err}
		}
	}
}

// stale reports whether a request that has no response may be sent again: the server may have closed the
// idle connection just now. As net/http, only safe requests are.
func (c *conn) stale(ctx context.Context, err error, retry bool) bool {
	return c.used && retry && !isTimeout(err) && ctx.Err() == nil
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
func (c *conn) response(method string, needs func(status int) bool) (r reply, keep bool) {
	h, err := c.readHead()
	if err != nil {
		return reply{err: err}, false
	}
	if h == nil {
		return c.standardResponse(method, needs)
	}
	r.status = h.status
	if needs(h.status) {
		b, _ := c.r.Peek(h.size)
		r.header = headerOf(b)
	}
	_, _ = c.r.Discard(h.size)
	if method == http.MethodHead || h.status == http.StatusNoContent || h.status == http.StatusNotModified {
		h.length = 0
	}
	for r.err == nil && r.bytes < uint64(h.length) {
		var n int
		n, r.err = c.r.Discard(int(min(h.length-int64(r.bytes), maxDiscard)))
		r.bytes += uint64(n)
	}
	r.err = bodyError(r.err)
	return r, r.err == nil && !h.last
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
func (c *conn) standardResponse(method string, needs func(status int) bool) (r reply, keep bool) {
	resp, err := c.readHeader(&http.Request{Method: method})
	if err != nil {
		return reply{err: err}, false
	}
	r.status = resp.StatusCode
	if needs(r.status) {
		r.header = resp.Header
	}
	r.bytes, r.err = discard(resp.Body)
	return r, r.err == nil && !resp.Close && r.status != http.StatusSwitchingProtocols
}

// begin appends the request line and header fields of a request.
func begin(b []byte, q *workload.Request, base *url.URL) ([]byte, error) {
	b = append(append(b, q.Method...), ' ')
	b, err := q.AppendURI(b, base)
	u := q.At(base)
	host := u.Host
	if own := q.Header["Host"]; len(own) > 0 && own[0] != "" {
		host = own[0]
	}
	b = field(append(b, " HTTP/1.1\r\n"...), "Host", host)
	if _, ok := q.Header["User-Agent"]; !ok {
		b = append(b, "User-Agent: Go-http-client/1.1\r\n"...)
	}
	if password, ok := u.User.Password(); ok && len(q.Header["Authorization"]) == 0 {
		b = append(b, "Authorization: Basic "...)
		b = append(base64.StdEncoding.AppendEncode(b, []byte(u.User.Username()+":"+password)), "\r\n"...)
	}
	for name, values := range q.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Traceparent":
			continue
		case "User-Agent":
			if len(values) == 0 || values[0] == "" { // none is sent
				continue
			}
		}
		for _, v := range values {
			b = field(b, name, v)
		}
	}
	return b, err
}

// end appends the rest of a request, after its trace context.
func end(b []byte, q *workload.Request) []byte {
	if len(q.Body) > 0 || q.Method == http.MethodPost || q.Method == http.MethodPut || q.Method == http.MethodPatch {
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(q.Body)), 10), "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, q.Body...)
}

// field appends a header field. As net/http, it replaces line ends in its value.
func field(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return append(append(b, value...), "\r\n"...)
}

// appendTraceparent appends a traceparent (W3C Trace Context, 3.2) as a header field.
func appendTraceparent(b []byte, sc trace.SpanContext) []byte {
	id, span := sc.TraceID(), sc.SpanID()
	b = hex.AppendEncode(append(b, "Traceparent: 00-"...), id[:])
	b = hex.AppendEncode(append(b, '-'), span[:])
	return append(hex.AppendEncode(append(b, '-'), []byte{byte(sc.TraceFlags())}), "\r\n"...)
}

// discard reads a body to its end.
func discard(body io.ReadCloser) (uint64, error) {
	n, err := io.Copy(io.Discard, body)
	_ = body.Close()
	return uint64(n), err
}

// bodyError is the error of a body that ends early.
func bodyError(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

package http2

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	frames "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"soundcheck/loadgen/connect"
)

const (
	maxStream = 1 << 30   // a connection is not used for streams after this one
	maxHead   = 10 << 20  // size of a response's header, as net/http's
	window    = 1<<30 - 1 // of flow control: bodies are read at once, so that TCP limits them
	frameSize = 16 << 10  // of frames: each server must accept it, and we accept no larger ones
	maxNames  = 1000      // of headers to remember
)

// conn is a connection, for one request at a time.
type conn struct {
	net.Conn
	client  *Client
	raw     syscall.RawConn // of TCP; nil: unknown
	secure  bool
	address string
	probe   [1]byte
	r       *bufio.Reader
	w       *bufio.Writer
	framer  *frames.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	lower   names // of fields on the wire
	upper   names // of fields in an http.Header

	used        bool      // by an earlier request
	idle        time.Time // since
	ending      bool      // no more requests
	unprocessed bool      // the server has said so of the request
	next        uint32    // stream
	stream      uint32    // of the request; 0: idle
	received    int64     // bytes for which no WINDOW_UPDATE was sent

	windows struct{ initial, conn, stream int64 } // for what we send
}

// ErrLongHead is that the header of a response is too long.
var ErrLongHead = fmt.Errorf("the response headers are longer than %d MiB", maxHead>>20)

// errHTTP1 is that a server responds to HTTP/2 with HTTP/1.
var errHTTP1 = fmt.Errorf("%w: it responds with HTTP/1", connect.ErrNoHTTP2)

func newConn(t *Client, nc, raw net.Conn, address string) *conn {
	c := &conn{client: t, Conn: nc, secure: nc != raw, address: address, next: 1, lower: names{}, upper: names{}, r: bufio.NewReaderSize(nc, 8<<10), w: bufio.NewWriterSize(nc, 8<<10)}
	if s, ok := raw.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn()
	}
	c.framer = frames.NewFramer(c.w, c.r)
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(frameSize)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = maxHead
	c.encoder = hpack.NewEncoder(&c.block)
	c.windows.initial, c.windows.conn = 65535, 65535 // RFC 9113, 6.9.2
	return c
}

// greet writes our half of the connection preface. It is sent with the first request.
func (c *conn) greet() error {
	_, err := c.w.WriteString(frames.ClientPreface)
	return errors.Join(err,
		c.framer.WriteSettings(frames.Setting{ID: frames.SettingEnablePush, Val: 0}, frames.Setting{ID: frames.SettingInitialWindowSize, Val: window},
			frames.Setting{ID: frames.SettingMaxHeaderListSize, Val: maxHead}),
		c.framer.WriteWindowUpdate(0, window-65535))
}

// exchange sends a request and reads the header of its response. First notes the time of its first frame.
func (c *conn) exchange(req *http.Request, first *stopwatch) (*http.Response, error) {
	c.stream, c.unprocessed = c.next, false
	c.next += 2
	c.windows.stream = c.windows.initial
	hasBody := req.Body != nil && req.Body != http.NoBody
	if err := c.writeHead(req, !hasBody); err != nil {
		return nil, err
	}
	var b *body // of the response; nil: none yet
	var err error
	if hasBody {
		b, err = c.writeBody(req, first)
	}
	err = errors.Join(err, c.w.Flush())
	for b == nil && err == nil {
		b, err = c.readHead(req, first)
	}
	if err != nil {
		return nil, err
	}
	return b.resp, nil
}

// writeBody sends the body as far as the server's flow control permits. A response may begin before all is sent. As with
// net/http, its end or a status above 299 ends the request.
func (c *conn) writeBody(req *http.Request, first *stopwatch) (b *body, err error) {
	defer req.Body.Close()
	var early []byte // of the response's body
	defer func() {
		if b != nil && len(early) > 0 {
			b.data = early
		}
	}()
	buf := make([]byte, min(frameSize, max(req.ContentLength, 1)))
	for rest := req.ContentLength; rest > 0; {
		if b != nil && (b.ended || b.resp.StatusCode > 299) {
			b.unsent = true
			return b, nil
		}
		free := min(c.windows.conn, c.windows.stream)
		if free <= 0 {
			err = c.w.Flush()
			switch {
			case err != nil:
			case b == nil:
				b, err = c.readHead(req, first)
			default:
				err = b.next()
				early, b.data = append(early, b.data...), nil
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		n, err := io.ReadFull(req.Body, buf[:min(int64(len(buf)), free, rest)])
		if err != nil {
			return nil, err
		}
		rest -= int64(n)
		c.windows.conn -= int64(n)
		c.windows.stream -= int64(n)
		if err = c.framer.WriteData(c.stream, rest == 0, buf[:n]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// readFrame reads a frame and handles those of the connection: it returns only HEADERS and DATA of the request, else nil.
func (c *conn) readFrame() (frames.Frame, error) {
	f, err := c.framer.ReadFrame()
	if h, ok := f.(*frames.MetaHeadersFrame); ok && h.Truncated {
		return nil, ErrLongHead
	}
	if err != nil {
		if strings.Contains(err.Error(), "looked like an HTTP/1.1 header") {
			err = errHTTP1
		}
		if err == io.EOF { // between two frames, but not at the end of a response
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch f := f.(type) {
	case *frames.MetaHeadersFrame:
		if f.StreamID == c.stream {
			return f, nil
		}
	case *frames.DataFrame:
		if err := c.account(int64(f.Length)); err != nil {
			return nil, err
		}
		if f.StreamID == c.stream {
			return f, nil
		}
	case *frames.SettingsFrame:
		return nil, c.settings(f)
	case *frames.PingFrame:
		if !f.IsAck() {
			return nil, errors.Join(c.framer.WritePing(true, f.Data), c.w.Flush())
		}
	case *frames.WindowUpdateFrame:
		switch f.StreamID {
		case 0:
			c.windows.conn += int64(f.Increment)
		case c.stream:
			c.windows.stream += int64(f.Increment)
		}
	case *frames.GoAwayFrame:
		c.ending = true
		if c.unprocessed = f.LastStreamID < c.stream; c.unprocessed || f.ErrCode != frames.ErrCodeNo {
			return nil, &GoAwayError{f.ErrCode, string(f.DebugData())}
		}
	case *frames.RSTStreamFrame:
		if f.StreamID == c.stream {
			return nil, frames.StreamError{StreamID: f.StreamID, Code: f.ErrCode}
		}
	case *frames.PushPromiseFrame:
		return nil, frames.ConnectionError(frames.ErrCodeProtocol)
	}
	return nil, nil
}

// idleFrame handles a frame while there is no request.
func (c *conn) idleFrame() error {
	c.stream = 0
	f, err := c.readFrame()
	if f != nil {
		err = frames.ConnectionError(frames.ErrCodeProtocol)
	}
	return err
}

// account counts bytes of flow control, and grants the server new ones.
func (c *conn) account(n int64) error {
	if c.received += n; c.received < window/2 {
		return nil
	}
	n, c.received = c.received, 0
	err := c.framer.WriteWindowUpdate(0, uint32(n))
	if c.stream != 0 { // a long body, or many: too much does no harm as long as a window is below 2³¹
		err = errors.Join(err, c.framer.WriteWindowUpdate(c.stream, uint32(n)))
	}
	return errors.Join(err, c.w.Flush())
}

// settings applies the server's settings.
func (c *conn) settings(f *frames.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if v, ok := f.Value(frames.SettingInitialWindowSize); ok {
		c.windows.stream += int64(v) - c.windows.initial
		c.windows.initial = int64(v)
	}
	if v, ok := f.Value(frames.SettingHeaderTableSize); ok {
		c.encoder.SetMaxDynamicTableSize(min(v, 4096))
	}
	return errors.Join(c.framer.WriteSettingsAck(), c.w.Flush())
}

// readHead reads a frame. It returns the response, as its body, after its header.
func (c *conn) readHead(req *http.Request, first *stopwatch) (*body, error) {
	f, err := c.readFrame()
	if f == nil || err != nil {
		return nil, err
	}
	first.stop()
	h, ok := f.(*frames.MetaHeadersFrame)
	if !ok {
		return nil, frames.ConnectionError(frames.ErrCodeProtocol) // DATA before HEADERS
	}
	status, err := strconv.Atoi(h.PseudoValue("status"))
	if err != nil || status < 100 || status > 999 || status < 200 && h.StreamEnded() {
		return nil, frames.ConnectionError(frames.ErrCodeProtocol)
	}
	if status < 200 {
		return nil, nil
	}
	resp := &http.Response{Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: c.header(h.RegularFields()), ContentLength: -1, Request: req}
	switch length := resp.Header.Get("Content-Length"); {
	case length != "":
		if resp.ContentLength, err = strconv.ParseInt(length, 10, 64); err != nil || resp.ContentLength < 0 {
			return nil, frames.ConnectionError(frames.ErrCodeProtocol)
		}
	case h.StreamEnded():
		resp.ContentLength = 0
	}
	b := &body{conn: c, resp: resp, rest: resp.ContentLength, ended: h.StreamEnded()}
	if b.ended || req.Method == http.MethodHead || status == http.StatusNotModified {
		b.rest = 0 // the length is that of a GET (RFC 9110, 8.6)
	}
	resp.Body = b
	return b, nil
}

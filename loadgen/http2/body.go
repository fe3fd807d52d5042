package http2

import (
	"errors"
	"io"
	"net/http"

	frames "golang.org/x/net/http2"
)

// body is the body of a response. It returns the connection at its end.
type body struct {
	conn   *conn // nil: returned
	resp   *http.Response
	data   []byte // of the last frame
	ended  bool   // no more frames
	rest   int64  // of Content-Length; below 0: unknown
	unsent bool   // the request was not sent completely
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	for len(b.data) == 0 {
		if b.ended {
			b.end(true)
			return 0, io.EOF
		}
		if b.conn == nil {
			return 0, http.ErrBodyReadAfterClose
		}
		if err := b.next(); err != nil {
			b.end(false)
			return 0, err
		}
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	if len(b.data) == 0 && b.ended {
		b.end(true)
		return n, io.EOF
	}
	return n, nil
}

// next reads a frame.
func (b *body) next() error {
	f, err := b.conn.readFrame()
	if err != nil {
		return err
	}
	switch f := f.(type) {
	case *frames.DataFrame:
		b.data, b.ended = f.Data(), f.StreamEnded()
		if b.rest >= 0 {
			if b.rest -= int64(len(b.data)); b.rest < 0 {
				return frames.StreamError{StreamID: f.StreamID, Code: frames.ErrCodeProtocol}
			}
		}
	case *frames.MetaHeadersFrame:
		if !f.StreamEnded() {
			return frames.StreamError{StreamID: f.StreamID, Code: frames.ErrCodeProtocol}
		}
		b.resp.Trailer, b.ended = b.conn.header(f.RegularFields()), true
	}
	if b.ended && b.rest > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// end returns the connection, after the end of the response if it is to be kept.
func (b *body) end(keep bool) {
	c := b.conn
	if c == nil {
		return
	}
	b.conn = nil
	c.used = true
	if keep && b.unsent {
		// Not before the end of the response, which would end with it.
		keep = errors.Join(c.framer.WriteRSTStream(c.stream, frames.ErrCodeCancel), c.w.Flush()) == nil
	}
	if keep {
		c.client.keep(c)
	} else {
		c.client.pool.Drop(c)
	}
}

// Close closes the connection if the body was not read to its end.
func (b *body) Close() error {
	b.end(b.ended && len(b.data) == 0)
	b.data = nil
	return nil
}

package http2

import (
	"net/http"
	"strconv"
	"strings"

	frames "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// writeHead writes the header of a request.
func (c *conn) writeHead(req *http.Request, end bool) error {
	c.block.Reset()
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	c.field(":method", req.Method)
	c.field(":scheme", req.URL.Scheme)
	c.field(":authority", host)
	c.field(":path", req.URL.RequestURI())
	for name, values := range req.Header {
		lower := c.lower.get(name, strings.ToLower)
		switch lower {
		case "host", "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "content-length":
			continue // RFC 9113, 8.2.2
		case "user-agent":
			if len(values) == 1 && values[0] == "" {
				continue // none, as with net/http
			}
		}
		for _, v := range values {
			c.field(lower, v)
		}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		c.field("user-agent", "Go-http-client/2.0")
	}
	if n := req.ContentLength; n > 0 || n == 0 && (req.Method == http.MethodPost || req.Method == http.MethodPut || req.Method == http.MethodPatch) {
		c.field("content-length", strconv.FormatInt(n, 10))
	}
	block := c.block.Bytes()
	part := block[:min(len(block), frameSize)]
	block = block[len(part):]
	err := c.framer.WriteHeaders(frames.HeadersFrameParam{StreamID: c.stream, BlockFragment: part, EndStream: end, EndHeaders: len(block) == 0})
	for err == nil && len(block) > 0 {
		part = block[:min(len(block), frameSize)]
		block = block[len(part):]
		err = c.framer.WriteContinuation(c.stream, len(block) == 0, part)
	}
	return err
}

// field writes a field. A traceparent is another one in each request: it would fill the table of fields.
func (c *conn) field(name, value string) {
	_ = c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: name == "traceparent"}) // to memory
}

// names remembers converted names of fields.
type names map[string]string

func (n names) get(name string, convert func(string) string) string {
	if s, ok := n[name]; ok {
		return s
	}
	s := convert(name)
	if len(n) < maxNames {
		n[name] = s
	}
	return s
}

func (c *conn) header(fields []hpack.HeaderField) http.Header {
	h := make(http.Header, len(fields))
	values := make([]string, len(fields))
	for i, f := range fields {
		name := c.upper.get(f.Name, http.CanonicalHeaderKey)
		values[i] = f.Value
		if list := h[name]; list != nil {
			h[name] = append(list, f.Value)
		} else {
			h[name] = values[i : i+1 : i+1]
		}
	}
	return h
}

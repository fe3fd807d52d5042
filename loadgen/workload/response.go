package workload

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// MaxBody is the limit of a response body that is read, in bytes.
const MaxBody = 16 << 20

// Reads is what is read of a response.
type Reads struct {
	Header bool
	Body   int // max bytes, with the header; 0: none
}

// Response is what was read of a response.
type Response struct {
	URL    *url.URL // after redirects
	Status int
	Header http.Header
	Body   []byte // as received, which may be compressed
	Size   uint64 // of the body, of which Body may be the beginning
}

// Failure is a response that fails a check.
type Failure struct {
	Check  string // what it fails, the same text for each such response
	Detail string // how
}

// Content returns the whole body, decompressed.
func (r Response) Content() ([]byte, error) {
	if r.Size > uint64(len(r.Body)) {
		return nil, fmt.Errorf("the body has %d bytes, at most %d are read", r.Size, len(r.Body))
	}
	switch coding := strings.ToLower(r.Header.Get("Content-Encoding")); {
	case coding == "" || coding == "identity" || len(r.Body) == 0:
		return r.Body, nil
	case coding != "gzip" && coding != "x-gzip":
		return nil, fmt.Errorf("the body has content coding %q, only gzip is decoded", coding)
	}
	z, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("the body is not gzip: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(z, MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the body is not gzip: %w", err)
	case len(b) > MaxBody:
		return nil, fmt.Errorf("the body has more than %d bytes", MaxBody)
	}
	return b, nil
}

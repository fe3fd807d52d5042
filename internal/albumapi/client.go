package albumapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"soundcheck/internal/album"
	"soundcheck/internal/cli"
	"soundcheck/internal/httpheader"
	"soundcheck/internal/upstream"
)

// ClientOptions configure a Client.
type ClientOptions struct {
	Timeout   time.Duration // per call, body included; 0: 10 s
	Conns     int           // max idle connections to the store; 0: 256
	Telemetry Telemetry
	// Wrap, if not nil, wraps the transport: each attempt goes through it.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Client is an album.Service that calls an albumhttp.Handler at another address. Each attempt of a
// call is a client span, the parent of the Handler's server span.
type Client struct {
	pool    *upstream.Pool
	timeout time.Duration
}

var _ album.Service = (*Client)(nil)

// NewClient returns a Client of the store at base, as in "http://127.0.0.1:9080",
// without retries.
func NewClient(base string, o ClientOptions) (*Client, error) {
	u, err := cli.ParseURL(base)
	if err != nil {
		return nil, err
	}
	return NewUpstreamClient(upstream.Options{URLs: []string{u}, Timeout: o.Timeout, Conns: o.Conns, Wrap: o.Wrap}, o.Telemetry)
}

// NewUpstreamClient returns a Client that calls the store with o.
func NewUpstreamClient(o upstream.Options, t Telemetry) (*Client, error) {
	o.TracerProvider, o.MeterProvider, o.Propagator, o.Logger = t.TracerProvider, t.MeterProvider, t.Propagator, t.Logger
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	pool, err := upstream.New(o)
	if err != nil {
		return nil, err
	}
	return &Client{pool, o.Timeout}, nil
}

// Close closes idle connections.
func (c *Client) Close() error { return c.pool.Close() }

// List implements album.Service.
func (c *Client) List(ctx context.Context, q album.Query) (album.Page, error) {
	var p album.Page
	header, err := c.call(ctx, request{method: http.MethodGet, route: "/albums", path: listPath(q)}, http.StatusOK, &p.Albums)
	if err != nil {
		return album.Page{}, err
	}
	p.Next, err = parseNext(q.Filter, header)
	return p, err
}

// Get implements album.Service.
func (c *Client) Get(ctx context.Context, id int64) (album.Album, error) {
	var a album.Album
	_, err := c.call(ctx, request{method: http.MethodGet, route: "/albums/:id", path: albumPath(id)}, http.StatusOK, &a)
	return a, err
}

// Put implements album.Service.
func (c *Client) Put(ctx context.Context, a album.Album) (_ album.Album, created bool, err error) {
	resp, err := c.do(ctx, request{method: http.MethodPut, route: "/albums/:id", path: albumPath(a.ID), body: appendInput(nil, &a)})
	if err != nil {
		return album.Album{}, false, err
	}
	created = resp.StatusCode == http.StatusCreated
	if !created && resp.StatusCode != http.StatusOK {
		return album.Album{}, false, resp.asError()
	}
	err = resp.decode(&a)
	return a, created, err
}

// Delete implements album.Service.
func (c *Client) Delete(ctx context.Context, id int64) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, route: "/albums/:id", path: albumPath(id)}, http.StatusNoContent, nil)
	return err
}

// Create implements album.Service.
func (c *Client) Create(ctx context.Context, w album.Write) (album.Created, error) {
	req := newWrite(w)
	created := album.Created{Albums: slices.Clone(w.Albums)}
	var into any = &created.Albums[0]
	var ids Result
	if w.Batch {
		into = &ids
	}
	header, err := c.call(ctx, req, http.StatusCreated, into)
	created.Replayed = header.Get("Idempotency-Replayed") == "true"
	if err != nil {
		return album.Created{Replayed: created.Replayed}, err
	}
	if w.Batch {
		if len(ids.IDs) != len(w.Albums) {
			return album.Created{}, fmt.Errorf("%w: %d ids for %d albums", album.ErrUnavailable, len(ids.IDs), len(w.Albums))
		}
		for i, id := range ids.IDs {
			created.Albums[i].ID = id
		}
	}
	return created, nil
}

// Submit implements album.Service.
func (c *Client) Submit(ctx context.Context, w album.Write) (_ album.Operation, replayed bool, err error) {
	req := newWrite(w)
	req.prefer = "respond-async"
	var op Operation
	header, err := c.call(ctx, req, http.StatusAccepted, &op)
	return op.album(), header.Get("Idempotency-Replayed") == "true", err
}

// Operation implements album.Service.
func (c *Client) Operation(ctx context.Context, id string) (album.Operation, error) {
	var op Operation
	_, err := c.call(ctx, request{method: http.MethodGet, route: "/operations/:id", path: "/operations/" + url.PathEscape(id)}, http.StatusOK, &op)
	return op.album(), err
}

// Try sends any body, valid or not, to POST /albums, and returns the response. A response that
// asks for a retry, or none, is an error.
func (c *Client) Try(ctx context.Context, contentType string, body []byte) (status int, p Problem, err error) {
	resp, err := c.do(ctx, request{method: http.MethodPost, route: "/albums", path: "/albums", body: body, contentType: contentType})
	if err != nil {
		return 0, p, err
	}
	if resp.StatusCode >= 400 {
		if err := resp.asError(); album.Later(err) {
			return resp.StatusCode, p, err
		}
		err = resp.decode(&p)
	}
	return resp.StatusCode, p, err
}

const batchPath = "/albums/batch"

func newWrite(w album.Write) request {
	req := request{method: http.MethodPost, route: "/albums", path: "/albums", key: w.Key}
	if !w.Batch {
		req.body = appendInput(nil, &w.Albums[0])
		return req
	}
	req.route, req.path = batchPath, batchPath
	req.body = append(make([]byte, 0, len(w.Albums)*inputSize), '[')
	for i := range w.Albums {
		if i > 0 {
			req.body = append(req.body, ',')
		}
		req.body = appendInput(req.body, &w.Albums[i])
	}
	req.body = append(req.body, ']')
	return req
}

func albumPath(id int64) string { return "/albums/" + strconv.FormatInt(id, 10) }

// request is a call to the store.
type request struct {
	method, route, path string
	body                []byte
	accept, contentType string // empty: JSON
	key, prefer         string
}

// response is the store's complete response.
type response struct {
	*upstream.Response
	req request
}

func (a *response) decode(into any) error {
	if into == nil {
		return nil
	}
	if err := decodeBody(a.Body, into); err != nil {
		return fmt.Errorf("%s %s: decode response: %w: %w", a.req.method, a.req.route, err, album.ErrUnavailable)
	}
	return nil
}

// decodeBody decodes JSON, albums in the form in which AppendAlbum writes them without reflection.
func decodeBody(body []byte, into any) error {
	valid := utf8.Valid(body)
	switch into := into.(type) {
	case *album.Album:
		if valid && scanAlbum(body, into) {
			return nil
		}
	case *[]album.Album:
		if albums, ok := scanAlbums(body, album.MaxLimit); valid && ok {
			*into = albums
			return nil
		}
	}
	return json.Unmarshal(body, into)
}

// call returns the header of error responses too.
func (c *Client) call(ctx context.Context, r request, want int, into any) (http.Header, error) {
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != want {
		return resp.Header, resp.asError()
	}
	return resp.Header, resp.decode(into)
}

func (c *Client) do(ctx context.Context, r request) (*response, error) {
	a, err := c.pool.Do(ctx, r.upstream())
	if err != nil {
		return nil, upstreamError(err)
	}
	return &response{a, r}, nil
}

// upstream returns the request for the pool. A POST with an idempotency key is retryable.
func (r request) upstream() *upstream.Request {
	h := http.Header{"Accept": {cmp.Or(r.accept, JSONType) + ", " + ProblemType}}
	if r.body != nil {
		h.Set("Content-Type", cmp.Or(r.contentType, JSONType))
	}
	if r.key != "" {
		h.Set("Idempotency-Key", r.key)
	}
	if r.prefer != "" {
		h.Set("Prefer", r.prefer)
	}
	return &upstream.Request{Method: r.method, Route: r.route, Path: r.path, Header: h, Body: r.body,
		Retryable: r.method != http.MethodPost || r.key != "", NoAttemptTimeout: r.path == batchPath}
}

// upstreamError maps an error of the pool to the domain's.
func upstreamError(err error) error {
	switch {
	case errors.Is(err, upstream.ErrUnavailable):
		return fmt.Errorf("%w: %w", album.ErrUnavailable, err)
	case errors.Is(err, upstream.ErrTimeout):
		return fmt.Errorf("%w: %w", album.ErrTimeout, err)
	default:
		return err
	}
}

// asError returns the error of a response.
func (a *response) asError() error {
	media, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	var p Problem
	foreign := media != ProblemType || json.Unmarshal(a.Body, &p) != nil
	if foreign {
		p = Problem{}
	}
	p.Status = a.StatusCode // the member of the body is only advisory
	err := errorFor(p)
	if errors.Is(err, ErrNoMethod) && a.Request != nil { // the client's methods exist: its URL is wrong
		err = fmt.Errorf("%w: %s %s", err, a.req.method, a.Request.URL.Redacted())
	}
	if foreign || !strings.HasPrefix(p.Type, TypePrefix) || errors.Is(err, album.ErrUnavailable) {
		err = fmt.Errorf("%w: responded %s", err, a.Status)
		if foreign {
			err = fmt.Errorf("%w with %q", err, media)
		}
		if p.TraceID != "" {
			err = fmt.Errorf("%w, trace %s", err, p.TraceID)
		}
		if foreign && errors.Is(err, album.ErrUnavailable) {
			err = fmt.Errorf("%w: %w", err, ErrForeign)
		}
	}
	return a.withRetryAfter(err)
}

// ErrForeign means that a response is neither from an album service nor an error status of a
// gateway: there may be no album service at this address.
var ErrForeign = errors.New("not a response of an album service")

// withRetryAfter adds the Retry-After of a response to its error. A 429 without one (RFC 6585,
// section 4, makes it optional) counts as one second.
func (a *response) withRetryAfter(err error) error {
	after, ok := httpheader.RetryAfter(a.Header)
	switch {
	case ok:
		return &retryAfterError{err, after}
	case errors.Is(err, ErrRateLimited):
		return &retryAfterError{err, time.Second}
	}
	return err
}

// parseNext returns the last id of this page from its Link header, or 0.
func parseNext(f album.Filter, h http.Header) (int64, error) {
	next := httpheader.NextPage(h)
	if next == "" {
		return 0, nil
	}
	u, err := url.Parse(next)
	if err != nil {
		return 0, fmt.Errorf("%w: Link %q: %w", album.ErrUnavailable, next, err)
	}
	after, err := DecodeCursor(f, u.Query().Get("cursor"))
	if err != nil {
		return 0, fmt.Errorf("%w: Link %q: %w", album.ErrUnavailable, next, err)
	}
	return after, nil
}

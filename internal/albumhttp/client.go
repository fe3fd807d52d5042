package albumhttp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"soundcheck/internal/album"
)

// maxAnswer is how much of an answer is read: a full page of the largest albums.
const maxAnswer = 16 << 20

// ClientOptions configure a Client.
type ClientOptions struct {
	Timeout   time.Duration // for one call, body included; 0 means 10 s
	Conns     int           // idle connections kept to the store; 0 means 256
	Telemetry Telemetry
	// Wrap, if not nil, is put around the transport: each call goes through it.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Client is an album.Service that calls a Handler at another address. Each call
// is one client span that the Handler's server span continues.
type Client struct {
	base    string
	http    *http.Client
	timeout time.Duration
}

var _ album.Service = (*Client)(nil)

// NewClient returns a Client of the store at base, as in "http://127.0.0.1:9080".
func NewClient(base string, o ClientOptions) (*Client, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is not an http:// or https:// URL with a host", base)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("%q must not have a query, a fragment or a user", base)
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Conns == 0 {
		o.Conns = 256
	}
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.MaxIdleConns, tr.MaxIdleConnsPerHost = o.Conns, o.Conns
	var rt http.RoundTripper = tr
	if o.Wrap != nil {
		rt = o.Wrap(tr)
	}
	tp, mp, prop := o.Telemetry.providers()
	return &Client{
		base:    strings.TrimSuffix(u.String(), "/"),
		timeout: o.Timeout,
		http: &http.Client{
			Transport: otelhttp.NewTransport(rt, otelhttp.WithTracerProvider(tp), otelhttp.WithMeterProvider(mp),
				otelhttp.WithPropagators(prop), otelhttp.WithSpanNameFormatter(spanName)),
			// The store never redirects; whoever answers so is not the store.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// spanName is "{method} {route}" with the route's parameter not filled in, so
// that names stay few.
func spanName(_ string, r *http.Request) string {
	route, _ := r.Context().Value(routeKey{}).(string)
	return r.Method + " " + route
}

type routeKey struct{}

// List implements album.Service.
func (c *Client) List(ctx context.Context, q album.Query) (album.Page, error) {
	var p album.Page
	header, err := c.call(ctx, request{method: http.MethodGet, route: "/albums", path: listPath(q)}, http.StatusOK, &p.Albums)
	if err != nil {
		return album.Page{}, err
	}
	p.Next, err = parseNext(q.Filter, header.Values("Link"))
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
	body, err := marshal(input(a))
	if err != nil {
		return album.Album{}, false, err
	}
	resp, err := c.do(ctx, request{method: http.MethodPut, route: "/albums/:id", path: albumPath(a.ID), body: body})
	if err != nil {
		return album.Album{}, false, err
	}
	created = resp.StatusCode == http.StatusCreated
	if !created && resp.StatusCode != http.StatusOK {
		return album.Album{}, false, resp.asError()
	}
	return a, created, resp.decode(&a)
}

// Delete implements album.Service.
func (c *Client) Delete(ctx context.Context, id int64) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, route: "/albums/:id", path: albumPath(id)}, http.StatusNoContent, nil)
	return err
}

// Create implements album.Service.
func (c *Client) Create(ctx context.Context, w album.Write) (album.Created, error) {
	req, err := newWrite(w)
	if err != nil {
		return album.Created{}, err
	}
	created := album.Created{Albums: slices.Clone(w.Albums)}
	var into any = &created.Albums[0]
	var ids result
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
	req, err := newWrite(w)
	if err != nil {
		return album.Operation{}, false, err
	}
	req.prefer = "respond-async"
	var op operation
	header, err := c.call(ctx, req, http.StatusAccepted, &op)
	return op.album(), header.Get("Idempotency-Replayed") == "true", err
}

// Operation implements album.Service.
func (c *Client) Operation(ctx context.Context, id string) (album.Operation, error) {
	var op operation
	_, err := c.call(ctx, request{method: http.MethodGet, route: "/operations/:id", path: "/operations/" + url.PathEscape(id)}, http.StatusOK, &op)
	return op.album(), err
}

// input is an album to keep: without an id if it has none, and without what the
// store sets.
func input(a album.Album) any {
	return struct {
		ID        int64 `json:"id,omitempty"`
		CreatedAt bool  `json:"created_at,omitempty"`
		album.Album
	}{ID: a.ID, Album: a}
}

func newWrite(w album.Write) (req request, err error) {
	req = request{method: http.MethodPost, route: "/albums", path: "/albums", key: w.Key}
	if !w.Batch {
		req.body, err = marshal(input(w.Albums[0]))
		return req, err
	}
	req.route, req.path = "/albums/batch", "/albums/batch"
	list := make([]any, len(w.Albums))
	for i, a := range w.Albums {
		list[i] = input(a)
	}
	req.body, err = marshal(list)
	return req, err
}

// marshal writes JSON no longer than it has to be: what a caller has sent must fit
// also when it is sent on.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

func albumPath(id int64) string { return "/albums/" + strconv.FormatInt(id, 10) }

// request is a call of the store.
type request struct {
	method, route, path string
	body                []byte
	accept              string // empty: JSON
	key, prefer         string
}

// answer is what the store said, read to its end.
type answer struct {
	*http.Response
	body []byte
	req  request
}

func (a *answer) decode(into any) error {
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("%s %s: decode the answer: %w: %w", a.req.method, a.req.route, err, album.ErrUnavailable)
	}
	return nil
}

// call returns the header also of an answer that is an error.
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

func (c *Client) do(ctx context.Context, r request) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, c.transportError(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, c.transportError(ctx, err)
	}
	return &answer{resp, body, r}, nil
}

func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	ctx = context.WithValue(ctx, routeKey{}, r.route)
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", cmp.Or(r.accept, jsonType)+", "+problemType)
	if r.body != nil {
		req.Header.Set("Content-Type", jsonType)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if r.prefer != "" {
		req.Header.Set("Prefer", r.prefer)
	}
	return c.http.Do(req)
}

// transportError tells apart a caller who left, a store that is slow and a store
// that is not there.
func (c *Client) transportError(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%w: %w", context.Canceled, err)
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: %s", album.ErrTimeout, err)
	default:
		return fmt.Errorf("%w: %w", album.ErrUnavailable, err)
	}
}

// asError returns the error that an answer stands for.
func (a *answer) asError() error {
	media, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	var p Problem
	if media != problemType || json.Unmarshal(a.body, &p) != nil {
		return fmt.Errorf("%w: answered %s with %q, not with a problem", album.ErrUnavailable, a.Status, media)
	}
	p.Status = a.StatusCode // the advisory member could say anything
	err := errorFor(p)
	if errors.Is(err, album.ErrUnavailable) {
		return fmt.Errorf("%w: answered %s, trace %s", err, a.Status, p.TraceID)
	}
	return err
}

var linkNext = regexp.MustCompile(`<([^>]*)>\s*;[^,]*rel="?next"?`)

// parseNext returns the last id of this page from its Link header, or 0.
func parseNext(f album.Filter, links []string) (int64, error) {
	for _, l := range links {
		m := linkNext.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		u, err := url.Parse(m[1])
		if err != nil {
			return 0, fmt.Errorf("%w: Link %q: %w", album.ErrUnavailable, l, err)
		}
		after, err := decodeCursor(f, u.Query().Get("cursor"))
		if err != nil {
			return 0, fmt.Errorf("%w: Link %q: %w", album.ErrUnavailable, l, err)
		}
		return after, nil
	}
	return 0, nil
}

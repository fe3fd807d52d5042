package albumhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
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
	tp, mp, prop := o.Telemetry.providers()
	return &Client{
		base:    strings.TrimSuffix(u.String(), "/"),
		timeout: o.Timeout,
		http: &http.Client{
			Transport: otelhttp.NewTransport(tr, otelhttp.WithTracerProvider(tp), otelhttp.WithMeterProvider(mp),
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
	header, err := c.call(ctx, http.MethodGet, "/albums", listPath(q), nil, http.StatusOK, &p.Albums)
	if err != nil {
		return album.Page{}, err
	}
	p.Next, err = parseNext(header.Values("Link"))
	return p, err
}

// Get implements album.Service.
func (c *Client) Get(ctx context.Context, id int64) (album.Album, error) {
	var a album.Album
	_, err := c.call(ctx, http.MethodGet, "/albums/:id", "/albums/"+strconv.FormatInt(id, 10), nil, http.StatusOK, &a)
	return a, err
}

// Create implements album.Service.
func (c *Client) Create(ctx context.Context, a album.Album) (album.Album, error) {
	body, err := encodeNew(a)
	if err != nil {
		return album.Album{}, err
	}
	_, err = c.call(ctx, http.MethodPost, "/albums", "/albums", body, http.StatusCreated, &a)
	if err != nil {
		return album.Album{}, err
	}
	return a, nil
}

// encodeNew writes an album to create, without the id if it has none.
func encodeNew(a album.Album) ([]byte, error) {
	return json.Marshal(struct {
		ID int64 `json:"id,omitempty"`
		album.Album
	}{a.ID, a})
}

func (c *Client) call(ctx context.Context, method, route, path string, body []byte, want int, into any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx = context.WithValue(ctx, routeKey{}, route)
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, "+problemType)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.transportError(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, c.transportError(ctx, err)
	}
	if resp.StatusCode != want {
		return nil, answerError(resp, answer)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return nil, fmt.Errorf("%s %s: decode the answer: %w: %w", method, route, err, album.ErrUnavailable)
	}
	return resp.Header, nil
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

func answerError(resp *http.Response, body []byte) error {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var p Problem
	if media != problemType || json.Unmarshal(body, &p) != nil {
		return fmt.Errorf("%w: answered %s with %q, not with a problem", album.ErrUnavailable, resp.Status, media)
	}
	p.Status = resp.StatusCode // the advisory member could say anything
	err := errorFor(p)
	if errors.Is(err, album.ErrUnavailable) {
		return fmt.Errorf("%w: answered %s, trace %s", err, resp.Status, p.TraceID)
	}
	return err
}

var linkNext = regexp.MustCompile(`<([^>]*)>\s*;[^,]*rel="?next"?`)

// parseNext returns the last id of this page from its Link header, or 0.
func parseNext(links []string) (int64, error) {
	for _, l := range links {
		m := linkNext.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		u, err := url.Parse(m[1])
		if err != nil {
			return 0, fmt.Errorf("%w: Link %q: %w", album.ErrUnavailable, l, err)
		}
		after, err := decodeCursor(u.Query().Get("cursor"))
		if err != nil {
			return 0, fmt.Errorf("%w: Link %q: %w", album.ErrUnavailable, l, err)
		}
		return after, nil
	}
	return 0, nil
}

package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"soundcheck/loadgen/failure"
	"soundcheck/loadgen/http1"
	"soundcheck/loadgen/workload"
)

// hop is a request to one URL: that of the workload, or one after a redirect.
type hop struct {
	method string
	url    *url.URL
	text   string // URL without user and password
	header http.Header
	body   []byte
}

// follow sends the request once, and what its redirects ask for: they are part of the request. Each has its own span.
func (w *worker) follow(ctx context.Context, n *note, u *url.URL, deadline time.Time) http1.Reply {
	q := n.request
	if u == nil {
		return w.attempt(ctx, n, nil, deadline)
	}
	h := hop{q.Method, u, workload.Plain(u), q.Header, q.Body}
	most := w.c.Connect.Redirects
	for i := 0; ; i++ {
		r := w.attempt(ctx, n, &h, deadline)
		if r.Err != nil || most == 0 || !isRedirect(r) {
			return r
		}
		next, err := h.next(r)
		if err == nil && i == most {
			err = fmt.Errorf("%w: max %d, the last to %s", failure.ErrRedirects, most, next.text)
		}
		if err != nil {
			return http1.Reply{Err: err}
		}
		h = next
		n.resends++
	}
}

// isRedirect reports whether a client follows a response. As with net/http and curl, 300 and 304 are final.
func isRedirect(r http1.Reply) bool {
	switch r.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return r.Header.Get("Location") != ""
	}
	return false
}

// next returns the request after a redirect. As with net/http, a 301, 302 or 303 turns any method but GET and HEAD into
// GET without a body. As with curl, another scheme, host or port does not get the credentials.
func (h hop) next(resp http1.Reply) (hop, error) {
	u, err := h.url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return h, fmt.Errorf("%w: %q", failure.ErrLocation, resp.Header.Get("Location"))
	}
	elsewhere := u.Scheme != h.url.Scheme || !strings.EqualFold(u.Host, h.url.Host)
	h.url, h.text = u, workload.Plain(u)
	var drop []string
	if elsewhere {
		drop = append(drop, "Authorization", "Cookie", "Host", "Proxy-Authorization", "Www-Authenticate")
	}
	kept := resp.Status == http.StatusTemporaryRedirect || resp.Status == http.StatusPermanentRedirect
	if !kept && h.method != http.MethodGet && h.method != http.MethodHead {
		h.method, h.body = http.MethodGet, nil
		drop = append(drop, "Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Location")
	}
	if len(drop) > 0 {
		header := http.Header{}
		for name, values := range h.header {
			if !slices.Contains(drop, http.CanonicalHeaderKey(name)) {
				header[name] = values
			}
		}
		h.header = header
	}
	return h, nil
}

// request returns a hop for a sender.
func (h *hop) request() *http.Request {
	u := h.url
	req := &http.Request{Method: h.method, URL: u, Host: u.Host, Header: h.header.Clone(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	if u.User != nil && req.Header.Get("Authorization") == "" {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	if len(h.body) > 0 {
		body := h.body
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req
}

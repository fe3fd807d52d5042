package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// hop is a request to one URL: that of the workload, or one after a redirect.
type hop struct {
	method string
	url    *url.URL
	text   string // URL without a password
	header http.Header
	body   []byte
}

// Errors of redirects.
var (
	errRedirects = errors.New("too many redirects")
	errLocation  = errors.New("redirect without a usable Location")
)

// follow sends the request once, and what its redirects ask for: they are part of the request. Each has its own span.
func (t *transport) follow(ctx context.Context, n *note, u *url.URL, deadline time.Time) (*http.Response, *body, error) {
	q := n.request
	h := hop{q.Method, u, n.url, q.Header, q.Body}
	most := t.c.Connect.Redirects
	for i := 0; ; i++ {
		resp, b, err := t.attempt(ctx, n, h, deadline)
		if err != nil || most == 0 || !isRedirect(resp) {
			return resp, b, err
		}
		if i == most {
			err = fmt.Errorf("%w: max %d, the last to %s", errRedirects, most, resp.Header.Get("Location"))
		} else {
			h, err = h.next(resp)
		}
		_, e := io.Copy(io.Discard, b)
		_ = b.Close()
		if err := errors.Join(err, e); err != nil {
			return nil, nil, err
		}
		n.resends++
	}
}

// isRedirect reports whether a client follows a response. As with net/http and curl, 300 and 304 are final.
func isRedirect(r *http.Response) bool {
	switch r.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return r.Header.Get("Location") != ""
	}
	return false
}

// next returns the request after a redirect. As with net/http, a 301, 302 or 303 turns any method but GET and HEAD into
// GET without a body. As with curl, another scheme, host or port does not get the credentials.
func (h hop) next(resp *http.Response) (hop, error) {
	u, err := h.url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return h, fmt.Errorf("%w: %q", errLocation, resp.Header.Get("Location"))
	}
	elsewhere := u.Scheme != h.url.Scheme || !strings.EqualFold(u.Host, h.url.Host)
	h.url, h.text = u, u.Redacted()
	var drop []string
	if elsewhere {
		drop = append(drop, "Authorization", "Cookie", "Host", "Proxy-Authorization", "Www-Authenticate")
	}
	kept := resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
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

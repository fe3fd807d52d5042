package engine

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/http1"
	"soundcheck/loadgen/http2"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/workload"
)

// maxHTTP1Body is about the size of a socket buffer. A server may reject a larger body before it
// has read it; net/http notices that while writing.
const maxHTTP1Body = 64 << 10

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// isPlainHost reports whether a host is sent as it is: without a zone, or an internationalized name.
func isPlainHost(s string) bool { return isASCII(s) && !strings.Contains(s, "%") }

// sender sends a request and returns the response, as an http.RoundTripper. The deadline
// includes the response body.
type sender interface {
	send(ctx context.Context, req *http.Request, deadline time.Time, t *connect.Times) (*http.Response, error)
}

// Pool has the connections and the cookies of one or more runs.
type Pool struct {
	options  *connect.Dialer
	http1    *http1.Client   // HTTP/1.1, with and without TLS
	http2    *http2.Client   // HTTP/2, with and without TLS
	standard *http.Transport // the rest: proxies, large bodies of HTTP/1.1, and HTTP/2 with -multiplex
	jar      http.CookieJar  // nil: none
	proxied  map[string]bool // by scheme

	mu     sync.Mutex
	opened *measure.Connections // since the start of the run
}

// NewPool returns a pool with a max number of idle connections.
func NewPool(idle int, o connect.Options) *Pool {
	d := o.Dialer()
	p := &Pool{options: d, http1: http1.New(d, idle), http2: http2.New(d, idle), standard: d.Transport(idle), proxied: map[string]bool{"http": d.Proxied("http"), "https": d.Proxied("https")}}
	p.count()
	d.Opened = func(c connect.Connection) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.opened.Add(c.DNS, c.Connect, c.Handshake)
	}
	if o.CookieJar {
		// Without a list of public suffixes: no server gains by a cookie for all of .com here.
		p.jar, _ = cookiejar.New(nil) // never fails
	}
	return p
}

// count returns the connections that were opened since its last call.
func (p *Pool) count() *measure.Connections {
	p.mu.Lock()
	defer p.mu.Unlock()
	opened := p.opened
	p.opened = measure.NewConnections()
	return opened
}

// Close closes all connections, those of net/http when they are idle.
func (p *Pool) Close() {
	p.http1.Close()
	p.http2.Close()
	p.standard.CloseIdleConnections()
}

// fast reports whether http1 can send a request as bytes: in HTTP/1.1 without a proxy, a large body, or anything that
// needs the header of each response.
func (p *Pool) fast(u *url.URL, q *workload.Request) bool {
	o := p.options
	return (o.Version == connect.HTTP1 || o.Version == connect.Auto && u.Scheme == "http") && !p.proxied[u.Scheme] && p.jar == nil && !o.Compressed && !o.NoKeepalive && o.Redirects == 0 &&
		len(q.Body) <= maxHTTP1Body && q.Method != http.MethodConnect && isPlainHost(u.Host)
}

func (p *Pool) send(ctx context.Context, req *http.Request, deadline time.Time, t *connect.Times) (*http.Response, error) {
	if p.options.Compressed && !has(req.Header, "Accept-Encoding") {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	req.Close = p.options.NoKeepalive
	return p.route(ctx, req, deadline, t)
}

// has reports whether a header, which may have names in any case, has a name.
func has(h http.Header, name string) bool {
	for n, values := range h {
		if len(values) > 0 && strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// route sends with the client for the URL's scheme and the version of HTTP.
func (p *Pool) route(ctx context.Context, req *http.Request, deadline time.Time, t *connect.Times) (*http.Response, error) {
	scheme, version := req.URL.Scheme, p.options.Version
	standard := connect.Standard{RoundTripper: p.standard}
	switch {
	case p.proxied[scheme] || !isASCII(req.URL.Host):
		return standard.Send(ctx, req, deadline, t)
	case version == connect.HTTP2 && scheme == "http":
		return nil, p.options.CheckURL(req.URL.String())
	case p.options.Multiplex && (scheme == "https" || version == connect.H2C):
		return standard.Send(ctx, req, deadline, t)
	case version == connect.HTTP2 || version == connect.H2C:
		return p.send2(ctx, req, deadline, t)
	case scheme == "https" && version == connect.Auto:
		return p.negotiate(ctx, req, deadline, t)
	case req.ContentLength <= maxHTTP1Body:
		return p.http1.Send(ctx, req, deadline, t)
	}
	return standard.Send(ctx, req, deadline, t)
}

// negotiate sends with the version that the server picks.
func (p *Pool) negotiate(ctx context.Context, req *http.Request, deadline time.Time, t *connect.Times) (*http.Response, error) {
	start := time.Now()
	address, _ := http2.Address(req)
	yes, err := p.http2.Supports(ctx, address, deadline)
	if err != nil {
		return nil, err
	}
	if yes {
		asked := time.Since(start)
		resp, err := p.send2(ctx, req, deadline, t)
		t.Connected, t.FirstByte = shifted(t.Connected, asked), shifted(t.FirstByte, asked)
		if !errors.Is(err, connect.ErrNoHTTP2) { // one server of several behind an address may not support it
			return resp, err
		}
	}
	if req.ContentLength <= maxHTTP1Body {
		return p.http1.Send(ctx, req, deadline, t)
	}
	return connect.Standard{RoundTripper: p.standard}.Send(ctx, req, deadline, t)
}

func shifted(d, by time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return d + by
}

func (p *Pool) send2(ctx context.Context, req *http.Request, deadline time.Time, t *connect.Times) (*http.Response, error) {
	var tm connect.Times
	resp, err := p.http2.Send(ctx, req, deadline, &tm)
	t.Connected, t.FirstByte = tm.Connected, tm.FirstByte
	return resp, err
}

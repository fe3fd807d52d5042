// Package probe finds out whether programs are ready, and whether ports are free.
package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Timeout limits a probe. Tests lengthen it.
var Timeout = time.Second

var insecure = &tls.Config{InsecureSkipVerify: true}

var strict = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// lenient is for programs of the user: whoever signed the certificate.
var lenient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: insecure},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Ready returns nil if a URL responds with 200.
func Ready(ctx context.Context, url string) error {
	return get(ctx, strict, url, func(status int) bool { return status == http.StatusOK })
}

// Responds returns nil if a URL responds with a status below 500, also with a redirect.
func Responds(ctx context.Context, url string) error {
	return get(ctx, lenient, url, func(status int) bool { return status < 500 })
}

// Connects returns nil if the server of a URL accepts connections.
func Connects(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	host, dial := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), u.Scheme)), new(net.Dialer).DialContext
	if u.Scheme == "https" { // many servers log a connection without a handshake
		dial = (&tls.Dialer{Config: insecure}).DialContext
	}
	c, err := dial(ctx, "tcp", host)
	if err != nil {
		return err
	}
	return c.Close()
}

// HTML reports whether a URL responds with an HTML page.
func HTML(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := strict.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
}

// notSampled are the ids in the traceparent of probes: they are in no trace.
const notSampled = "736f756e64636865636b206c61622070-726f626520737061"

func get(ctx context.Context, client *http.Client, url string, ready func(status int) bool) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Traceparent", "00-"+notSampled+"-00")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if !ready(resp.StatusCode) {
		return fmt.Errorf("%s responded %s", url, resp.Status)
	}
	return nil
}

// Free reports whether nothing listens on a port of 127.0.0.1.
func Free(port int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	// macOS allows a listener beside one on all addresses: try to connect first.
	if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		c.Close()
		return false
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	l.Close()
	return true
}

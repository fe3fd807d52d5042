package supervisor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

var prober = &http.Client{
	Timeout:   time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}

var insecure = &tls.Config{InsecureSkipVerify: true}

// commands probes programs of the user: what responds is ready, also with a redirect, and whoever
// signed its certificate.
var commands = &http.Client{
	Timeout:       time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: insecure},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// probe returns nil if the component is ready. Once a program of the user was, only a connection is
// opened: requests would be in its telemetry.
func (r *runner) probe(ctx context.Context) error {
	switch {
	case r.Command == "":
		return probe(ctx, prober, r.Ready, func(status int) bool { return status == http.StatusOK })
	case r.responded():
		return connect(ctx, r.Ready)
	}
	return probe(ctx, commands, r.Ready, func(status int) bool { return status < 500 })
}

// responded reports whether the running process was ready.
func (r *runner) responded() bool {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.state == Ready || r.state == Unready
}

// connect returns nil if the server of a URL accepts connections.
func connect(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, commands.Timeout)
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

// notSampled are the ids in the traceparent of probes: they are in no trace.
const notSampled = "736f756e64636865636b206c61622070-726f626520737061"

func probe(ctx context.Context, client *http.Client, url string, ready func(status int) bool) error {
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

// notReady is the error of a component that was not ready in time.
func (r *runner) notReady(limit time.Duration, last error) error {
	if r.Command == "" {
		return fmt.Errorf("%s did not respond with 200 within %s", r.Ready, limit)
	}
	if last == nil { // no time for a probe
		last = errors.New("no response")
	}
	return fmt.Errorf("not ready within %s: %w. Does it listen there (-with-url)? If it needs longer to start, set -with-timeout", limit, last)
}

// advice is what to do about a program of the user that did not start.
func (r *runner) advice(first bool) string {
	switch {
	case r.Command == "":
		return ""
	case first:
		return fmt.Sprintf("\nit is %q in %s: fix it or -with, then run the same lab up again", r.Command, r.Dir)
	}
	return "\nfix it, then: lab restart " + r.Name
}

package engine

import (
	"bufio"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/failure"
)

// get sends a request by a pool and reads the response.
func send(t *testing.T, p *Pool, method, target, body string, timeout time.Duration) (resp *http.Response, text string, tm connect.Times, err error) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{"X-Test": {"1"}}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if body != "" {
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	resp, err = p.send(t.Context(), req, time.Now().Add(timeout), &tm)
	if err != nil {
		return nil, "", tm, err
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return resp, string(b), tm, err
}

// counted counts the connections of a server.
func counted(h http.Handler) (*httptest.Server, *atomic.Int64) {
	var n atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			n.Add(1)
		}
	}
	s.Start()
	return s, &n
}

// Any response is the same as by net/http, over one connection as long as that is reusable.
func TestWire(t *testing.T) {
	t.Parallel()
	server, conns := counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RawQuery, r.Header.Get("X-Test"), b)
		case "/chunked":
			for range 5 {
				fmt.Fprint(w, strings.Repeat("x", 50_000))
				w.(http.Flusher).Flush()
			}
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			fmt.Fprint(w, "final")
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/last":
			w.Header().Set("Connection", "close")
		}
	}))
	defer server.Close()
	p := NewPool(8, connect.Options{})
	defer p.Close()
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
		conns              int64
	}{
		{"GET", "/echo?a=b", "", 200, "GET a=b 1 ", 1},
		{"POST", "/echo", strings.Repeat("y", 60_000), 200, "POST  1 " + strings.Repeat("y", 60_000), 1},
		{"HEAD", "/echo", "", 200, "", 1},
		{"GET", "/chunked", "", 200, strings.Repeat("x", 250_000), 1},
		{"GET", "/hints", "", 200, "final", 1},
		{"DELETE", "/empty", "", 204, "", 1},
		{"GET", "/last", "", 200, "", 1},
		{"GET", "/echo", "", 200, "GET  1 ", 2},
	} {
		resp, text, tm, err := send(t, p, tt.method, server.URL+tt.path, tt.body, 10*time.Second)
		if err != nil || resp.StatusCode != tt.status || text != tt.want {
			t.Errorf("%s %s: %v, %v, %d bytes, want %d, %d bytes", tt.method, tt.path, resp, err, len(text), tt.status, len(tt.want))
		}
		if conns.Load() != tt.conns || tm.FirstByte <= 0 || tm.Connected > tm.FirstByte {
			t.Errorf("%s %s: %d connections, want %d; %+v", tt.method, tt.path, conns.Load(), tt.conns, tm)
		}
	}
}

// A server that closes idle connections, as during a restart, fails no safe request.
func TestWireIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	server, conns := counted(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	p := NewPool(8, connect.Options{})
	defer p.Close()
	for i := range int64(5) {
		for _, method := range []string{"GET", "POST"} {
			if _, _, _, err := send(t, p, method, server.URL, "x", 10*time.Second); err != nil {
				t.Fatalf("%s %d: %v", method, i, err)
			}
		}
		if conns.Load() != i+1 {
			t.Errorf("%d connections, want %d", conns.Load(), i+1)
		}
		server.CloseClientConnections()
	}
}

// A server closes a connection during a request: safe requests are retried, others fail.
func TestWireServerClosesAtOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // responds once, and closes on the second request
				defer c.Close()
				r := bufio.NewReader(c)
				for i := range 2 {
					req, err := http.ReadRequest(r)
					if err != nil || i == 1 {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
		}
	}()
	p := NewPool(8, connect.Options{})
	defer p.Close()
	for i, tt := range []struct {
		method string
		ok     bool
	}{{"GET", true}, {"GET", true}, {"POST", false}, {"POST", true}, {"PUT", false}, {"PUT", true}} {
		_, text, _, err := send(t, p, tt.method, "http://"+l.Addr().String(), "x", 10*time.Second)
		if ok := err == nil && text == "ok"; ok != tt.ok {
			t.Errorf("request %d, %s: %q, %v, want ok: %v", i, tt.method, text, err, tt.ok)
		}
		if err != nil && failure.Of(err).Name != "connection closed" {
			t.Errorf("request %d: category %q of %v", i, failure.Of(err).Name, err)
		}
	}
}

func TestWireTimeoutAndEnd(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server, conns := counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
		}
		<-release
	}))
	defer server.Close()
	defer close(release)
	p := NewPool(8, connect.Options{})
	for _, path := range []string{"/", "/half"} {
		if _, text, _, err := send(t, p, "GET", server.URL+path, "", 50*time.Millisecond); err == nil || !os.IsTimeout(err) || failure.Of(err).Name != "timeout" {
			t.Errorf("%s: %q, %v, want a timeout", path, text, err)
		}
	}
	// Closing the pool cancels requests in flight.
	before := conns.Load()
	ended := make(chan error)
	go func() {
		_, _, _, err := send(t, p, "GET", server.URL+"/half", "", time.Minute)
		ended <- err
	}()
	for conns.Load() == before {
		time.Sleep(time.Millisecond)
	}
	p.Close()
	if err := <-ended; err == nil || os.IsTimeout(err) {
		t.Errorf("request under way: %v, want an error that is no timeout", err)
	}
	if _, _, _, err := send(t, p, "GET", server.URL, "", time.Minute); !errors.Is(err, connect.ErrClosed) {
		t.Errorf("a request after the end: %v", err)
	}
	if _, _, _, err := send(t, p, "GET", "http://127.0.0.1:1/", "", time.Minute); err == nil || failure.Of(err).Name != "connection refused" {
		t.Errorf("no listener: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	u, _ := url.Parse(server.URL)
	if _, err := NewPool(1, connect.Options{}).send(cancelled, &http.Request{Method: "GET", URL: u}, time.Now().Add(time.Minute), new(connect.Times)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request: %v", err)
	}
}

// caOf returns the certificate of a server, as PEM.
func caOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") }))
	defer server.Close()
	p := NewPool(8, connect.Options{CACert: caOf(server)})
	defer p.Close()
	_, text, tm, err := send(t, p, "GET", server.URL, "", 10*time.Second)
	if err != nil || text != "secret" || tm.Connected <= 0 || tm.FirstByte < tm.Connected {
		t.Errorf("%q, %v, %+v", text, err, tm)
	}
}

// A large body that is rejected before it is read gets its response immediately, also if the server
// stops reading and leaves the connection open.
func TestLargeBodyIsRejected(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				fmt.Fprint(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
			}
		}
	}()
	p := NewPool(8, connect.Options{})
	defer p.Close()
	resp, _, _, err := send(t, p, "POST", "http://"+l.Addr().String(), strings.Repeat("x", 20<<20), time.Minute)
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%v, %v, want 413", resp, err)
	}
}

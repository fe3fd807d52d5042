package http2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
)

// request returns a request, with a body if that is not empty.
func request(t testing.TB, method, target, body string) *http.Request {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{"X-Test": {"1"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}}
	if body != "" {
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req
}

// send sends a request and reads the response.
func send(t testing.TB, c *Client, method, target, body string) (*http.Response, string, error) {
	t.Helper()
	var tm connect.Times
	resp, err := c.Send(t.Context(), request(t, method, target, body), time.Now().Add(30*time.Second), &tm)
	if err != nil {
		return nil, "", err
	}
	if tm.Connected <= 0 || tm.FirstByte < tm.Connected {
		t.Errorf("times %+v", tm)
	}
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), errors.Join(err, resp.Body.Close())
}

// shapes responds in each shape that HTTP/2 allows.
var shapes = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch r.URL.Path {
	case "/early": // before it has read the body
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	case "/hints":
		h.Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
	case "/trailers":
		h.Set("Trailer", "X-Sum")
		defer h.Set("X-Sum", "5")
	case "/large":
		for range 100 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 50_000))
		}
		return
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
		return
	case "/headers":
		for i := range 200 {
			h.Add("X-Many", fmt.Sprintf("%d %s", i, strings.Repeat("y", 200)))
		}
	}
	connecttest.Hello(w, r)
})

// servers are Go's with and without TLS.
func servers(t *testing.T, h http.Handler) (list []*connecttest.Server, c *Client) {
	t.Helper()
	ca := connecttest.NewCA(t)
	list = []*connecttest.Server{
		connecttest.Start(t, h, nil, (*http.Protocols).SetUnencryptedHTTP2),
		connecttest.Start(t, h, ca.Server(t).TLS(t), (*http.Protocols).SetHTTP2),
	}
	c = New(connect.Options{CACert: ca.PEM}.Dialer(), 8)
	t.Cleanup(c.Close)
	return list, c
}

// Each shape of response is read as by net/http, over one connection.
func TestShapes(t *testing.T) {
	t.Parallel()
	list, c := servers(t, shapes)
	for _, s := range list {
		for _, tt := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"GET", "/x?y=%20z", "", 200, "HTTP/2.0 GET %s /x?y=%%20z 1 "},
			{"POST", "/", "body", 200, "HTTP/2.0 POST %s / 1 body"},
			{"POST", "/", "", 200, "HTTP/2.0 POST %s / 1 "},
			{"PUT", "/", strings.Repeat("b", 3<<20), 200, "HTTP/2.0 PUT %s / 1 " + strings.Repeat("b", 3<<20)},
			{"HEAD", "/", "", 200, ""},
			{"GET", "/hints", "", 200, "HTTP/2.0 GET %s /hints 1 "},
			{"GET", "/trailers", "", 200, "HTTP/2.0 GET %s /trailers 1 "},
			{"GET", "/large", "", 200, strings.Repeat("x", 5_000_000)},
			{"DELETE", "/empty", "", 204, ""},
			{"GET", "/headers", "", 200, "HTTP/2.0 GET %s /headers 1 "},
			{"POST", "/early", "small", 413, "too large\n"},
		} {
			resp, text, err := send(t, c, tt.method, s.URL+tt.path, tt.body)
			want := tt.want
			if strings.Contains(want, "%s") {
				want = fmt.Sprintf(want, s.Listener.Addr())
			}
			if err != nil || resp.StatusCode != tt.status || text != want || resp.ProtoMajor != 2 {
				t.Errorf("%s %s: %v, %.100q, %v, want %d, %.100q", tt.method, tt.path, resp, text, err, tt.status, want)
				continue
			}
			switch tt.path {
			case "/trailers":
				if resp.Trailer.Get("X-Sum") != "5" {
					t.Errorf("trailer %v", resp.Trailer)
				}
			case "/headers":
				if len(resp.Header["X-Many"]) != 200 {
					t.Errorf("%d headers, want 200", len(resp.Header["X-Many"]))
				}
			}
		}
		if n := s.Connections.Load(); n != 1 {
			t.Errorf("%s: %d connections, want 1", s.URL, n)
		}
	}
}

// The server responds to a large body before it has read it. The connection remains in use.
func TestEarlyResponse(t *testing.T) {
	t.Parallel()
	list, c := servers(t, shapes)
	for _, s := range list {
		for range 3 {
			resp, text, err := send(t, c, "POST", s.URL+"/early", strings.Repeat("x", 20<<20))
			if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge || text != "too large\n" {
				t.Errorf("%v, %q, %v, want 413", resp, text, err)
			}
		}
		if n := s.Connections.Load(); n != 1 {
			t.Errorf("%s: %d connections, want 1", s.URL, n)
		}
	}
}

// A server that responds while it reads gets all of the body.
func TestEcho(t *testing.T) {
	t.Parallel()
	list, c := servers(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		_, _ = io.Copy(w, r.Body)
	}))
	body := strings.Repeat("echo", 1<<19)
	for _, s := range list {
		for range 2 {
			if _, text, err := send(t, c, "POST", s.URL, body); err != nil || text != body {
				t.Errorf("%d bytes, %v, want %d", len(text), err, len(body))
			}
		}
		if n := s.Connections.Load(); n != 1 {
			t.Errorf("%s: %d connections, want 1", s.URL, n)
		}
	}
}

// Concurrent requests have a connection each, and later ones use these.
func TestConnections(t *testing.T) {
	t.Parallel()
	const n = 4
	for _, secure := range []int{0, 1} {
		var arrived sync.WaitGroup
		arrived.Add(n)
		list, c := servers(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/together" {
				arrived.Done()
				arrived.Wait()
			}
		}))
		s := list[secure]
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				if _, _, err := send(t, c, "GET", s.URL+"/together", ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for range 100 {
			if _, _, err := send(t, c, "GET", s.URL, ""); err != nil {
				t.Error(err)
			}
		}
		if got := s.Connections.Load(); got != n {
			t.Errorf("%d connections, want %d", got, n)
		}
	}
}

// A body that is not read ends its connection.
func TestUnreadBody(t *testing.T) {
	t.Parallel()
	list, c := servers(t, shapes)
	for _, s := range list {
		for range 2 {
			resp, err := c.Send(t.Context(), request(t, "GET", s.URL+"/large", ""), time.Now().Add(time.Minute), new(connect.Times))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
				t.Error("a closed body can be read")
			}
		}
		if n := s.Connections.Load(); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
	}
}

func TestNoKeepalive(t *testing.T) {
	t.Parallel()
	s := connecttest.Start(t, shapes, nil, (*http.Protocols).SetUnencryptedHTTP2)
	c := New(connect.Options{NoKeepalive: true}.Dialer(), 8)
	for range 3 {
		if _, _, err := send(t, c, "GET", s.URL, ""); err != nil {
			t.Error(err)
		}
	}
	if n := s.Connections.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// The deadline includes the wait for the response and for its body.
func TestDeadline(t *testing.T) {
	t.Parallel()
	list, c := servers(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			fmt.Fprint(w, "first")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done() // the client has closed the connection
	}))
	for _, s := range list {
		for _, path := range []string{"/", "/body"} {
			resp, err := c.Send(t.Context(), request(t, "GET", s.URL+path, ""), time.Now().Add(200*time.Millisecond), new(connect.Times))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if !connect.IsTimeout(err) {
				t.Errorf("%s: %v, want a timeout", path, err)
			}
		}
	}
}

// Close ends requests in flight, and later ones.
func TestClose(t *testing.T) {
	t.Parallel()
	started := make(chan bool)
	s := connecttest.Start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		started <- true
		<-r.Context().Done()
	}), nil, (*http.Protocols).SetUnencryptedHTTP2)
	c := New(connect.Options{}.Dialer(), 8)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
		c.Close()
	}()
	if _, err := c.Send(ctx, request(t, "GET", s.URL, ""), time.Now().Add(time.Minute), new(connect.Times)); err == nil {
		t.Error("a request survived Close")
	}
	if _, err := c.Send(t.Context(), request(t, "GET", s.URL, ""), time.Now().Add(time.Minute), new(connect.Times)); !errors.Is(err, connect.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A body without a length is an error, not a request without its end.
func TestUnknownLength(t *testing.T) {
	t.Parallel()
	req := request(t, "POST", "http://127.0.0.1:1", "body")
	req.ContentLength = -1
	if _, err := New(connect.Options{}.Dialer(), 1).Send(t.Context(), req, time.Now().Add(time.Minute), new(connect.Times)); !errors.Is(err, errLength) {
		t.Errorf("%v, want %v", err, errLength)
	}
}

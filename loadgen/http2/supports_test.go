package http2

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
)

// Supports knows what the server picks, with one connection.
func TestSupports(t *testing.T) {
	t.Parallel()
	ca := connecttest.NewCA(t)
	with := func(protocols ...string) *tls.Config {
		c := ca.Server(t).TLS(t)
		c.NextProtos = protocols
		return c
	}
	one := connecttest.Start(t, shapes, with("http/1.1"), (*http.Protocols).SetHTTP1)
	both := connecttest.Start(t, shapes, with("h2", "http/1.1"), (*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2)
	none := connecttest.Start(t, shapes, with(), (*http.Protocols).SetHTTP1)
	c := New(connect.Options{CACert: ca.PEM}.Dialer(), 8)
	defer c.Close()
	for s, want := range map[*connecttest.Server]bool{one: false, both: true, none: false} {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got, err := c.Supports(t.Context(), s.Listener.Addr().String(), time.Now().Add(time.Minute)); got != want || err != nil {
					t.Errorf("%v, %v, want %v", got, err, want)
				}
			})
		}
		wg.Wait()
		if want {
			if _, text, err := send(t, c, "GET", s.URL, ""); err != nil || !strings.HasPrefix(text, "HTTP/2.0") {
				t.Errorf("%s, %v", text, err)
			}
		}
		if n := s.Connections.Load(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	}
	if _, err := c.Supports(t.Context(), "127.0.0.1:1", time.Now().Add(time.Minute)); err == nil {
		t.Error("no server supports HTTP/2")
	}
}

// stalling is a listener whose first connection gets no handshake.
type stalling struct {
	net.Listener
	first    sync.Once
	stalled  chan net.Conn
	accepted atomic.Int64
}

func (l *stalling) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
		l.first.Do(func() {
			l.stalled <- c
			c, err = l.Listener.Accept()
			l.accepted.Add(1)
		})
	}
	return c, err
}

// Requests that wait for another one's handshake have their own deadlines: if that one is cancelled, one of them takes over.
func TestSupportsAfterCancel(t *testing.T) {
	t.Parallel()
	ca := connecttest.NewCA(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &stalling{Listener: inner, stalled: make(chan net.Conn, 1)}
	server := &http.Server{Handler: shapes, TLSConfig: ca.Server(t).TLS(t), Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP2(true)
	go func() { _ = server.ServeTLS(l, "", "") }()
	defer server.Close()
	c := New(connect.Options{CACert: ca.PEM}.Dialer(), 8)
	defer c.Close()
	address := inner.Addr().String()
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wg.Go(func() {
		if _, err := c.Supports(ctx, address, time.Now().Add(time.Minute)); !errors.Is(err, context.Canceled) {
			t.Errorf("the first request: %v, want %v", err, context.Canceled)
		}
	})
	defer (<-l.stalled).Close() // so the others wait
	for range 8 {
		wg.Go(func() {
			if yes, err := c.Supports(t.Context(), address, time.Now().Add(time.Minute)); !yes || err != nil {
				t.Errorf("another request: %v, %v", yes, err)
			}
		})
	}
	// A deadline before that of the first request is kept, too.
	if _, err := c.Supports(t.Context(), address, time.Now().Add(time.Millisecond)); !connect.IsTimeout(err) {
		t.Errorf("a request with an earlier deadline: %v", err)
	}
	cancel()
	wg.Wait()
	if n := l.accepted.Load(); n != 2 {
		t.Errorf("%d connections, want the stalled one and one more", n)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"http://a": "a:80 false", "https://a/x": "a:443 true", "https://[::1]": "[::1]:443 true", "http://[::1]:8080/": "[::1]:8080 false"} {
		address, secure := Address(request(t, "GET", in, ""))
		if got := fmt.Sprint(address, " ", secure); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

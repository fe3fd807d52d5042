package connect

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/loadgen/connect/connecttest"
)

// opened are the connections that a dialer reports.
type opened struct {
	mu   sync.Mutex
	list []Connection
}

func (o *opened) add(c Connection) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, c)
}

func get(t *testing.T, tr *http.Transport, url string) (string, error) {
	t.Helper()
	resp, err := (&http.Client{Transport: tr, Timeout: 30 * time.Second}).Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// Dialer and Transport connect as the options say, to Go's server.
func TestDialer(t *testing.T) {
	t.Parallel()
	ca := connecttest.NewCA(t)
	type protocols = func(*http.Protocols, bool)
	both := []protocols{(*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2, (*http.Protocols).SetUnencryptedHTTP2}
	plain := connecttest.Start(t, connecttest.Hello, nil, both...)
	secure := connecttest.Start(t, connecttest.Hello, ca.Server(t).TLS(t), both...)
	old := connecttest.Start(t, connecttest.Hello, ca.Server(t).TLS(t), (*http.Protocols).SetHTTP1)
	port := func(s *connecttest.Server) string { _, p, _ := net.SplitHostPort(s.Listener.Addr().String()); return p }
	for _, tt := range []struct {
		name     string
		o        Options
		url      string
		want     string // protocol and host of the response, or the error
		protocol string // by ALPN
	}{
		{"cleartext", Options{}, plain.URL, "HTTP/1.1", ""},
		{"h2c", Options{Version: H2C}, plain.URL, "HTTP/2.0", ""},
		{"ALPN", Options{CACert: ca.PEM}, secure.URL, "HTTP/2.0", "h2"},
		{"ALPN, HTTP/1.1", Options{CACert: ca.PEM}, old.URL, "HTTP/1.1", "http/1.1"},
		{"HTTP/1.1 only", Options{CACert: ca.PEM, Version: HTTP1}, old.URL, "HTTP/1.1", "http/1.1"},
		{"HTTP/1.1 only, by a server that has both", Options{CACert: ca.PEM, Version: HTTP1}, secure.URL, "HTTP/1.1", ""}, // httptest offers only h2
		{"HTTP/2 only", Options{CACert: ca.PEM, Version: HTTP2}, secure.URL, "HTTP/2.0", "h2"},
		{"h2c, TLS", Options{CACert: ca.PEM, Version: H2C}, secure.URL, "HTTP/2.0", "h2"},
		{"not HTTP/2", Options{CACert: ca.PEM, Version: HTTP2}, old.URL, "no application protocol", ""},
		{"unknown CA", Options{}, secure.URL, "certificate signed by unknown authority", ""},
		{"insecure", Options{Insecure: true}, secure.URL, "HTTP/2.0", "h2"},
		{"resolve", Options{CACert: ca.PEM, Resolve: list{"Shop.example:" + port(secure) + ":127.0.0.1"}}, "https://shop.example:" + port(secure), "HTTP/2.0 GET shop.example:" + port(secure), "h2"},
		{"another name", Options{CACert: ca.PEM, Resolve: list{"other.example:" + port(secure) + ":127.0.0.1"}}, "https://other.example:" + port(secure), "not other.example", ""},
		{"local address", Options{LocalAddr: "127.0.0.1"}, plain.URL, "HTTP/1.1", ""},
		{"foreign local address", Options{LocalAddr: "192.0.2.1"}, plain.URL, "cannot assign requested address", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.o.Check(); err != nil {
				t.Fatal(err)
			}
			d, log := tt.o.Dialer(), new(opened)
			d.Opened = log.add
			tr := d.Transport(1)
			defer tr.CloseIdleConnections()
			text, err := get(t, tr, tt.url)
			if err != nil {
				text = err.Error()
			}
			if !strings.HasPrefix(text, tt.want) && (err == nil || !strings.Contains(text, tt.want)) {
				t.Fatalf("%s, want %s", text, tt.want)
			}
			switch {
			case err != nil && len(log.list) > 0 || err == nil && len(log.list) != 1:
				t.Errorf("opened %+v, %v", log.list, err)
			case err == nil && (log.list[0].Protocol != tt.protocol || log.list[0].Connect <= 0 || (log.list[0].Handshake > 0) != strings.HasPrefix(tt.url, "https")):
				t.Errorf("opened %+v, want protocol %q", log.list, tt.protocol)
			}
		})
	}
}

// A name is looked up: its time is part of the time to connect.
func TestLookup(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	d, log := Options{}.Dialer(), new(opened)
	d.Opened = log.add
	c, err := d.Dial(t.Context(), "tcp", "localhost:"+port)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if len(log.list) != 1 || log.list[0].DNS <= 0 || log.list[0].Connect <= log.list[0].DNS {
		t.Errorf("opened %+v, want times of DNS and TCP", log.list)
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: connecttest.Hello}
	go func() { _ = server.Serve(l) }() // ends with Close
	defer server.Close()
	tr := Options{UnixSocket: path}.Dialer().Transport(1)
	defer tr.CloseIdleConnections()
	if text, err := get(t, tr, "http://shop.example/x"); err != nil || !strings.HasPrefix(text, "HTTP/1.1 GET shop.example /x") {
		t.Errorf("%s, %v", text, err)
	}
}

// A proxy of the environment counts, unless an option says where to connect.
func TestProxied(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "")
	t.Setenv("HTTP_PROXY", "")
	for _, tt := range []struct {
		o           Options
		http, https bool
	}{{Options{}, false, true}, {Options{UnixSocket: "/s"}, false, false}, {Options{Resolve: list{"a:1:127.0.0.1"}}, false, false}} {
		if d := tt.o.Dialer(); d.Proxied("http") != tt.http || d.Proxied("https") != tt.https {
			t.Errorf("%+v: %v, %v", tt.o, d.Proxied("http"), d.Proxied("https"))
		}
	}
}

// Options that were not checked fail at the first connection, not silently.
func TestUnchecked(t *testing.T) {
	t.Parallel()
	if _, err := (Options{CACert: "x"}).Dialer().Dial(context.Background(), "tcp", "127.0.0.1:1"); err == nil || err.Error() != "-cacert has no PEM certificate" {
		t.Error(err)
	}
}

// The transport changes its TLS configuration, while other clients use the dialer's.
func TestTransportConfig(t *testing.T) {
	t.Parallel()
	server := connecttest.Start(t, connecttest.Hello, nil, (*http.Protocols).SetHTTP1)
	d := Options{}.Dialer()
	tr := d.Transport(1)
	defer tr.CloseIdleConnections()
	if _, err := get(t, tr, server.URL); err != nil {
		t.Fatal(err)
	}
	if got := d.TLS("h").NextProtos; len(got) > 0 {
		t.Errorf("the dialer's protocols are %q", got)
	}
}

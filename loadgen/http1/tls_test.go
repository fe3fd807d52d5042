package http1

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
)

// With TLS a connection is used until the server closes it. That is noticed before the next request, also if that must
// not be sent twice.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca := connecttest.NewCA(t)
	s := connecttest.Start(t, connecttest.Hello, ca.Server(t).TLS(t), (*http.Protocols).SetHTTP1)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := New(connect.Options{CACert: ca.PEM}.Dialer(), 8)
	defer c.Close()
	post := func() {
		t.Helper()
		var tm connect.Times
		r := c.Exchange(t.Context(), Address(u), "POST", []byte("POST / HTTP/1.1\r\nHost: "+u.Host+"\r\nContent-Length: 4\r\n\r\nbody"), false, time.Now().Add(time.Minute), &tm, func(int) Needs { return Needs{} })
		if r.Err != nil || r.Status != 200 || r.Bytes == 0 || tm.Connected <= 0 || tm.FirstByte < tm.Connected {
			t.Fatalf("%+v, %+v", r, tm)
		}
	}
	for range 20 {
		post()
	}
	// The deadline of an earlier request does not count.
	idle := c.pool.Idle(Address(u))[0]
	idle.timer = time.Now().Add(-time.Millisecond)
	if err := idle.SetDeadline(idle.timer); err != nil {
		t.Fatal(err)
	}
	post()
	if n := s.Connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	s.CloseClientConnections()
	for c.pool.Idle(Address(u))[0].alive() { // the end has not arrived
		time.Sleep(time.Millisecond)
	}
	post()
	if n := s.Connections.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// Addresses have the port of the scheme.
func TestAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"http://a": "a:80", "https://a/x": "tls:a:443", "https://[::1]": "tls:[::1]:443", "http://[::1]:8080/": "[::1]:8080", "https://a:80": "tls:a:80"} {
		u, err := url.Parse(in)
		if err != nil || Address(u) != want {
			t.Errorf("%s: %s, %v, want %s", in, Address(u), err, want)
		}
	}
}

package http1

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
)

// While a server leaves handshakes without a response, each request that finds no idle connection tries to open one:
// the gate, which has known fast handshakes, holds none back for long.
func TestOpen(t *testing.T) {
	t.Parallel()
	ca := connecttest.NewCA(t)
	config := ca.Server(t).TLS(t)
	var silent atomic.Bool
	var waiting atomic.Int64
	end := make(chan struct{})
	defer close(end)
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if silent.Load() {
			waiting.Add(1)
			<-end
		}
		return nil, nil
	}
	s := connecttest.Start(t, connecttest.Hello, config, (*http.Protocols).SetHTTP1)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := New(connect.Options{CACert: ca.PEM}.Dialer(), 100)
	defer c.Close()
	for range 2 {
		c.Open(t.Context(), Address(u), 3)
		if n := s.Connections.Load(); n != 3 || len(c.pool.Idle(Address(u))) != 3 {
			t.Errorf("%d connections are open, %d of them idle, want 3", n, len(c.pool.Idle(Address(u))))
		}
	}
	silent.Store(true)
	deadline := time.Now().Add(time.Minute)
	for range 3 {
		if _, err := c.get(t.Context(), Address(u), deadline, false, true); err != nil {
			t.Error(err)
		}
	}
	const requests = 200
	for range requests {
		go func() { _, _ = c.get(t.Context(), Address(u), deadline, false, true) }()
	}
	for waiting.Load() < requests && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if n := waiting.Load(); n != requests {
		t.Errorf("%d requests open a connection, want %d", n, requests)
	}
}

package cluster

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// stub is a server at a worker's URL that is no coordinator. It counts connections and requests.
type stub struct {
	*httptest.Server
	connections, requests atomic.Int32
}

func newStub(t *testing.T, respond func(n int32, w http.ResponseWriter)) *stub {
	t.Helper()
	s := &stub{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { respond(s.requests.Add(1), w) }))
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	s.Config.Protocols = &p
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// A worker joins again after a response that may be a gateway's, over the same connection, and ends after
// one that no time changes.
func TestJoinRetries(t *testing.T) {
	t.Parallel()
	body := func(status int, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(status); _, _ = w.Write([]byte(text)) }
	}
	for name, tc := range map[string]struct {
		first, last func(http.ResponseWriter)
		requests    int32
		want        string
	}{
		"a gateway without a backend": {body(503, "no backend"), body(400, "another protocol\n"), 2, "the coordinator responded 400 Bad Request: another protocol"},
		"an end before hello":         {body(200, ""), body(401, "wrong token"), 2, "the coordinator responded 401 Unauthorized: wrong token"},
		"a proxy to HTTP/1.1":         {body(505, "workers speak HTTP/2"), nil, 1, "the coordinator responded 505 HTTP Version Not Supported: workers speak HTTP/2"},
		"a web page":                  {body(200, "<!doctype html><html>"), nil, 1, "the coordinator responded 200 OK: it is no coordinator"},
		"another API, an object":      {body(200, `{"status":"UP"}`), nil, 1, "the coordinator responded 200 OK: it is no coordinator"},
		"another API, a list":         {body(200, `[1]`), nil, 1, "the coordinator responded 200 OK: it is no coordinator"},
		"another server":              {body(404, "not found"), nil, 1, "the coordinator responded 404 Not Found: not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t, func(n int32, w http.ResponseWriter) {
				if n == 1 {
					tc.first(w)
				} else {
					tc.last(w)
				}
			})
			err := Worker{URL: s.URL, Token: testToken, Patience: time.Minute, Runner: &fake{}}.Join(t.Context())
			if !errors.As(err, new(*Rejected)) || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("%v, want %s", err, tc.want)
			}
			if n := s.requests.Load(); n != tc.requests {
				t.Errorf("%d requests, want %d", n, tc.requests)
			}
			if n := s.connections.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// A worker's patience ends.
func TestJoinPatience(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(_ int32, w http.ResponseWriter) { http.Error(w, "starting", http.StatusServiceUnavailable) })
	const want = "no coordinator at URL for 1ms: the coordinator responded 503 Service Unavailable: starting"
	err := Worker{URL: s.URL, Patience: time.Millisecond, Runner: &fake{}}.Join(t.Context())
	if err == nil || strings.ReplaceAll(err.Error(), s.URL, "URL") != want {
		t.Errorf("%v, want %s", err, want)
	}
	err = Worker{URL: "http://[", Patience: time.Minute}.Join(t.Context())
	if !errors.As(err, new(*Rejected)) {
		t.Errorf("no URL: %v", err)
	}
}

// Both sides end a connection that becomes silent: a firewall or a machine that loses power sends no reset.
// A worker that is lost so must end the run within seconds.
func TestSilent(t *testing.T) {
	t.Parallel()
	l := begin(t, nil)
	tr, ok := client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("another transport")
	}
	for name, c := range map[string]*http.HTTP2Config{"coordinator": l.server.HTTP2, "worker": tr.HTTP2} {
		if c.SendPingTimeout <= 0 || c.PingTimeout <= 0 || c.SendPingTimeout+c.PingTimeout > 10*time.Second {
			t.Errorf("%s: a PING after %s, its timeout %s; want an end within 10 s", name, c.SendPingTimeout, c.PingTimeout)
		}
	}
}

// A worker that has just joined may be sent something at once: hello comes first.
func TestHelloFirst(t *testing.T) {
	t.Parallel()
	for range 200 {
		l := begin(t, &fake{})
		for {
			l.mu.Lock()
			m := l.members[0]
			l.mu.Unlock()
			if m != nil {
				_ = m.send(toWorker{Ping: 1})
				break
			}
			runtime.Gosched()
		}
		l.Close(nil)
		if err := <-l.ended[0]; err != nil {
			t.Fatal(err)
		}
	}
}

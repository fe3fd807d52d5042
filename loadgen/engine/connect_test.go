package engine

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/targets"
)

// protocol is a version of HTTP, with or without TLS.
type protocol struct {
	name, proto string
	secure      bool
	version     connect.Version
	server      func(*http.Protocols, bool)
	multiplex   bool
}

var protocols = []protocol{
	{"HTTP/1.1", "HTTP/1.1", false, connect.Auto, (*http.Protocols).SetHTTP1, false},
	{"HTTP/1.1 with TLS", "HTTP/1.1", true, connect.Auto, (*http.Protocols).SetHTTP1, false},
	{"HTTP/2 with TLS", "HTTP/2.0", true, connect.Auto, (*http.Protocols).SetHTTP2, false},
	{"h2c", "HTTP/2.0", false, connect.H2C, (*http.Protocols).SetUnencryptedHTTP2, false},
	{"HTTP/2 with TLS, multiplexed", "HTTP/2.0", true, connect.Auto, (*http.Protocols).SetHTTP2, true},
	{"h2c, multiplexed", "HTTP/2.0", false, connect.H2C, (*http.Protocols).SetUnencryptedHTTP2, true},
}

// start starts a server with the protocol, and returns options for it.
func (p protocol) start(t *testing.T, h http.Handler) (*connecttest.Server, connect.Options) {
	t.Helper()
	if !p.secure {
		return connecttest.Start(t, h, nil, p.server), connect.Options{Version: p.version, Multiplex: p.multiplex}
	}
	ca := connecttest.NewCA(t)
	return connecttest.Start(t, h, ca.Server(t).TLS(t), p.server), connect.Options{Version: p.version, CACert: ca.PEM, Multiplex: p.multiplex}
}

// tally counts requests by a text.
type tally struct {
	mu sync.Mutex
	by map[string]int
}

func (s *tally) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]int{}
	}
	s.by[text]++
}

// targeted runs a plan of n requests to targets in vegeta's format.
func targeted(t *testing.T, o connect.Options, n int, text string) (*report.Report, *tracetest.SpanRecorder) {
	t.Helper()
	return targetedBy(t, 64, o, n, text)
}

// targetedBy is targeted with a max number of concurrent requests.
func targetedBy(t *testing.T, workers int, o connect.Options, n int, text string) (*report.Report, *tracetest.SpanRecorder) {
	t.Helper()
	list, err := targets.Options{}.Read("t", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewSpanRecorder()
	c := testConfig("", spans)
	c.Plan, c.Targets, c.Connect, c.MaxWorkers = steady(5*float64(n), 200*time.Millisecond), list, o, workers
	return attackOnce(t, t.Context(), c), spans
}

// Each protocol serves the whole workload, with as many connections as requests were in flight.
func TestProtocols(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			var protos tally
			h := albums()
			s, o := p.start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				protos.add(r.Proto)
				h.ServeHTTP(w, r)
			}))
			c := testConfig(s.URL, tracetest.NewSpanRecorder())
			c.Connect = o
			r := attackOnce(t, t.Context(), c)
			if r.Sent != 200 || r.Classes[measure.Good] != 200 || protos.by[p.proto] != 200 {
				t.Errorf("%v, %v, protocols %v, want 200 by %s", r.Classes, r.Errors, protos.by, p.proto)
			}
			if want := map[string]int{strings.TrimSuffix(p.proto, ".0"): 200}; !maps.Equal(r.Protocols, want) {
				t.Errorf("protocols in the report: %v, want %v", r.Protocols, want)
			}
			n := int(s.Connections.Load())
			if p.multiplex && n > max(1, r.Peak) { // each request before the first connection is ready may open one
				t.Errorf("%d connections, peak in-flight %d", n, r.Peak)
			}
			if n > r.Peak+1 { // one that has asked for the version
				t.Errorf("%d connections, peak in-flight %d", n, r.Peak)
			}
		})
	}
}

// With -no-keepalive each request has its own connection.
func TestNoKeepalive(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		if p.multiplex {
			continue
		}
		var closes tally
		s, o := p.start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { closes.add(fmt.Sprint(r.Close)) }))
		o.NoKeepalive = true
		r, _ := targeted(t, o, 20, "GET "+s.URL+"\n")
		probes := 0 // connections that ask for the version
		if p.secure {
			probes = 1
		}
		if n := int(s.Connections.Load()); r.Classes[measure.Good] != 20 || n != 20+probes {
			t.Errorf("%s: %v, %d connections, want 20 and %d", p.name, r.Classes, n, probes)
		}
		if want := fmt.Sprint(p.proto == "HTTP/1.1"); closes.by[want] != 20 {
			t.Errorf("%s: Connection: close %v, want %s", p.name, closes.by, want)
		}
	}
}

func TestCompressed(t *testing.T) {
	t.Parallel()
	var accepted tally
	s, o := protocols[0].start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		accepted.add(strings.Join(r.Header["Accept-Encoding"], " "))
	}))
	targeted(t, o, 10, "GET "+s.URL+"\n")
	o.Compressed = true
	targeted(t, o, 10, "GET "+s.URL+"\n")
	targeted(t, o, 10, "GET "+s.URL+"\naccept-encoding: br\n")
	if want := map[string]int{"": 10, "gzip": 10, "br": 10}; !maps.Equal(accepted.by, want) {
		t.Errorf("Accept-Encoding %v, want %v", accepted.by, want)
	}
}

// A cookie of a response is sent with later requests, for its path.
func TestCookieJar(t *testing.T) {
	t.Parallel()
	var got tally
	s, o := protocols[0].start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("session"); err == nil {
			got.add(r.URL.Path + " " + c.Value)
			return
		}
		got.add(r.URL.Path)
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Path: "/a"})
	}))
	o.CookieJar = true
	r, _ := targetedBy(t, 1, o, 20, "GET "+s.URL+"/a/x\n\nGET "+s.URL+"/b\n")
	if want := map[string]int{"/a/x": 1, "/a/x 1": 9, "/b": 10}; r.Classes[measure.Good] != 20 || !maps.Equal(got.by, want) {
		t.Errorf("%v, %v, want %v", r.Classes, got.by, want)
	}
}

// What goes wrong with a connection has a category, with its details and a hint.
func TestConnectionErrors(t *testing.T) {
	t.Parallel()
	ca, other := connecttest.NewCA(t), connecttest.NewCA(t)
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	h1, h2 := (*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2
	good := connecttest.Start(t, ok, ca.Server(t).TLS(t), h2)
	expired := connecttest.Start(t, ok, ca.Expired(t).TLS(t), h1)
	plain := connecttest.Start(t, ok, nil, h1)
	old := connecttest.Start(t, ok, ca.Server(t).TLS(t), h1)
	withClients := ca.Server(t).TLS(t)
	withClients.ClientAuth = tls.RequireAnyClientCert
	clients := connecttest.Start(t, ok, withClients, h2)
	withClients12 := withClients.Clone()
	withClients12.MaxVersion = tls.VersionTLS12
	clients12 := connecttest.Start(t, ok, withClients12, h1)
	aborting := connecttest.Start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), ca.Server(t).TLS(t), h2)
	trusted := connect.Options{CACert: ca.PEM}
	port := good.URL[strings.LastIndex(good.URL, ":"):]
	for _, tt := range []struct {
		name, url string
		o         connect.Options
		want      string
		hint      string
	}{
		{"unknown CA", good.URL, connect.Options{CACert: other.PEM}, "TLS: unknown authority", "-cacert"},
		{"expired", expired.URL, trusted, "TLS: certificate expired", "expired"},
		{"another name", "https://127.0.0.2" + port, connect.Options{CACert: ca.PEM, Resolve: []string{"127.0.0.2" + port + ":127.0.0.1"}}, "TLS: certificate of another name", "-resolve"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), trusted, "TLS: no TLS server", "http://"},
		{"no client certificate", clients.URL, trusted, "TLS: refused by the server", "-cert"},
		{"no client certificate, TLS 1.2", clients12.URL, trusted, "TLS: refused by the server", ""},
		{"no HTTP/2", old.URL, connect.Options{CACert: ca.PEM, Version: connect.HTTP2}, "no HTTP/2", "-http1"},
		{"no h2c", plain.URL, connect.Options{Version: connect.H2C}, "no HTTP/2", "-http1"},
		{"reset", aborting.URL, trusted, "HTTP/2 stream reset: INTERNAL_ERROR", "INTERNAL_ERROR"},
		{"no socket", plain.URL, connect.Options{UnixSocket: "/nowhere"}, "no such socket", "/nowhere"},
		{"-http2 for http://", plain.URL, connect.Options{Version: connect.HTTP2}, "other", "-h2c is HTTP/2 for http:// URLs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, spans := targeted(t, tt.o, 10, "GET "+tt.url+"/x\n")
			if len(r.Errors) != 1 || r.Errors[tt.want] != 10 || !strings.HasPrefix(r.FirstError, "GET "+tt.url+"/x: ") || !strings.Contains(r.FirstError, tt.hint) {
				t.Fatalf("errors %v, %s, want 10 of %s with %q", r.Errors, r.FirstError, tt.want, tt.hint)
			}
			for _, s := range spans.Ended() {
				if !slices.Contains(s.Attributes(), errorTypeKey.String(tt.want)) {
					t.Fatalf("span %v, want %s", s.Attributes(), tt.want)
				}
			}
		})
	}
}

// A client certificate reaches the server, by Go's server and by nginx, which has the rest of the connections too.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	ca := connecttest.NewCA(t)
	server, client := ca.Server(t), ca.Client(t, "loadgen")
	addresses, dir := connecttest.Nginx(t, `
		listen $1 ssl http2; listen $2 ssl; listen unix:$dir/socket;
		ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem; ssl_client_certificate $dir/ca.pem; ssl_verify_client optional;
		location / { if ($ssl_client_s_dn != "CN=loadgen") { return 401; } return 200 "$server_protocol"; }
		location /open { return 200; }
		location /redirect { return 307 /open; }`,
		map[string]string{"cert.pem": server.Cert, "key.pem": server.Key, "ca.pem": ca.PEM})
	o := connect.Options{CACert: ca.PEM, Cert: client.Cert, Key: client.Key}
	for _, address := range addresses {
		for _, version := range []connect.Version{connect.Auto, connect.HTTP1} {
			o.Version = version
			r, _ := targeted(t, o, 20, "GET https://"+address+"/\n")
			if r.Classes[measure.Good] != 20 {
				t.Errorf("%s, %q: %v, %s", address, version, r.Errors, r.FirstError)
			}
		}
		r, _ := targeted(t, connect.Options{CACert: ca.PEM}, 20, "GET https://"+address+"/\n")
		if r.Scenarios[0].Statuses[401] != 20 {
			t.Errorf("%s without a certificate: %+v, %v", address, r.Scenarios, r.Errors)
		}
	}
	r, _ := targeted(t, connect.Options{UnixSocket: dir + "/socket", Redirects: 1}, 20, "GET http://shop.example/redirect\n\nGET http://shop.example/open\n")
	if r.Scenarios[0].Statuses[200] != 20 {
		t.Errorf("by a Unix socket: %+v, %v", r.Scenarios, r.Errors)
	}
}

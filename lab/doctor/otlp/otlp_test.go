package otlp

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
)

// receiver is a server of a protocol, as receivers and gateways respond.
func receiver(t *testing.T, http1, http2, useTLS bool, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2 && !useTLS)
	p.SetHTTP2(http2 && useTLS)
	s.Config.Protocols = p
	s.EnableHTTP2 = http2 && useTLS
	if useTLS {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.URL
}

// otlp responds as the Collector's receivers do.
func otlp(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.ProtoMajor == 2 && r.URL.Path == "/opentelemetry.proto.collector.trace.v1.TraceService/Export":
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.Write(emptyMessage)
		w.Header().Set("Grpc-Status", "0")
	case r.ProtoMajor == 1 && r.URL.Path == "/v1/traces" && r.Header.Get("Content-Type") == "application/x-protobuf":
		w.Header().Set("Content-Type", "application/x-protobuf")
	default:
		http.NotFound(w, r)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://elsewhere.example/")
		w.WriteHeader(code)
	}
}

func grpcStatus(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		if s != "" {
			w.Header().Set("Grpc-Status", s)
		}
		w.WriteHeader(http.StatusOK)
	}
}

// hop is a reverse proxy that speaks HTTP/1.1 on both sides, as old ingress controllers do.
func hop(t *testing.T, to string) string {
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return receiver(t, true, false, false, httputil.NewSingleHostReverseProxy(u).ServeHTTP)
}

// raw is a server that does something to a connection.
func raw(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go do(c)
		}
	}()
	return "http://" + l.Addr().String()
}

func TestOTLP(t *testing.T) {
	const nobody = "http://127.0.0.1:1" // no test is given a port that low
	both := receiver(t, true, true, false, otlp)
	for _, tc := range []struct {
		name, endpoint string
		http, grpc     string // part of the cause; "" if it works
	}{
		{"a receiver of both", both, "", ""},
		{"an OTLP/HTTP port", receiver(t, true, false, false, otlp), "", "speaks HTTP/1.1, and gRPC needs HTTP/2"},
		{"a gRPC port", receiver(t, false, true, false, otlp), "a gRPC receiver", ""},
		{"the port of a gRPC server", grpcServer(t), "a gRPC receiver", "does not match the method"},
		{"an HTTP/1.1 hop before a receiver", hop(t, both), "", "speaks HTTP/1.1, and gRPC needs HTTP/2"},
		{"https to a port without TLS", strings.Replace(both, "http:", "https:", 1), "does not speak TLS", "does not speak TLS"},
		{"http to a port with TLS", strings.Replace(receiver(t, true, true, true, otlp), "https:", "http:", 1), "expects TLS", "without TLS"},
		{"a certificate that is not trusted", receiver(t, true, true, true, otlp), "does not trust", "does not trust"},
		{"nobody listens", nobody, "nothing listens on", "nothing listens on"},
		{"a name without address", "http://collector.invalid:4318", "the name collector.invalid ", "the name collector.invalid "}, // or DNS does not respond
		{"a web server", receiver(t, true, true, false, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }), "no OTLP receiver", "HTTP/2, but not gRPC"},
		{"no route", receiver(t, true, true, false, http.NotFound), "no route", "no route"},
		{"method not allowed", receiver(t, true, true, false, status(405)), "without an OTLP receiver", "without an OTLP receiver"},
		{"authentication", receiver(t, true, true, false, status(401)), "authentication", "authentication"},
		{"a redirect", receiver(t, true, true, false, status(308)), "redirects to https://elsewhere.example/", "redirects"},
		{"no protobuf", receiver(t, true, true, false, status(415)), "does not accept protobuf", "not gRPC"},
		{"a gateway without a receiver", receiver(t, true, true, false, status(502)), "behind it", "behind it"},
		{"too many", receiver(t, true, true, false, status(429)), "for now", "for now"},
		{"another error", receiver(t, true, true, false, status(500)), "rejected an empty export", "rejected an empty export"},
		{"gRPC without status", receiver(t, true, true, false, grpcStatus("")), "no OTLP receiver", "dropped the trailers"},
		{"gRPC unimplemented", receiver(t, false, true, false, grpcStatus("12")), "a gRPC receiver", "a route that does not match the method"},
		{"gRPC unauthenticated", receiver(t, false, true, false, grpcStatus("16")), "a gRPC receiver", "authentication"},
		{"gRPC exhausted", receiver(t, false, true, false, grpcStatus("8")), "a gRPC receiver", "memory limit"},
		{"gRPC unavailable", receiver(t, false, true, false, grpcStatus("14")), "a gRPC receiver", "not available"},
		{"gRPC internal", receiver(t, false, true, false, grpcStatus("13")), "a gRPC receiver", "rejected an empty export"},
		{"a server that ends the connection", raw(t, func(c net.Conn) { c.Close() }), "ended the connection", "ended the connection"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			results, err := Check(context.Background(), tc.endpoint, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{tc.http, tc.grpc} {
				r := results[i]
				if r.OK != (want == "") || !strings.Contains(r.Cause, want) || !r.OK && (r.Fix == "" || r.Saw == "") {
					t.Errorf("%s: ok %v, saw %q, cause %q, fix %q; want cause %q", r.Protocol, r.OK, r.Saw, r.Cause, r.Fix, want)
				}
			}
		})
	}
}

// grpcServer is a real gRPC server without services.
func grpcServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return "http://" + l.Addr().String()
}

// The guide to Kubernetes quotes what a gRPC exporter reports behind a hop that speaks HTTP/1.1.
func TestFrameTooLarge(t *testing.T) {
	endpoint := hop(t, receiver(t, true, true, false, otlp))
	e, err := otlptracegrpc.New(context.Background(), otlptracegrpc.WithEndpointURL(endpoint), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}), otlptracegrpc.WithTimeout(requestTimeout))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown(context.Background())
	// The hop may end the connection before the exporter has read its response: then the export says only so.
	const want = "http2: frame too large, note that the frame header looked like an HTTP/1.1 header"
	for range 100 {
		err = e.ExportSpans(context.Background(), tracetest.SpanStubs{{Name: "probe"}}.Snapshots())
		if err != nil && strings.Contains(err.Error(), want) {
			return
		}
	}
	t.Errorf("the exporter reported %v, want %q", err, want)
}

// A server that accepts and says nothing.
func TestTimeout(t *testing.T) {
	silent := raw(t, func(c net.Conn) {
		io.Copy(io.Discard, c) // until the client ends the connection
		c.Close()
	})
	results, err := export(context.Background(), silent, nil, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.OK || !strings.Contains(r.Cause, "no response within 100ms: ") {
			t.Errorf("%s: ok %v, cause %q, saw %q", r.Protocol, r.OK, r.Cause, r.Saw)
		}
	}
}

// Errors that a test cannot cause at will.
func TestByError(t *testing.T) {
	u := &url.URL{Scheme: "http", Host: "collector:4317"}
	for want, err := range map[string]error{
		"the name x was not resolved in time": &net.OpError{Op: "dial", Err: &net.DNSError{Name: "x", Err: "i/o timeout", IsTimeout: true}},
		"the name x has no address here":      &net.OpError{Op: "dial", Err: &net.DNSError{Name: "x", Err: "no such host", IsNotFound: true}},
		"the server ended the connection":     &net.OpError{Op: "write", Err: syscall.EPIPE},
	} {
		r := Probe{Protocol: GRPC}.failed(&url.Error{Err: err}, target{u, nil, time.Second})
		if !strings.HasPrefix(r.Cause, want) || r.Fix == "" {
			t.Errorf("%v: %q, fix %q, want %q", err, r.Cause, r.Fix, want)
		}
	}
}

// A server that resets the connection while it gets the frames after the preface of HTTP/2 is known for
// what it speaks all the same.
func TestCut(t *testing.T) {
	for response, want := range map[string]string{
		"HTTP/1.1 400 Bad Request\r\n\r\n":                                              "speaks HTTP/1.1",
		"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port": "expects TLS",
		"": "ended the connection",
	} {
		results, err := Check(t.Context(), raw(t, func(c net.Conn) {
			defer c.Close()
			got := make([]byte, 100)
			if n, _ := io.ReadAtLeast(c, got, 24); n > 24 || string(got[:3]) != "PRI" {
				c.(*net.TCPConn).SetLinger(0) // a reset
				return
			}
			io.WriteString(c, response)
		}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if g := results[1]; g.OK || !strings.Contains(g.Cause, want) {
			t.Errorf("%q: %+v, want %q", response, g, want)
		}
	}
}

// Port 4318 is known.
func TestPort4318(t *testing.T) {
	u := &url.URL{Scheme: "http", Host: "collector:4318"}
	r := Probe{Protocol: GRPC}.byPreface("HTTP/1.1 505 HTTP Version Not Supported\r\n", target{u, nil, time.Second})
	if !strings.HasPrefix(r.Fix, "use port 4317") {
		t.Errorf("%q, fix %q", r.Cause, r.Fix)
	}
}

func TestHeaders(t *testing.T) {
	seen := make(chan string, 2)
	endpoint := receiver(t, true, true, false, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
		otlp(w, r)
	})
	if _, err := Check(context.Background(), endpoint, http.Header{"Authorization": {"Bearer x"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := <-seen; got != "Bearer x" {
			t.Errorf("Authorization %q", got)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for _, s := range []string{"", "localhost:4317", "grpc://localhost:4317", "http://", "http://:4318", "http://%"} {
		if _, err := Check(context.Background(), s, nil); err == nil || !strings.Contains(err.Error(), "http") {
			t.Errorf("Check(%q): %v", s, err)
		}
	}
}

// With the URL http://host, gRPC for Go connects to host:443.
func TestWithoutPort(t *testing.T) {
	t.Parallel()
	results, err := export(t.Context(), "http://127.0.0.1", nil, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if g := results[1]; g.OK || !strings.Contains(g.Cause, "port 443") || g.Fix != "write the port, as in http://127.0.0.1:80" {
		t.Errorf("%+v", g)
	}
	dialed := make(chan string, 1)
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpointURL("http://127.0.0.1"), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}),
		otlptracegrpc.WithDialOption(grpc.WithContextDialer(func(_ context.Context, addr string) (net.Conn, error) {
			select {
			case dialed <- addr:
			default: // one more attempt
			}
			return nil, net.ErrClosed
		})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := exporter.ExportSpans(ctx, tracetest.SpanStubs{{Name: "span"}}.Snapshots()); err == nil {
		t.Error("exported without a connection")
	}
	if addr := <-dialed; addr != "127.0.0.1:443" {
		t.Errorf("the exporter connects to %s, want 127.0.0.1:443", addr)
	}
}

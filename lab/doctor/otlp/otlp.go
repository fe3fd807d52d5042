// Package otlp finds out why telemetry does not arrive at an OTLP endpoint: it sends an empty export over
// each protocol, and names the cause and the fix of what fails.
package otlp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Protocols, by their names in OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	HTTP = "http/protobuf"
	GRPC = "grpc"
)

// Probe is the outcome of an export over one protocol.
type Probe struct {
	Protocol string
	URL      string // of the request
	OK       bool
	Took     time.Duration
	Saw      string // what the server responded, or the error
	Cause    string // if not OK
	Fix      string // if not OK
}

// requestTimeout is the limit of each request.
const requestTimeout = 5 * time.Second

// target is where and how the exports are sent.
type target struct {
	*url.URL
	headers http.Header
	timeout time.Duration // of each request
}

// Check sends an empty export of traces to an endpoint over HTTP and gRPC. The endpoint is a URL
// as in OTEL_EXPORTER_OTLP_ENDPOINT; headers are added to each request.
func Check(ctx context.Context, endpoint string, headers http.Header) ([]Probe, error) {
	return export(ctx, endpoint, headers, requestTimeout)
}

// Accepts is Check over one protocol: true if it works. An HTTP/1.1 request to a gRPC port would be logged there, and by net/http.
func Accepts(ctx context.Context, endpoint, protocol string, headers http.Header) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return false
	}
	t := target{u, headers, requestTimeout}
	if protocol == GRPC {
		return t.overGRPC(ctx).OK
	}
	return t.overHTTP(ctx).OK
}

func export(ctx context.Context, endpoint string, headers http.Header, timeout time.Duration) ([]Probe, error) {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not an http:// or https:// URL with a host", endpoint)
	}
	t := target{u, headers, timeout}
	h, g := t.overHTTP(ctx), t.overGRPC(ctx)
	if h.Cause == endedHTTP && strings.HasPrefix(g.Saw, "HTTP/2 ") { // some servers end the connection, others respond in HTTP/2
		h.Cause, h.Fix = grpcOnly, useGRPC
	}
	return []Probe{h, g}, nil
}

// Causes and fixes that several failures share.
const (
	endedHTTP  = "the server ended the connection: it expects TLS or another protocol"
	grpcOnly   = "the server speaks HTTP/2 on this port, not HTTP/1.1: a gRPC receiver"
	expectsTLS = "the server expects TLS"
	useTLS     = "use https:// instead of http://"
	useGRPC    = "set OTEL_EXPORTER_OTLP_PROTOCOL=" + GRPC + ", or use the OTLP/HTTP port (4318 by convention)"
)

// client speaks one version of HTTP, so that the outcome says which one the server speaks.
func (t target) client(http2 bool) *http.Client {
	var p http.Protocols
	p.SetHTTP1(!http2)
	p.SetHTTP2(http2)
	p.SetUnencryptedHTTP2(http2)
	dialer := net.Dialer{Timeout: t.timeout * 9 / 10} // before the client's timeout, so that the error says what took so long
	return &http.Client{
		Timeout:       t.timeout,
		Transport:     &http.Transport{Protocols: &p, DisableKeepAlives: true, Proxy: nil, DialContext: dialer.DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends the request of a result. A response that shows the cause is lost if the server ends the
// connection while the request is written: then it is sent again.
func (t target) post(ctx context.Context, r Probe, contentType string, body []byte) (resp *http.Response, begun time.Time, err error) {
	for range 4 {
		begun = time.Now()
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body)); err != nil {
			return nil, begun, err
		}
		for name, values := range t.headers {
			req.Header[name] = values
		}
		req.Header.Set("Content-Type", contentType)
		if r.Protocol == GRPC {
			req.Header.Set("TE", "trailers")
		}
		resp, err = t.client(r.Protocol == GRPC).Do(req)
		if err == nil || !contains(err.Error(), cut...) {
			return resp, begun, err
		}
	}
	return resp, begun, err
}

// overHTTP exports with OTLP/HTTP: POST /v1/traces.
func (t target) overHTTP(ctx context.Context) Probe {
	r := Probe{Protocol: HTTP, URL: t.JoinPath("v1/traces").String()}
	resp, begun, err := t.post(ctx, r, "application/x-protobuf", nil)
	r.Took = time.Since(begun)
	if err != nil {
		return r.failed(err, t)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	r.Saw = "HTTP " + resp.Status
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusOK && (kind == "application/x-protobuf" || kind == "application/json"):
		r.OK = true
	case resp.StatusCode == http.StatusOK:
		r.Saw += fmt.Sprintf(" with Content-Type %q", kind)
		r.Cause, r.Fix = "an HTTP server that is no OTLP receiver accepted the request", "check host and path: a receiver responds with application/x-protobuf"
	case resp.StatusCode == http.StatusBadRequest && bytes.Contains(body, []byte("HTTPS server")):
		r.Cause, r.Fix = expectsTLS, useTLS
	default:
		r.Cause, r.Fix = byStatus(resp, t.URL)
	}
	return r
}

// byStatus explains the response of an HTTP server.
func byStatus(resp *http.Response, u *url.URL) (cause, fix string) {
	code := resp.StatusCode
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return "the server requires authentication", "set OTEL_EXPORTER_OTLP_HEADERS, such as authorization=Bearer%20TOKEN (here: -header)"
	case code == http.StatusNotFound:
		return "no route for " + u.Host + " at this path: a gateway routes by host name and path", "use the host name of the route (gateway.otlp.hostname of the chart), and no path that the receiver does not have"
	case code == http.StatusMethodNotAllowed:
		return "a web server without an OTLP receiver at this path", "check port and path: OTLP/HTTP is 4318 by convention"
	case code >= 300 && code < 400:
		return "the server redirects to " + resp.Header.Get("Location") + ": exporters do not follow redirects", "use that URL"
	case code == http.StatusUnsupportedMediaType:
		return "the server does not accept protobuf over HTTP/1.1: often a gRPC receiver behind a proxy", "use OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or the OTLP/HTTP port (4318 by convention)"
	case code == http.StatusBadGateway || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout:
		return "a gateway responded, but it gets no response from the receiver behind it", "check that the receiver runs, and that the gateway sends to its OTLP/HTTP port with HTTP/1.1"
	case code == http.StatusTooManyRequests:
		return "the receiver rejects data for now: rate limit or memory limit", "retry later; check the memory limit of the Collector"
	}
	return "the receiver rejected an empty export", "check the log of the receiver"
}

// emptyMessage is a gRPC frame: not compressed, length 0.
var emptyMessage = make([]byte, 5)

// overGRPC exports with OTLP/gRPC: a call of TraceService/Export over HTTP/2.
func (t target) overGRPC(ctx context.Context) Probe {
	u := *t.URL
	u.Path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	r := Probe{Protocol: GRPC, URL: u.String()}
	if u.Scheme == "http" && u.Port() == "" {
		r.Saw = "no request: the URL has no port"
		r.Cause = "exporters that use gRPC for Go then connect to port 443, without TLS"
		r.Fix = "write the port, as in http://" + HostPort(t.URL)
		return r
	}
	resp, begun, err := t.post(ctx, r, "application/grpc", emptyMessage)
	if err == nil {
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // trailers come after the body
	}
	r.Took = time.Since(begun)
	if err != nil {
		r = r.failed(err, t)
		var op *net.OpError
		if t.Scheme == "http" && !os.IsTimeout(err) && (!errors.As(err, &op) || op.Op != "dial") {
			r = r.byPreface(t.preface(ctx), t)
		}
		return r
	}
	status := resp.Trailer.Get("Grpc-Status")
	if status == "" {
		status = resp.Header.Get("Grpc-Status")
	}
	r.Saw = "HTTP/2 " + resp.Status
	if status != "" {
		r.Saw += ", grpc-status " + status
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusOK && status == "0":
		r.OK = true
	case status == "" && strings.HasPrefix(kind, "application/grpc"):
		r.Cause = "a proxy between here and the receiver dropped the trailers, which have the status of a gRPC call"
		r.Fix = "let the proxy speak HTTP/2 to the receiver (Kubernetes: GRPCRoute, appProtocol kubernetes.io/h2c), or use " + HTTP
	case status == "":
		r.Cause, r.Fix = byStatus(resp, t.URL)
		if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnsupportedMediaType {
			r.Cause, r.Fix = "the server speaks HTTP/2, but not gRPC", "use OTEL_EXPORTER_OTLP_PROTOCOL="+HTTP+", or the gRPC port (4317 by convention)"
		}
	default:
		r.Cause, r.Fix = byGRPCStatus(status)
	}
	return r
}

// preface sends only the 24 bytes that begin HTTP/2, and returns what the server sends back before it ends
// the connection. A server of HTTP/1.1 reads all of them, so that nothing cuts its response off, as
// happens to requests: their frames still come in when it has ended the connection.
func (t target) preface(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", HostPort(t.URL))
	if err != nil {
		return ""
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		return ""
	}
	got, _ := io.ReadAll(io.LimitReader(c, 512)) // what came before an error counts
	return string(got)
}

// byPreface explains a call that failed, by what the server sent back for the preface of HTTP/2.
func (r Probe) byPreface(got string, t target) Probe {
	switch {
	case strings.HasPrefix(got, "HTTP/1.") && strings.Contains(got, "HTTPS"), strings.HasPrefix(got, "\x15\x03"): // an alert
		r.Cause, r.Fix = expectsTLS, useTLS
	case strings.HasPrefix(got, "HTTP/1.") && t.Port() == "4318":
		r.Cause = "the server speaks HTTP/1.1, and gRPC needs HTTP/2: port 4318 is by convention the one of OTLP/HTTP"
		r.Fix = "use port 4317, or set OTEL_EXPORTER_OTLP_PROTOCOL=" + HTTP
	case strings.HasPrefix(got, "HTTP/1."):
		r.Cause = "a server or a proxy in between speaks HTTP/1.1, and gRPC needs HTTP/2: its response is read as an HTTP/2 frame"
		r.Fix = "let every hop speak HTTP/2 (Kubernetes: GRPCRoute, appProtocol kubernetes.io/h2c; nginx: grpc_pass), or set OTEL_EXPORTER_OTLP_PROTOCOL=" + HTTP + " and port 4318"
	}
	return r
}

// byGRPCStatus explains the status of a gRPC call.
func byGRPCStatus(status string) (cause, fix string) {
	switch status {
	case "12": // UNIMPLEMENTED
		return "a gRPC server without an OTLP receiver, or a route that does not match the method", "check port and route: opentelemetry.proto.collector.trace.v1.TraceService/Export"
	case "7", "16": // PERMISSION_DENIED, UNAUTHENTICATED
		return "the server requires authentication", "set OTEL_EXPORTER_OTLP_HEADERS, such as authorization=Bearer%20TOKEN (here: -header)"
	case "8": // RESOURCE_EXHAUSTED
		return "the receiver rejects data for now: memory limit or message size", "check the memory limit of the Collector"
	case "14": // UNAVAILABLE
		return "the receiver, or what is behind a gateway, is not available", "check that the receiver runs, and that the gateway sends to its gRPC port with HTTP/2"
	}
	return "the receiver rejected an empty export", "check the log of the receiver"
}

// cut are errors of a connection that the server ended while a request was written.
var cut = []string{"connection reset", "broken pipe", "client conn could not be established", "readLoopPeekFailLocked"}

// lost are errors of a connection that the server ended, or on which it does not speak HTTP/2.
var lost = []string{"EOF", "server closed", "client connection lost", "client conn is closed", "frame too large"}

// contains reports whether a text has one of these parts.
func contains(text string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
}

// failed explains an error of the connection.
func (r Probe) failed(err error, t target) Probe {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	r.Saw = err.Error()
	r.Cause, r.Fix = r.byError(err, t)
	return r
}

func (r Probe) byError(err error, t target) (cause, fix string) {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	has := func(parts ...string) bool { return contains(err.Error(), parts...) }
	switch {
	case errors.As(err, &dns) && dns.IsTimeout:
		return "the name " + dns.Name + " was not resolved in time: DNS does not respond", "check the DNS server, or use an IP address"
	case errors.As(err, &dns):
		return "the name " + dns.Name + " has no address here", "check the name; a Service is NAME.NAMESPACE.svc only inside the cluster"
	case errors.As(err, &unknown):
		return "the certificate is of an authority that this machine does not trust", "set OTEL_EXPORTER_OTLP_CERTIFICATE to the authority's certificate"
	case errors.As(err, &host):
		return "the certificate is for another host name", "use the name in the certificate"
	case errors.As(err, &record), has("first record does not look like a TLS handshake", "server gave HTTP response to HTTPS client"):
		return "the server does not speak TLS on this port", "use http:// instead of https:// (gRPC exporters: OTEL_EXPORTER_OTLP_INSECURE=true)"
	case has("connection refused"):
		return "nothing listens on " + HostPort(t.URL), "start the Collector; check port and address (kubectl port-forward, firewall)"
	case has("malformed HTTP response", "malformed HTTP status"):
		return grpcOnly, useGRPC
	case has("unexpected ALPN protocol", "no application protocol", "HTTP/2 not supported", "bad protocol"):
		return "the TLS server does not offer HTTP/2, which gRPC needs", "switch HTTP/2 on in the gateway, or set OTEL_EXPORTER_OTLP_PROTOCOL=" + HTTP
	case errors.Is(err, context.DeadlineExceeded), has("Client.Timeout", "i/o timeout"):
		return "no response within " + t.timeout.String() + ": a firewall or a NetworkPolicy drops the packets, or the server hangs", "check firewall and NetworkPolicies between here and " + HostPort(t.URL)
	case has(lost...), has(cut...):
		if r.Protocol == GRPC {
			return "the server ended the connection: it does not speak HTTP/2 without TLS here", "use https:// if it expects TLS, or set OTEL_EXPORTER_OTLP_PROTOCOL=" + HTTP
		}
		return endedHTTP, "use https:// if it expects TLS, or set OTEL_EXPORTER_OTLP_PROTOCOL=" + GRPC
	}
	return "the request failed", "see the error"
}

// HostPort returns the address that a URL names.
func HostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = strconv.Itoa(map[string]int{"http": 80, "https": 443}[u.Scheme])
	}
	return net.JoinHostPort(u.Hostname(), port)
}

package engine

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"

	frames "golang.org/x/net/http2"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/http2"
)

// category is a category of requests without a complete response: error.type of spans and metrics, and a line of the
// report.
type category struct {
	name    string
	explain bool   // the report shows the first error
	hint    string // what helps, after the error
}

// other is the category of all other errors.
var other = category{name: "other", explain: true}

// texts are categories by text. The first one whose text is in the error counts. The errors' texts contain ports and
// addresses.
var texts = []struct {
	in string
	category
}{
	{"context deadline exceeded", category{name: "timeout"}},
	{"i/o timeout", category{name: "timeout"}},
	{"connection refused", category{"connection refused", true, " (nothing listens there: check host and port, and that the service runs)"}},
	{"connection reset", category{name: "connection reset"}},
	{"broken pipe", category{name: "connection reset"}},
	{"no such host", category{"no such host", true, " (check the name, or set its address with -resolve)"}},
	{"cannot assign requested address", category{name: "no free port"}},
	{"too many open files", category{name: "too many open files"}},
	{"response headers are longer", category{name: "response headers too long"}},
	{"server response headers exceeded", category{name: "response headers too long"}}, // net/http's
	// Errors of net/http's HTTP/2 have no exported types.
	{"server sent GOAWAY", goAway},
	{"stream error: ", category{name: "HTTP/2 stream reset", explain: true}},
	{"connection error: ", protocolError},
	{"server gave HTTP response to HTTPS client", noTLS},
	{"malformed", invalidResponse}, // of net/http, as the next ones
	{"Content-Length", invalidResponse},
	{"transfer encoding", invalidResponse},
	{"chunk", invalidResponse},
	{"EOF", category{name: "connection closed"}},
	{"server closed idle connection", category{name: "connection closed"}},
}

var (
	goAway          = category{name: "HTTP/2 GOAWAY", explain: true}
	protocolError   = category{name: "HTTP/2 protocol error", explain: true}
	invalidResponse = category{name: "invalid response", explain: true}
	noTLS           = category{"TLS: no TLS server", true, " (http:// instead of https://?)"}
)

// categoryOf returns the category of an error, by its type where it has one.
func categoryOf(err error) category {
	if c, ok := typed(err); ok {
		return c
	}
	text := err.Error()
	for _, c := range texts {
		if strings.Contains(text, c.in) {
			return c.category
		}
	}
	return other
}

// typed returns the category of an error by its type.
func typed(err error) (category, bool) {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		operation *net.OpError
		lookup    *net.DNSError
		goaway    *http2.GoAwayError
		stream    frames.StreamError
		protocol  frames.ConnectionError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &authority):
		return category{"TLS: unknown authority", true, " (-cacert FILE has its CA certificate; -insecure does not verify)"}, true
	case errors.As(err, &name):
		return category{"TLS: certificate of another name", true, " (-resolve connects a name to an address)"}, true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return category{"TLS: certificate expired", true, ""}, true
	case errors.As(err, &invalid), errors.As(err, &verify):
		return category{"TLS: invalid certificate", true, ""}, true
	case errors.As(err, &record):
		return noTLS, true
	case errors.Is(err, connect.ErrNoHTTP2):
		return category{"no HTTP/2", true, " (-http1 uses HTTP/1.1)"}, true
	case errors.As(err, &operation) && operation.Op == "remote error": // an alert of TLS
		hint := ""
		if text := operation.Err.Error(); strings.Contains(text, "certificate") {
			hint = " (-cert FILE is the client certificate)"
		}
		return category{"TLS: refused by the server", true, hint}, true
	case errors.As(err, &goaway):
		return goAway, true
	case errors.As(err, &stream):
		if stream.Cause != nil || stream.Code == frames.ErrCodeProtocol {
			return protocolError, true
		}
		return category{"HTTP/2 stream reset: " + stream.Code.String(), true, ""}, true
	case errors.As(err, &protocol):
		return protocolError, true
	case errors.Is(err, errRedirects):
		return category{"too many redirects", true, " (-follow-redirects)"}, true
	case errors.Is(err, errLocation):
		return category{"invalid redirect", true, ""}, true
	case errors.As(err, &lookup) && !lookup.IsNotFound:
		if lookup.IsTimeout {
			return category{"DNS timeout", true, ""}, true
		}
		return category{"DNS error", true, ""}, true
	case errors.As(err, &timeout) && timeout.Timeout():
		return category{name: "timeout"}, true
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return category{"network unreachable", true, " (check the address, the route and the firewall)"}, true
	case errors.Is(err, syscall.ENOENT): // of a Unix socket
		return category{"no such socket", true, ""}, true
	}
	return category{}, false
}

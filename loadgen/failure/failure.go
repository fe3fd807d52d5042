// Package failure puts the errors of requests into categories.
package failure

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

// Errors of redirects.
var (
	ErrRedirects = errors.New("too many redirects")
	ErrLocation  = errors.New("redirect without a usable Location")
)

// Category is a category of requests without a complete response: error.type of spans and metrics, and a line of the
// report.
type Category struct {
	Name    string
	Explain bool   // the report shows the first error
	Hint    string // what helps, after the error
}

// other is the category of all other errors.
var other = Category{Name: "other", Explain: true}

// texts are categories by text. The first one whose text is in the error counts. The errors' texts contain ports and
// addresses.
var texts = []struct {
	in string
	Category
}{
	{"context deadline exceeded", Category{Name: "timeout"}},
	{"i/o timeout", Category{Name: "timeout"}},
	{"connection refused", Category{"connection refused", true, " (nothing listens there: check host and port, and that the service runs)"}},
	{"connection reset", Category{Name: "connection reset"}},
	{"broken pipe", Category{Name: "connection reset"}},
	{"no such host", Category{"no such host", true, " (check the name, or set its address with -resolve)"}},
	{"cannot assign requested address", Category{Name: "no free port"}},
	{"too many open files", Category{Name: "too many open files"}},
	{"response headers are longer", Category{Name: "response headers too long"}},
	{"server response headers exceeded", Category{Name: "response headers too long"}}, // net/http's
	// Errors of net/http's HTTP/2 have no exported types.
	{"server sent GOAWAY", goAway},
	{"stream error: ", Category{Name: "HTTP/2 stream reset", Explain: true}},
	{"connection error: ", protocolError},
	{"server gave HTTP response to HTTPS client", noTLS},
	{"malformed", invalidResponse}, // of net/http, as the next ones
	{"Content-Length", invalidResponse},
	{"transfer encoding", invalidResponse},
	{"chunk", invalidResponse},
	{"EOF", Category{Name: "connection closed"}},
	{"server closed idle connection", Category{Name: "connection closed"}},
}

var (
	goAway          = Category{Name: "HTTP/2 GOAWAY", Explain: true}
	protocolError   = Category{Name: "HTTP/2 protocol error", Explain: true}
	invalidResponse = Category{Name: "invalid response", Explain: true}
	noTLS           = Category{"TLS: no TLS server", true, " (http:// instead of https://?)"}
)

// Of returns the category of an error, by its type where it has one.
func Of(err error) Category {
	if c, ok := typed(err); ok {
		return c
	}
	text := err.Error()
	for _, c := range texts {
		if strings.Contains(text, c.in) {
			return c.Category
		}
	}
	return other
}

// typed returns the category of an error by its type.
func typed(err error) (Category, bool) {
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
		return Category{"TLS: unknown authority", true, " (-cacert FILE has its CA certificate; -insecure does not verify)"}, true
	case errors.As(err, &name):
		return Category{"TLS: certificate of another name", true, " (-resolve connects a name to an address)"}, true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Category{"TLS: certificate expired", true, ""}, true
	case errors.As(err, &invalid), errors.As(err, &verify):
		return Category{"TLS: invalid certificate", true, ""}, true
	case errors.As(err, &record):
		return noTLS, true
	case errors.Is(err, connect.ErrNoHTTP2):
		return Category{"no HTTP/2", true, " (-http1 uses HTTP/1.1)"}, true
	case errors.As(err, &operation) && operation.Op == "remote error": // an alert of TLS
		hint := ""
		if text := operation.Err.Error(); strings.Contains(text, "certificate") {
			hint = " (-cert FILE is the client certificate)"
		}
		return Category{"TLS: refused by the server", true, hint}, true
	case errors.As(err, &goaway):
		return goAway, true
	case errors.As(err, &stream):
		if stream.Cause != nil || stream.Code == frames.ErrCodeProtocol {
			return protocolError, true
		}
		return Category{"HTTP/2 stream reset: " + stream.Code.String(), true, ""}, true
	case errors.As(err, &protocol):
		return protocolError, true
	case errors.Is(err, ErrRedirects):
		return Category{"too many redirects", true, " (-follow-redirects)"}, true
	case errors.Is(err, ErrLocation):
		return Category{"invalid redirect", true, ""}, true
	case errors.As(err, &lookup) && !lookup.IsNotFound:
		if lookup.IsTimeout {
			return Category{"DNS timeout", true, ""}, true
		}
		return Category{"DNS error", true, ""}, true
	case errors.As(err, &timeout) && timeout.Timeout():
		return Category{Name: "timeout"}, true
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Category{"network unreachable", true, " (check the address, the route and the firewall)"}, true
	case errors.Is(err, syscall.ENOENT): // of a Unix socket
		return Category{"no such socket", true, ""}, true
	}
	return Category{}, false
}

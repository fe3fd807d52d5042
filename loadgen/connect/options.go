// Package connect opens the connections of a load test, and has the flags for them: where to connect, how to
// verify the server, and which version of HTTP to speak.
package connect

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"soundcheck/internal/cli"
)

// Version is which versions of HTTP are used.
type Version string

// Versions.
const (
	Auto  Version = ""      // HTTP/1.1 for http:// URLs; for https:// URLs ALPN decides
	HTTP1 Version = "http1" // HTTP/1.1 only
	HTTP2 Version = "http2" // HTTP/2 only, for https:// URLs only
	H2C   Version = "h2c"   // HTTP/2 only, for http:// URLs with prior knowledge (RFC 9113, 3.3)
)

// MaxRedirects is the max value of -follow-redirects.
const MaxRedirects = 50

// Options are how to connect and what to do with redirects, cookies and compression. Its JSON goes to the workers of
// a distributed run. It has the contents of files instead of their names, and never the client's certificate and key:
// the stream to the workers is not encrypted.
type Options struct {
	Version    Version `json:"version,omitempty"`
	Resolve    list    `json:"resolve,omitempty"` // as host:port:addr
	UnixSocket string  `json:"unix_socket,omitempty"`
	LocalAddr  string  `json:"local_addr,omitempty"`
	Insecure   bool    `json:"insecure,omitempty"`
	CACert     string  `json:"ca_cert,omitempty"` // PEM
	Cert       string  `json:"-"`                 // PEM
	Key        string  `json:"-"`                 // PEM

	NoKeepalive bool `json:"no_keepalive,omitempty"`
	Multiplex   bool `json:"multiplex,omitempty"` // concurrent HTTP/2 requests share a connection
	Redirects   int  `json:"redirects,omitempty"` // max number per request; 0: none is followed
	CookieJar   bool `json:"cookie_jar,omitempty"`
	Compressed  bool `json:"compressed,omitempty"`

	caFile, certFile, keyFile string
	versionDefault            bool // Version is from the environment
}

// Define defines the flags.
func (o *Options) Define(f *cli.Flags) {
	o.DefineCert(f)
	f.StringVar(&o.caFile, "cacert", "", "PEM `file` of CA certificates that verify the server, instead of the system's")
	f.BoolVar(&o.Insecure, "insecure", false, "do not verify the server's certificate")
	f.Var(&version{o, HTTP1}, "http1", "use HTTP/1.1 only (default: HTTP/2 for https:// URLs if the server supports it)")
	f.Var(&version{o, HTTP2}, "http2", "use HTTP/2 only, for https:// URLs")
	f.Var(&version{o, H2C}, "h2c", "use HTTP/2 only, for http:// URLs too, without an upgrade")
	f.BoolVar(&o.NoKeepalive, "no-keepalive", false, "open a new connection for each request")
	f.BoolVar(&o.Multiplex, "multiplex", false, "send concurrent HTTP/2 requests on one connection (default: one connection each)")
	f.Var(&o.Resolve, "resolve", "connect to another IP address, as `host:port:addr`; repeatable")
	f.StringVar(&o.UnixSocket, "unix-socket", "", "connect to the Unix socket at this `path`, for all URLs")
	f.StringVar(&o.LocalAddr, "local-addr", "", "local IP `address` of connections")
	f.IntVar(&o.Redirects, "follow-redirects", 0, fmt.Sprintf("max `redirects` to follow for each request (0 to %d)", MaxRedirects))
	f.BoolVar(&o.CookieJar, "cookie-jar", false, "store cookies of responses and send them, one jar for all requests")
	f.BoolVar(&o.Compressed, "compressed", false, "accept gzip; bytes are counted as received, compressed")
}

// DefineCert defines the flags of the client certificate only.
func (o *Options) DefineCert(f *cli.Flags) {
	f.StringVar(&o.certFile, "cert", "", "PEM `file` of the client certificate")
	f.StringVar(&o.keyFile, "key", "", "PEM `file` of the private key of -cert (default: the file of -cert)")
}

// Check reads the files of the flags and checks all values. Its errors name the flag.
func (o *Options) Check() error {
	if err := o.read(); err != nil {
		return err
	}
	if o.Redirects < 0 || o.Redirects > MaxRedirects {
		return fmt.Errorf("-follow-redirects %d is out of range: 0 to %d", o.Redirects, MaxRedirects)
	}
	if o.LocalAddr != "" {
		if _, err := netip.ParseAddr(o.LocalAddr); err != nil {
			return fmt.Errorf("-local-addr %q is not an IP address", o.LocalAddr)
		}
	}
	if o.UnixSocket != "" && o.LocalAddr != "" {
		return errors.New("-unix-socket and -local-addr do not go together")
	}
	if o.UnixSocket != "" && len(o.Resolve) > 0 {
		return errors.New("-unix-socket and -resolve do not go together")
	}
	if o.Multiplex && o.NoKeepalive {
		return errors.New("-multiplex and -no-keepalive do not go together")
	}
	if o.Multiplex && o.Version == HTTP1 {
		return errors.New("-multiplex and -http1 do not go together")
	}
	if o.Insecure && o.CACert != "" {
		return errors.New("-insecure and -cacert do not go together")
	}
	_, err := o.config()
	return err
}

func (o *Options) read() error {
	if o.keyFile != "" && o.certFile == "" {
		return errors.New("-key needs -cert")
	}
	key := o.keyFile
	if key == "" {
		key = o.certFile
	}
	for _, f := range []struct {
		flag, name string
		to         *string
	}{{"cacert", o.caFile, &o.CACert}, {"cert", o.certFile, &o.Cert}, {"key", key, &o.Key}} {
		if f.name == "" {
			continue
		}
		b, err := os.ReadFile(f.name)
		if err != nil {
			return fmt.Errorf("-%s: %w", f.flag, err)
		}
		if len(b) == 0 {
			return fmt.Errorf("-%s: %s is empty", f.flag, f.name)
		}
		*f.to = string(b)
	}
	return nil
}

// config returns the TLS configuration without a server name.
func (o *Options) config() (*tls.Config, error) {
	c := &tls.Config{InsecureSkipVerify: o.Insecure} //nolint:gosec // the user asks for it, and the report says so
	if o.CACert != "" {
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM([]byte(o.CACert)) {
			return nil, errors.New("-cacert has no PEM certificate")
		}
	}
	if o.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(o.Cert), []byte(o.Key))
		if err != nil {
			return nil, fmt.Errorf("-cert and -key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// CheckURL returns an error if no request can be sent to a URL.
func (o *Options) CheckURL(url string) error {
	if o.Version == HTTP2 && strings.HasPrefix(url, "http:") {
		return errors.New("-http2 needs an https:// URL; -h2c is HTTP/2 for http:// URLs")
	}
	return nil
}

// String describes what differs from the defaults, for the report.
func (o Options) String() string {
	var parts []string
	add := func(on bool, text string) {
		if on {
			parts = append(parts, text)
		}
	}
	add(o.Version == HTTP1, "HTTP/1.1 only")
	add(o.Version == HTTP2, "HTTP/2 only")
	add(o.Version == H2C, "HTTP/2 only, without TLS for http:// URLs")
	add(o.Insecure, "server certificates are not verified")
	add(o.CACert != "", "CA certificates of -cacert")
	add(o.Cert != "", "client certificate")
	add(o.Multiplex, "multiplexed")
	add(o.NoKeepalive, "a new connection for each request")
	add(len(o.Resolve) > 0, "resolve "+o.Resolve.String())
	add(o.UnixSocket != "", "Unix socket "+o.UnixSocket)
	add(o.LocalAddr != "", "local address "+o.LocalAddr)
	add(o.Redirects == 1, "max 1 redirect")
	add(o.Redirects > 1, fmt.Sprintf("max %d redirects", o.Redirects))
	add(o.CookieJar, "cookies")
	add(o.Compressed, "gzip accepted")
	return strings.Join(parts, ", ")
}

// version is one of the flags that set Options.Version. It implements cli.Defaulter: a flag of the command line
// overrides one of the environment.
type version struct {
	o     *Options
	value Version
}

func (v *version) IsBoolFlag() bool { return true }

func (v *version) String() string {
	return strconv.FormatBool(v.o != nil && v.o.Version == v.value)
}

func (v *version) Set(s string) error {
	on, err := strconv.ParseBool(s)
	switch {
	case err != nil:
		return errors.New("not true or false")
	case on && v.o.Version != Auto && v.o.Version != v.value && !v.o.versionDefault:
		return fmt.Errorf("-%s and -%s do not go together", v.o.Version, v.value)
	case on:
		v.o.Version, v.o.versionDefault = v.value, false
	case v.o.Version == v.value:
		v.o.Version = Auto
	}
	return nil
}

func (v *version) Default() { v.o.versionDefault = true }

// list is the value of -resolve. Values of the command line replace those of the environment.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// Set adds entries, separated by commas.
func (l *list) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		from, _, err := split(part)
		if err != nil {
			return err
		}
		*l = slices.DeleteFunc(*l, func(e string) bool { f, _, _ := split(e); return f == from })
		*l = append(*l, part)
	}
	return nil
}

// split returns the address that a URL has and the one to connect to.
func split(s string) (from, to string, err error) {
	parts := strings.SplitN(s, ":", 3)
	if len(parts) != 3 || parts[0] == "" {
		return "", "", fmt.Errorf("%q is not host:port:addr, as in shop.example:443:127.0.0.1", s)
	}
	if port, err := strconv.ParseUint(parts[1], 10, 16); err != nil || port == 0 {
		return "", "", fmt.Errorf("%q: %q is not a port", s, parts[1])
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(parts[2], "["), "]"))
	if err != nil {
		return "", "", fmt.Errorf("%q: %q is not an IP address", s, parts[2])
	}
	port, _ := strconv.ParseUint(parts[1], 10, 16)
	return strings.ToLower(parts[0]) + ":" + parts[1], netip.AddrPortFrom(addr, uint16(port)).String(), nil
}

package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Dialer opens connections.
type Dialer struct {
	Options

	// Opened, if not nil, is called for each connection that was opened, from many goroutines.
	Opened func(Connection)

	dialer  net.Dialer
	resolve map[string]string
	tls     *tls.Config
	err     error
}

// Connection is how a connection was opened. Times are 0 if there was nothing to do.
type Connection struct {
	DNS       time.Duration // name resolution
	Connect   time.Duration // TCP handshake, including DNS
	Handshake time.Duration // of TLS
	Protocol  string        // by ALPN: h2, http/1.1, or "" without TLS or ALPN
}

// Times of a request are since it was sent.
type Times struct {
	Connected time.Duration // connection ready
	FirstByte time.Duration // of the response; 0: none
}

// ErrNoHTTP2 is that a server does not speak HTTP/2.
var ErrNoHTTP2 = errors.New("the server does not support HTTP/2")

// Dialer returns a dialer for options that were checked.
func (o Options) Dialer() *Dialer {
	d := &Dialer{Options: o, resolve: map[string]string{}}
	d.dialer.KeepAlive = 30 * time.Second
	if o.LocalAddr != "" {
		d.dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(o.LocalAddr)}
	}
	for _, s := range o.Resolve {
		from, to, err := split(s)
		d.resolve[from], d.err = to, errors.Join(d.err, err)
	}
	config, err := o.config()
	d.tls, d.err = config, errors.Join(d.err, err)
	return d
}

// Dial opens a connection, as net.Dialer.DialContext.
func (d *Dialer) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var c Connection
	conn, err := d.dial(ctx, network, address, &c)
	if err == nil && d.Opened != nil {
		d.Opened(c)
	}
	return conn, err
}

func (d *Dialer) dial(ctx context.Context, network, address string, c *Connection) (net.Conn, error) {
	if d.err != nil {
		return nil, d.err
	}
	if d.UnixSocket != "" {
		network, address = "unix", d.UnixSocket
	}
	if to := d.resolve[strings.ToLower(address)]; to != "" {
		address = to
	}
	var dns atomic.Int64 // with an error, a look-up may go on
	start := time.Now()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{DNSDone: func(httptrace.DNSDoneInfo) { dns.Store(int64(time.Since(start))) }})
	conn, err := d.dialer.DialContext(ctx, network, address)
	c.DNS, c.Connect = time.Duration(dns.Load()), time.Since(start)
	return conn, err
}

// TLS returns the configuration of a connection to a server. As with net/http, sessions are not resumed.
func (d *Dialer) TLS(serverName string) *tls.Config {
	c := d.tls.Clone()
	c.ServerName = serverName
	return c
}

// DialTLS opens a connection with TLS, and offers protocols by ALPN.
func (d *Dialer) DialTLS(ctx context.Context, network, address string, protocols ...string) (*tls.Conn, error) {
	var c Connection
	conn, err := d.dial(ctx, network, address, &c)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	config := d.TLS(host)
	config.NextProtos = protocols
	t := tls.Client(conn, config)
	start := time.Now()
	if err = t.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	c.Handshake, c.Protocol = time.Since(start), t.ConnectionState().NegotiatedProtocol
	if d.Opened != nil {
		d.Opened(c)
	}
	return t, nil
}

// Protocols by ALPN.
const (
	ALPN2 = "h2"
	ALPN1 = "http/1.1"
)

// Proxied reports whether the environment sets a proxy for a scheme. With -unix-socket and -resolve there is none.
func (d *Dialer) Proxied(scheme string) bool {
	if d.UnixSocket != "" || len(d.Resolve) > 0 {
		return false
	}
	name := scheme + "_proxy"
	return os.Getenv(name) != "" || os.Getenv(strings.ToUpper(name)) != ""
}

// Transport returns an HTTP client that speaks the versions of the options, also by a proxy of the environment, with a
// max number of idle connections.
func (d *Dialer) Transport(idle int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = idle, idle
	t.DisableCompression = true // measure responses as sent without Accept-Encoding
	t.DisableKeepAlives = d.NoKeepalive
	t.TLSClientConfig = d.tls.Clone() // net/http changes it
	t.DialContext = d.Dial
	if d.UnixSocket != "" || len(d.Resolve) > 0 {
		t.Proxy = nil
	}
	offer := []string{ALPN2, ALPN1}
	p := new(http.Protocols)
	switch d.Version {
	case HTTP1:
		p.SetHTTP1(true)
		offer = offer[1:]
	case HTTP2:
		p.SetHTTP2(true)
		offer = offer[:1]
	case H2C:
		p.SetUnencryptedHTTP2(true)
		p.SetHTTP2(true)
	default:
		p.SetHTTP1(true)
		p.SetHTTP2(true)
	}
	t.Protocols = p
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return d.DialTLS(ctx, network, address, offer...)
	}
	return t
}

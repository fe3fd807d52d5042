// Package connecttest has certificates and servers for tests of connections.
package connecttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// CA signs certificates.
type CA struct {
	PEM  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Pair is a certificate with its key, in PEM.
type Pair struct {
	CA        *CA
	Cert, Key string
}

// Files are the names of PEM files.
type Files struct{ CA, Cert, Key string }

// NewCA returns a new CA.
func NewCA(t testing.TB) *CA {
	t.Helper()
	c := &CA{}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	c.key, c.PEM = key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return c
}

// Server returns a certificate for 127.0.0.1, ::1, localhost and shop.example.
func (c *CA) Server(t testing.TB) Pair {
	return c.pair(t, &x509.Certificate{DNSNames: []string{"localhost", "shop.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

// Expired returns an expired certificate for 127.0.0.1.
func (c *CA) Expired(t testing.TB) Pair {
	return c.pair(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
}

// Client returns a certificate of a client.
func (c *CA) Client(t testing.TB, name string) Pair {
	return c.pair(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (c *CA) pair(t testing.TB, template *x509.Certificate) Pair {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{c, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))}
}

// Files writes the PEM files.
func (p Pair) Files(t testing.TB, dir string) Files {
	t.Helper()
	f := Files{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	for name, text := range map[string]string{f.CA: p.CA.PEM, f.Cert: p.Cert, f.Key: p.Key} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TLS returns the configuration of a server with this certificate.
func (p Pair) TLS(t testing.TB) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(p.Cert), []byte(p.Key))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}} //nolint:gosec // a test's
}

// Server is Go's server. It counts its connections.
type Server struct {
	*httptest.Server
	Connections atomic.Int64
}

// Start starts a server with some protocols until the end of the test, with TLS if config is not nil.
func Start(t testing.TB, h http.Handler, config *tls.Config, set ...func(*http.Protocols, bool)) *Server {
	t.Helper()
	s := &Server{Server: httptest.NewUnstartedServer(h)}
	s.Config.Protocols = new(http.Protocols)
	for _, f := range set {
		f(s.Config.Protocols, true)
	}
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			s.Connections.Add(1)
		}
	}
	s.Config.ErrorLog = quiet
	if s.TLS = config; config != nil {
		s.EnableHTTP2 = s.Config.Protocols.HTTP2()
		s.StartTLS()
	} else {
		s.Server.Start()
	}
	t.Cleanup(s.Close)
	return s
}

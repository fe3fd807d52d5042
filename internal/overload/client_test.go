package overload

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	const gateway, inner, client = "192.168.1.7", "10.1.2.3", "203.0.113.4"
	trusted := []string{gateway, "10.0.0.0/8", "2001:db8:1::/48", "fe80::/64", "::ffff:172.16.0.0/108"}
	for _, tt := range []struct {
		remote  string
		headers []string // X-Forwarded-For
		want    string
	}{
		{client + ":1", nil, client},
		{client + ":1", []string{"198.51.100.1"}, client}, // nobody trusts it
		{gateway + ":1", nil, gateway},
		{gateway + ":1", []string{""}, gateway},
		{gateway + ":1", []string{client}, client},
		{gateway + ":1", []string{client + ":5000"}, client},
		{gateway + ":1", []string{"  " + client + ":5000\t"}, client},
		{gateway + ":1", []string{"::ffff:" + client}, client},
		{gateway + ":1", []string{"[::ffff:" + client + "]:5000"}, client},
		{gateway + ":1", []string{"2001:db8::1"}, "2001:db8::1"},
		{gateway + ":1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{gateway + ":1", []string{"[2001:db8::1]:5000"}, "2001:db8::1"},
		{gateway + ":1", []string{"[2001:db8::1%eth0]:5000"}, "2001:db8::1%eth0"},
		{gateway + ":1", []string{"2001:DB8:0::1"}, "2001:db8::1"},
		// What the client wrote itself is left of what the gateway appended.
		{gateway + ":1", []string{"198.51.100.1, " + client}, client},
		{gateway + ":1", []string{"198.51.100.1", client + ":5000"}, client},
		{gateway + ":1", []string{"10.9.9.9, " + client}, client},
		{gateway + ":1", []string{client + "," + inner}, client},
		{gateway + ":1", []string{client, inner + ":80", ",,"}, client},
		{gateway + ":1", []string{inner}, inner}, // all of them are trusted: the first
		{gateway + ":1", []string{inner + ",10.4.5.6"}, inner},
		// What is no address ends it.
		{gateway + ":1", []string{"unknown"}, gateway},
		{gateway + ":1", []string{"198.51.100.1, unknown"}, gateway},
		{gateway + ":1", []string{client + ", _hidden, " + inner}, inner},
		{gateway + ":1", []string{"010.0.0.1"}, gateway},
		{gateway + ":1", []string{client + "/32"}, gateway},
		{gateway + ":1", []string{"[2001:db8::1"}, gateway},
		{gateway + ":1", []string{"for=" + client}, gateway},
		{"[::ffff:" + gateway + "]:1", []string{client}, client},
		{"172.16.3.4:1", []string{client}, client},
		{"[2001:db8:1::7]:1", []string{client}, client},
		{"[fe80::1%eth0]:1", []string{client}, client},
		{"[fe80::1%eth0]:1", nil, "fe80::1%eth0"},
		{"@", []string{client}, "@"},
	} {
		c, err := New(Options{TrustedProxies: trusted}, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := gin.New()
		c.Identify(r)
		got := ""
		r.GET("/x", func(g *gin.Context) { got = g.ClientIP() })
		req := httptest.NewRequest("GET", "/x", nil)
		req.RemoteAddr = tt.remote
		req.Header = http.Header{"X-Forwarded-For": tt.headers, "X-Real-Ip": {"198.51.100.9"}, "Forwarded": {"for=198.51.100.9"}, clientHeader: {"198.51.100.9"}}
		r.ServeHTTP(httptest.NewRecorder(), req)
		if got != tt.want {
			t.Errorf("from %s with %q: %s, want %s", tt.remote, tt.headers, got, tt.want)
		}
	}
	for _, bad := range []string{"10.0.0.0/33", "x", "fe80::1%eth0", "fe80::%eth0/64", ""} {
		if _, err := New(Options{TrustedProxies: []string{bad}}, nil); err == nil {
			t.Errorf("the trusted proxy %q is taken", bad)
		}
	}
}

// Whoever is not trusted cannot choose its address, and what comes out is one.
func FuzzClientAddress(f *testing.F) {
	for _, s := range []string{"203.0.113.4:5000", "[2001:db8::1]:1, 10.0.0.1", "a,b,,c", "[", "::1%x"} {
		f.Add(s)
	}
	trusted, err := parseProxies([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{RemoteAddr: "192.0.2.1:5", Header: http.Header{"X-Forwarded-For": {header}}}
		if got := trusted.client(r); got != "192.0.2.1" {
			t.Errorf("%q makes it %s", header, got)
		}
		r.RemoteAddr = "10.0.0.1:5"
		r.Header["X-Forwarded-For"] = []string{header, "192.0.2.1:80"} // as the proxy appends it
		if got := trusted.client(r); got != "192.0.2.1" {
			t.Errorf("%q makes it %s", header, got)
		}
		r.Header["X-Forwarded-For"] = strings.Split(header, ";")
		if got, err := netip.ParseAddr(trusted.client(r)); err != nil {
			t.Errorf("%q makes it %s", header, got)
		}
	})
}

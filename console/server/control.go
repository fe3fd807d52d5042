package server

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// tokenHeader is the header of a request that changes something. A foreign page can neither read the token
// nor set the header without a preflight request, which the server rejects.
const tokenHeader = "X-Soundcheck-Token"

// maxControl is the max size of a request that changes something, in bytes.
const maxControl = 64 << 10

// maxLoad is that of one that starts a load test, which can have a file.
const maxLoad = 3 << 20

// control admits requests that set faults or run load tests: only those of the console's own pages.
type control struct {
	token  string
	remote bool   // also from other machines
	reason string // why none is admitted; "": some are
}

func newControl(c Config) *control {
	g := &control{token: rand.Text(), remote: c.AllowControl, reason: c.NoControl}
	if len(c.Containers) > 0 || c.Kubernetes {
		g.reason = "The console of a lab in containers reaches neither the fault settings nor a load generator: use the commands."
	}
	return g
}

// refused returns why a request may not change anything, or "".
func (g *control) refused(r *http.Request) string {
	if g.reason != "" {
		return g.reason
	}
	if g.remote {
		return ""
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); err != nil || !peer.Addr().Unmap().IsLoopback() || !loopback(r.Host) || ok && !loopback(at.String()) {
		return "Faults and load tests are for pages at http://127.0.0.1 or http://localhost, on this machine."
	}
	return ""
}

// loopback reports whether the host of a host:port is this machine's loopback interface.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// state responds with the token, or with the reason why there is none.
func (g *control) state(r *http.Request) (any, error) {
	if reason := g.refused(r); reason != "" {
		return map[string]any{"allowed": false, "reason": reason}, nil
	}
	return map[string]any{"allowed": true, "token": g.token}, nil
}

// guard calls do for a request that is admitted, with its body decoded into a new In.
func guard[In any](g *control, most int64, do func(*http.Request, In) (any, error)) http.HandlerFunc {
	return respond(func(r *http.Request) (any, error) {
		var in In
		origin := r.Header.Get("Origin")
		site := r.Header.Get("Sec-Fetch-Site")
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch reason := g.refused(r); {
		case reason != "":
			return nil, failure(http.StatusForbidden, "%s", reason)
		case origin != "" && origin != "http://"+r.Host, site != "" && site != "same-origin":
			return nil, failure(http.StatusForbidden, "only the console's own pages may request this")
		case subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(g.token)) != 1:
			return nil, failure(http.StatusForbidden, "the header %s is missing or of another console: reload the page", tokenHeader)
		case err != nil || kind != "application/json":
			return nil, failure(http.StatusUnsupportedMediaType, "the body must be application/json")
		}
		dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, most))
		dec.DisallowUnknownFields()
		if err = dec.Decode(&in); err == nil {
			if _, more := dec.Token(); !errors.Is(more, io.EOF) {
				err = fmt.Errorf("unexpected data after the JSON object")
			}
		}
		if err != nil {
			return nil, failure(http.StatusBadRequest, "the body is invalid: %v", err)
		}
		return do(r, in)
	})
}

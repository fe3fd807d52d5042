package overload

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// clientHeader passes the client's address to gin, whose ClientIP telemetry uses too. A
// value in the request is overwritten.
const clientHeader = "Soundcheck-Client-Address"

// ByClient reports whether there is a limit per client, for which Identify must be called.
func (c *Control) ByClient() bool { return c.limits.clients != nil }

// Identify makes g.ClientIP the address of the client, from X-Forwarded-For if a trusted
// proxy sent the request. Call it before any middleware that reads g.ClientIP. gin's own
// parser rejects addresses with a port, and falls back to X-Real-IP.
func (c *Control) Identify(r *gin.Engine) {
	r.TrustedPlatform = clientHeader
	r.Use(func(g *gin.Context) {
		g.Request.Header.Set(clientHeader, c.trusted.client(g.Request))
	})
}

// proxies are the networks whose X-Forwarded-For is trusted.
type proxies []netip.Prefix

// parseProxies parses addresses and networks.
func parseProxies(list []string) (proxies, error) {
	var all proxies
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			addr, errAddr := netip.ParseAddr(s)
			if errAddr != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("%q is not an IP address or a network", s)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		all = append(all, p)
	}
	return all, nil
}

func (p proxies) trust(a netip.Addr) bool {
	a = a.WithZone("")
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// client returns the client's address for rate limits. Each proxy appends its peer to
// X-Forwarded-For, so the header is read from its end, up to the first address that is not
// trusted. If an entry is no address ("unknown"), the proxy that appended it counts as the client.
//
// Forwarded (RFC 7239) and X-Real-IP are ignored: a proxy that writes one header passes on
// the others as the client sent them, and a client that forges its address has no limit.
func (p proxies) client(r *http.Request) string {
	addr, ok := parseAddr(r.RemoteAddr)
	if !ok {
		return r.RemoteAddr // not from a network
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !p.trust(addr) {
			break
		}
		if hop = strings.TrimSpace(hop); hop == "" {
			continue // empty list elements are ignored (RFC 9110, 5.6.1)
		}
		next, ok := parseAddr(hop)
		if !ok {
			break
		}
		addr = next
	}
	return addr.String()
}

// parseAddr parses an address as proxies write it: with a port (Azure Application Gateway)
// or without, IPv6 in brackets or without, IPv4 mapped into IPv6.
func parseAddr(s string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	} else if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap(), err == nil
}

package otlp

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"soundcheck/internal/telemetry/environment"
)

// Endpoint returns the base URL and the protocol that an environment sets for a prefix of variables; "" if it sets none.
func Endpoint(environ []string, prefix string) (endpoint, protocol string) {
	_, use := environment.Check(environ)
	get := func(name string) string {
		if v, changed := use[name]; changed {
			return v
		}
		return environment.Lookup(environ, name)
	}
	endpoint = get(prefix + "ENDPOINT")
	if strings.HasPrefix(endpoint, "unix:") {
		return "", ""
	}
	protocol = cmp.Or(get(prefix+"PROTOCOL"), get("OTEL_EXPORTER_OTLP_PROTOCOL"), HTTP)
	// That of a signal is complete: the probe adds the path of traces.
	for _, signal := range environment.Signals {
		endpoint = strings.TrimSuffix(endpoint, "/v1/"+strings.ToLower(signal))
	}
	return endpoint, protocol
}

// Headers are those of OTEL_EXPORTER_OTLP_HEADERS.
func Headers(environ []string) http.Header {
	h := http.Header{}
	for p := range strings.SplitSeq(environment.Lookup(environ, "OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		name, value, ok := strings.Cut(p, "=")
		if value, err := url.PathUnescape(value); ok && err == nil {
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return h
}

// Bypasses reports whether NO_PROXY has a host, as curl and most libraries read it.
func Bypasses(noProxy, host string) bool {
	ip, _ := netip.ParseAddr(host)
	for part := range strings.SplitSeq(noProxy, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		if part == "*" || strings.TrimPrefix(part, ".") == host {
			return true
		}
		if network, err := netip.ParsePrefix(part); err == nil && ip.IsValid() && network.Contains(ip) {
			return true
		}
	}
	return false
}

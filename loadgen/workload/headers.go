package workload

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// canonicalNames are headers that net/http or loadgen sets. In another case they would be sent
// twice.
var canonicalNames = []string{"Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer", "Authorization", "Traceparent", "Tracestate", "Baggage"}

// normalizeHeader returns the headers of a request from a file, with canonicalNames in
// canonical case and without Content-Length, which is computed from the body.
func normalizeHeader(h http.Header, body int) (http.Header, error) {
	out := make(http.Header, len(h))
	for name, values := range h {
		for _, c := range canonicalNames {
			if strings.EqualFold(name, c) {
				name = c
			}
		}
		out[name] = append(out[name], values...)
	}
	for _, name := range []string{"Host", "User-Agent", "Content-Length", "Authorization"} {
		if len(out[name]) > 1 {
			return nil, fmt.Errorf("header %s appears %d times", name, len(out[name]))
		}
	}
	for _, name := range []string{"Transfer-Encoding", "Trailer"} {
		if len(out[name]) > 0 {
			return nil, fmt.Errorf("header %s is not supported: bodies are sent with Content-Length", name)
		}
	}
	if length := out["Content-Length"]; len(length) > 0 {
		if n, err := strconv.Atoi(length[0]); err != nil || n != body {
			return nil, fmt.Errorf("header Content-Length is %s, the body has %d bytes: remove the header", length[0], body)
		}
		delete(out, "Content-Length")
	}
	return out, nil
}

// checkHeader returns an error if a header cannot be sent (RFC 9110, 5.5).
func checkHeader(name, value string) error {
	switch {
	case !methodPattern.MatchString(name):
		return fmt.Errorf("%s is not a header name", excerpt(name))
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return fmt.Errorf("header %s has a control character in its value", name)
	}
	return nil
}

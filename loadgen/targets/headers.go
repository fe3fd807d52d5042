package targets

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// canonicalNames are headers that net/http or loadgen sets. In another case they would be sent
// twice.
var canonicalNames = []string{"Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer", "Authorization", "Traceparent", "Tracestate", "Baggage"}

// NormalizeHeader returns the headers of a request from a file, with canonicalNames in
// canonical case and without Content-Length, which is computed from the body.
func NormalizeHeader(h http.Header, body int) (http.Header, error) {
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
	if len(out["Tracestate"]) > 0 && len(out["Traceparent"]) == 0 {
		return nil, errors.New("header tracestate has no meaning without traceparent")
	}
	if parents := out["Traceparent"]; len(parents) > 0 && !strings.Contains(parents[0], "{{") {
		if _, err := parseParent(parents[0]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// parseParent parses the trace context that a request brings (W3C Trace Context, 3.2).
func parseParent(traceparent string) (trace.SpanContext, error) {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	parent := trace.SpanContextFromContext(ctx)
	if !parent.IsValid() {
		return parent, fmt.Errorf("header traceparent: %s is not a trace context, as in 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", excerpt(traceparent))
	}
	return parent, nil
}

// Parent returns the trace context of a request's headers, of which a span of this program becomes a
// child; nil: the request begins a trace.
func Parent(h http.Header) *trace.SpanContext {
	if len(h["Traceparent"]) == 0 {
		return nil
	}
	c := propagation.MapCarrier{"traceparent": h["Traceparent"][0], "tracestate": strings.Join(h["Tracestate"], ",")}
	parent := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), c))
	return &parent
}

// ParseHeaders parses headers as in "Accept: text/plain", for Workload.Header. A name that occurs more
// than once is sent as often. Errors do not have the values, which may be secrets.
func ParseHeaders(lines []string) (http.Header, error) {
	h := http.Header{}
	for i, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !ok:
			return nil, fmt.Errorf("header %d has no colon, as in 'Accept: text/plain'", i+1)
		case !methodPattern.MatchString(name):
			return nil, fmt.Errorf("header %d: the part before its colon is not a header name", i+1)
		case value == "":
			return nil, fmt.Errorf("header %s has no value", name)
		case strings.EqualFold(name, "Content-Length"):
			return nil, errors.New("header Content-Length follows from the body: remove it")
		}
		if err := checkHeader(name, value); err != nil {
			return nil, err
		}
		h[name] = append(h[name], value)
	}
	return NormalizeHeader(h, 0)
}

// BasicAuth returns the value of an Authorization header (RFC 7617).
func BasicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Override returns the headers h with those of over in place of the ones of the same name. It changes
// neither.
func Override(h, over http.Header) http.Header {
	if len(over) == 0 {
		return h
	}
	out := make(http.Header, len(h)+len(over))
	for name, values := range h {
		out[name] = values
	}
	for name := range out {
		for replaced := range over {
			if strings.EqualFold(name, replaced) {
				delete(out, name)
			}
		}
	}
	maps.Copy(out, over)
	return out
}

// secretPattern matches the names of headers whose values are secrets.
var secretPattern = regexp.MustCompile(`(?i)auth|cookie|token|secret|passw|api-?key|session|credential|signature`)

// WithoutSecrets returns headers without secrets, and the names of those.
func WithoutSecrets(h http.Header) (out http.Header, names []string) {
	for name := range h {
		if secretPattern.MatchString(name) {
			names = append(names, name)
		}
	}
	if names == nil {
		return h, nil
	}
	out = h.Clone()
	for _, name := range names {
		delete(out, name)
	}
	return out, names
}

// CheckHeader returns an error if a header cannot be sent.
func CheckHeader(h http.Header) error {
	for name, values := range h {
		if len(values) == 0 {
			values = []string{""}
		}
		for _, v := range values {
			if err := checkHeader(name, v); err != nil {
				return err
			}
		}
	}
	return nil
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

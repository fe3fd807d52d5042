package engine

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/workload"
)

// begin appends the request line and header fields of a request, without those of its trace context.
func begin(b []byte, q *workload.Request, base *url.URL, traced map[string]bool) ([]byte, error) {
	b = append(append(b, q.Method...), ' ')
	b, err := q.AppendURI(b, base)
	u := q.At(base)
	host := u.Host
	if own := q.Header["Host"]; len(own) > 0 && own[0] != "" {
		host = own[0]
	}
	b = field(append(b, " HTTP/1.1\r\n"...), "Host", host)
	if _, ok := q.Header["User-Agent"]; !ok {
		b = append(b, "User-Agent: Go-http-client/1.1\r\n"...)
	}
	if u.User != nil && len(q.Header["Authorization"]) == 0 {
		password, _ := u.User.Password()
		b = append(b, "Authorization: Basic "...)
		b = append(base64.StdEncoding.AppendEncode(b, []byte(u.User.Username()+":"+password)), "\r\n"...)
	}
	for name, values := range q.Header {
		if traced[name] {
			continue
		}
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
			continue
		case "User-Agent":
			if len(values) == 0 || values[0] == "" { // none is sent
				continue
			}
		}
		for _, v := range values {
			b = field(b, name, v)
		}
	}
	return b, err
}

// end appends the rest of a request, after its trace context.
func end(b []byte, q *workload.Request) []byte {
	if len(q.Body) > 0 || q.Method == http.MethodPost || q.Method == http.MethodPut || q.Method == http.MethodPatch {
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(q.Body)), 10), "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, q.Body...)
}

// field appends a header field. As net/http, it replaces line ends in its value.
func field(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return append(append(b, value...), "\r\n"...)
}

// traceparentSize is the length of the value of a traceparent of W3C Trace Context.
const traceparentSize = 2 + 1 + 32 + 1 + 16 + 1 + 2

// appendTraceparent appends a traceparent (W3C Trace Context, 3.2) as a header field.
func appendTraceparent(b []byte, sc trace.SpanContext) []byte {
	return append(traceparent(append(b, "Traceparent: "...), sc), "\r\n"...)
}

// traceparent appends the value.
func traceparent(b []byte, sc trace.SpanContext) []byte {
	id, span := sc.TraceID(), sc.SpanID()
	b = hex.AppendEncode(append(b, "00-"...), id[:])
	b = hex.AppendEncode(append(b, '-'), span[:])
	return hex.AppendEncode(append(b, '-'), []byte{byte(sc.TraceFlags())})
}

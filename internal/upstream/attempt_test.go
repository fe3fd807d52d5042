package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"

	"soundcheck/internal/telemetry/telemetrytest"
)

// The spans of attempts are those of otelhttp.
func TestSpansOfAttempts(t *testing.T) {
	t.Parallel()
	body := func(status int, proto string, body io.Reader) network {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Proto: proto, Body: io.NopCloser(body), Request: r}, nil
		}
	}
	for name, n := range map[string]func() network{
		"ok":         func() network { return body(200, "HTTP/1.1", strings.NewReader("x")) },
		"created":    func() network { return body(201, "HTTP/2.0", strings.NewReader("x")) },
		"no proto":   func() network { return body(302, "", strings.NewReader("")) },
		"not found":  func() network { return body(404, "HTTP/1.0", strings.NewReader("x")) },
		"failed":     func() network { return body(500, "HTTP/1.1", strings.NewReader("x")) },
		"strange":    func() network { return body(999, "HTTP/1.1", strings.NewReader("x")) },
		"incomplete": func() network { return body(200, "HTTP/1.1", iotest.ErrReader(io.ErrUnexpectedEOF)) },
		"no body": func() network {
			return func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 204, Proto: "HTTP/1.1", Request: r}, nil
			}
		},
		"refused": func() network { return func(*http.Request) (*http.Response, error) { return nil, errRefused } },
		"wrapped": func() network {
			return func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("it failed: %w", io.EOF) }
		},
	} {
		for _, url := range []string{"http://a:1", "http://a", "http://a:80", "https://a:443", "https://a:80", "http://user:secret@a:9", "http://[::1]:9"} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				var got [2]string
				for i := range got {
					rec := telemetrytest.New(t)
					o := Options{URLs: []string{url}, Propagator: propagation.TraceContext{}, TracerProvider: rec.TracerProvider}
					o.setDefaults()
					s, err := newServer(url, o)
					if err != nil {
						t.Fatal(err)
					}
					duration, err := newDuration(o.MeterProvider)
					if err != nil {
						t.Fatal(err)
					}
					next := network(func(r *http.Request) (*http.Response, error) {
						if r.Header.Get("Traceparent") == "" {
							t.Error("no trace context")
						}
						return n()(r)
					})
					var rt http.RoundTripper = newInstrumented(next, o, duration, s.host, s.port, s.scheme)
					if i == 0 {
						rt = otelhttp.NewTransport(next, otelhttp.WithTracerProvider(rec.TracerProvider), otelhttp.WithMeterProvider(rec.MeterProvider),
							otelhttp.WithPropagators(o.Propagator), otelhttp.WithSpanNameFormatter(func(string, *http.Request) string { return method + " " }))
					}
					r, err := http.NewRequestWithContext(t.Context(), method, url+"/x?y=z", strings.NewReader("body"))
					if err != nil {
						t.Fatal(err)
					}
					resp, err := rt.RoundTrip(r)
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						err = errors.Join(err, resp.Body.Close())
					}
					for _, s := range rec.Spans() {
						got[i] += fmt.Sprintf("%s %s %v %d events: %s\n", s.SpanKind, s.Name, s.Status, len(s.Events), telemetrytest.Attributes(s.Attributes))
					}
					got[i] += fmt.Sprint(err)
				}
				if got[0] != got[1] || !strings.Contains(got[0], "url.full=") {
					t.Errorf("%s %s %s:\n%s\nwant\n%s", name, method, url, got[1], got[0])
				}
			}
		}
	}
}

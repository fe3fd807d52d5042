package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/memo"
)

type attemptKey struct{}

// attempt describes an attempt for its client span.
type attempt struct {
	route string
	n     int // from 0
	hedge bool
}

// instrumented is the transport of a server. Each attempt is a client span with the attributes of
// otelhttp, which the test compares. They are set in one call, and the request is not cloned. The
// metric measures until the response is read. otelhttp's measures until the status arrives, counts an incomplete response
// as a success, and counts an attempt that we cancel as a failure.
type instrumented struct {
	next       http.RoundTripper
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	duration   metric.Float64Histogram
	server     []attribute.KeyValue // of the metric
	span       []attribute.KeyValue // of the span
	start      []trace.SpanStartOption

	names memo.Map[[2]string, string]
	sets  memo.Map[attemptSet, []metric.RecordOption]
}

// attemptSet is what the attributes of the metric depend on.
type attemptSet struct {
	*instrumented
	method, proto, errorType string
	status                   int
}

// newDuration returns the histogram http.client.request.duration, in seconds.
func newDuration(mp metric.MeterProvider) (metric.Float64Histogram, error) {
	d, err := httpconv.NewClientRequestDuration(mp.Meter(scope),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	return d.Inst(), err
}

func newInstrumented(next http.RoundTripper, o Options, duration metric.Float64Histogram, host, port, scheme string) *instrumented {
	t := &instrumented{next: next, tracer: o.TracerProvider.Tracer(scope), propagator: o.Propagator, duration: duration,
		start: []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}}
	address := semconv.ServerAddress(host)
	t.server = []attribute.KeyValue{address, semconv.URLScheme(scheme), semconv.NetworkProtocolName("http")}
	t.span = []attribute.KeyValue{address}
	if n, err := strconv.Atoi(port); err == nil {
		t.server = append(t.server, semconv.ServerPort(n))
		if standard := map[string]int{"http": 80, "https": 443}[scheme]; n != standard {
			t.span = append(t.span, semconv.ServerPort(n))
		}
	}
	return t
}

func attemptName(k [2]string) string { return k[0] + " " + k[1] }

// RoundTrip implements http.RoundTripper. It adds the trace context to the headers of r, which are
// the attempt's own.
func (t *instrumented) RoundTrip(r *http.Request) (*http.Response, error) {
	at, _ := r.Context().Value(attemptKey{}).(attempt)
	ctx, span := t.tracer.Start(r.Context(), t.names.Get([2]string{r.Method, at.route}, attemptName), t.start...)
	r = r.WithContext(ctx)
	t.propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
	m := &measured{of: t, request: r, span: span, begun: time.Now()}
	resp, err := t.next.RoundTrip(r)
	if err == nil && resp.Body == nil {
		resp.Body = http.NoBody
	}
	if span.IsRecording() {
		t.describe(span, r, resp, at)
	}
	if err != nil {
		m.end(err)
		fail(span, err)
		span.End()
		return nil, err
	}
	m.response, m.ReadCloser, resp.Body = resp, resp.Body, m
	return resp, nil
}

// describe sets the attributes of a span, and its status if there is a response.
func (t *instrumented) describe(span trace.Span, r *http.Request, resp *http.Response, at attempt) {
	address := *r.URL
	address.User = nil
	proto := r.Proto
	if resp != nil && resp.Proto != "" {
		proto = resp.Proto
	}
	kvs := append(make([]attribute.KeyValue, 0, 10), semconv.HTTPRequestMethodKey.String(r.Method), semconv.URLFull(address.String()))
	kvs = append(kvs, t.span...)
	if _, version, _ := strings.Cut(proto, "/"); version != "" {
		kvs = append(kvs, semconv.NetworkProtocolVersion(version))
	}
	if at.n > 0 {
		kvs = append(kvs, attribute.Int("http.request.resend_count", at.n))
		if at.hedge {
			kvs = append(kvs, attribute.Bool("soundcheck.hedge", true))
		}
	}
	if resp == nil {
		span.SetAttributes(kvs...)
		return
	}
	status := resp.StatusCode
	kvs = append(kvs, semconv.HTTPResponseStatusCode(status))
	if status >= 400 {
		kvs = append(kvs, semconv.ErrorTypeKey.String(strconv.Itoa(status)))
	}
	span.SetAttributes(kvs...)
	switch {
	case status < 100 || status >= 600:
		span.SetStatus(codes.Error, fmt.Sprintf("Invalid HTTP status code %d", status))
	case status >= 400:
		span.SetStatus(codes.Error, "")
	}
}

func fail(span trace.Span, err error) {
	span.SetAttributes(semconv.ErrorType(err))
	span.SetStatus(codes.Error, err.Error())
}

// measured is a response body that records the duration of its attempt, and ends its span, at its
// end.
type measured struct {
	io.ReadCloser
	of       *instrumented
	request  *http.Request
	response *http.Response // nil: there is none
	span     trace.Span
	begun    time.Time
	once     sync.Once
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		m.end(nil)
		m.span.End()
	case err != nil:
		m.end(err)
		fail(m.span, err)
	}
	return n, err
}

func (m *measured) Close() error {
	m.end(nil)
	m.span.End()
	return m.ReadCloser.Close()
}

func (m *measured) end(err error) { m.once.Do(func() { m.record(err) }) }

// record skips a cancelled attempt: the other attempt of a hedge was faster, or the caller has
// left. Its outcome and duration are unknown.
func (m *measured) record(err error) {
	ctx := m.request.Context()
	if err != nil && errors.Is(ctx.Err(), context.Canceled) && !errors.Is(context.Cause(ctx), ErrTimeout) {
		m.span.SetAttributes(attribute.Bool("soundcheck.cancelled", true))
		m.span.SetStatus(codes.Ok, "") // final: an Error comes later
		return
	}
	k := attemptSet{instrumented: m.of, method: m.request.Method}
	if m.response != nil {
		k.status, k.proto = m.response.StatusCode, m.response.Proto
	}
	if err != nil {
		k.errorType = errorType(err)
	}
	m.of.duration.Record(ctx, time.Since(m.begun).Seconds(), m.of.sets.Get(k, newAttemptSet)...)
}

func newAttemptSet(k attemptSet) []metric.RecordOption {
	kvs := append([]attribute.KeyValue{semconv.HTTPRequestMethodKey.String(k.method)}, k.server...)
	if k.status != 0 {
		kvs = append(kvs, semconv.HTTPResponseStatusCode(k.status))
	}
	if version, ok := strings.CutPrefix(k.proto, "HTTP/"); ok {
		kvs = append(kvs, semconv.NetworkProtocolVersion(strings.TrimSuffix(version, ".0")))
	}
	if k.errorType != "" {
		kvs = append(kvs, semconv.ErrorTypeKey.String(k.errorType))
	}
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(kvs...))}
}

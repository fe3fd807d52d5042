// Package httptelemetry records a server span and HTTP server metrics for each request of a Gin
// router, at a third of the cost of otelgin v0.65 (docs/decisions.md). Both record the same: a test
// of albumhttp compares them for each route and outcome. The difference is what is not done for each request:
//
//   - Names of spans, and attribute sets of metrics, are created once per route, method and status.
//   - A span gets its attributes in one call.
//   - Attributes that telemetry.Setup removes before export are not created: addresses of clients
//     on spans, and the Host header on metrics.
package httptelemetry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/memo"
)

// Scope is the name of the instrumentation scope.
const Scope = "soundcheck/internal/httptelemetry"

// Middleware returns the middleware of the service called name.
func Middleware(name string, tp trace.TracerProvider, mp metric.MeterProvider, p propagation.TextMapPropagator) (gin.HandlerFunc, error) {
	i := &instrumentation{address: semconv.ServerAddress(name), tracer: tp.Tracer(Scope), propagator: p,
		start: []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}}
	meter := mp.Meter(Scope)
	duration, err := httpconv.NewServerRequestDuration(meter,
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	if err != nil {
		return nil, err
	}
	requestSize, err := httpconv.NewServerRequestBodySize(meter)
	if err != nil {
		return nil, err
	}
	responseSize, err := httpconv.NewServerResponseBodySize(meter)
	if err != nil {
		return nil, err
	}
	i.duration, i.requestSize, i.responseSize = duration.Inst(), requestSize.Inst(), responseSize.Inst()
	return i.handle, nil
}

type instrumentation struct {
	address    attribute.KeyValue
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	start      []trace.SpanStartOption

	duration     metric.Float64Histogram
	requestSize  metric.Int64Histogram
	responseSize metric.Int64Histogram

	names memo.Map[nameKey, string]
	sets  memo.Map[setKey, []metric.RecordOption]
}

type nameKey struct{ method, route string }

// setKey is what the attributes of metrics depend on.
type setKey struct {
	method, route, proto string
	status               int
	tls                  bool
}

// maxAttributes is the maximum number of attributes of a request.
const maxAttributes = 12

var attributes = sync.Pool{New: func() any { return new([maxAttributes]attribute.KeyValue) }}

func (i *instrumentation) handle(c *gin.Context) {
	begun, request := time.Now(), c.Request
	defer func() { c.Request = request }()
	method, route := normal(request.Method), c.FullPath()
	ctx, span := i.tracer.Start(i.propagator.Extract(request.Context(), propagation.HeaderCarrier(request.Header)),
		i.names.Get(nameKey{method, route}, spanName), i.start...)
	defer span.End() // it records a panic
	done := false
	defer func() {
		if span.IsRecording() {
			i.describe(span, c, request, route, done)
		}
	}()
	c.Request = request.WithContext(ctx)
	c.Next()
	done = true
	i.measure(ctx, c, setKey{method, route, request.Proto, c.Writer.Status(), request.TLS != nil}, request.ContentLength, begun)
}

// describe sets the status and the attributes of a span. Done is whether there is a response.
func (i *instrumentation) describe(span trace.Span, c *gin.Context, r *http.Request, route string, done bool) {
	list := attributes.Get().(*[maxAttributes]attribute.KeyValue)
	defer attributes.Put(list)
	kvs := append(list[:0], i.address, semconv.URLScheme(scheme(r.TLS != nil)))
	kvs = appendMethod(kvs, r.Method)
	if port := portOf(r); port > 0 {
		kvs = append(kvs, semconv.ServerPort(port))
	}
	if agent := r.UserAgent(); agent != "" {
		kvs = append(kvs, semconv.UserAgentOriginal(agent))
	}
	if r.URL.Path != "" {
		kvs = append(kvs, semconv.URLPath(r.URL.Path))
	}
	if _, version, _ := strings.Cut(r.Proto, "/"); version != "" {
		kvs = append(kvs, semconv.NetworkProtocolVersion(version))
	}
	kvs = append(kvs, semconv.HTTPRoute(route))
	if !done {
		span.SetAttributes(kvs...)
		return
	}
	status := c.Writer.Status()
	if size := c.Writer.Size(); size > 0 {
		kvs = append(kvs, semconv.HTTPResponseBodySize(size))
	}
	if status > 0 {
		kvs = append(kvs, semconv.HTTPResponseStatusCode(status))
	}
	span.SetAttributes(kvs...)
	switch {
	case status < 100 || status >= 600:
		span.SetStatus(codes.Error, fmt.Sprintf("Invalid HTTP status code %d", status))
	case status >= 500:
		span.SetStatus(codes.Error, "")
	}
	if len(c.Errors) > 0 {
		span.SetStatus(codes.Error, c.Errors.String())
		for _, err := range c.Errors {
			span.RecordError(err.Err)
		}
	}
}

func (i *instrumentation) measure(ctx context.Context, c *gin.Context, k setKey, length int64, begun time.Time) {
	set := i.sets.Get(k, metricSet)
	if i.requestSize.Enabled(ctx) {
		i.requestSize.Record(ctx, length, set...)
	}
	i.responseSize.Record(ctx, int64(c.Writer.Size()), set...)
	i.duration.Record(ctx, time.Since(begun).Seconds(), set...)
}

// other is the method of a request with an unknown method.
const other = "_OTHER"

// normal returns the method as in metrics.
func normal(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	if upper := strings.ToUpper(method); upper != method {
		return normal(upper)
	}
	return other
}

func spanName(k nameKey) string {
	method := k.method
	if method == other {
		method = "HTTP"
	}
	if k.route == "" {
		return method
	}
	return method + " " + k.route
}

// appendMethod appends the attributes of a method. otelgin calls an unknown method GET.
func appendMethod(kvs []attribute.KeyValue, method string) []attribute.KeyValue {
	known := normal(method)
	if known == method {
		return append(kvs, semconv.HTTPRequestMethodKey.String(method))
	}
	if known == other {
		known = http.MethodGet
	}
	return append(kvs, semconv.HTTPRequestMethodKey.String(known), semconv.HTTPRequestMethodOriginal(method))
}

func scheme(tls bool) string {
	if tls {
		return "https"
	}
	return "http"
}

// portOf returns the port of the Host header, or 0 for the default one.
func portOf(r *http.Request) int {
	if strings.LastIndexByte(r.Host, ':') < 0 {
		return 0
	}
	_, text, err := net.SplitHostPort(r.Host)
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 80 && r.TLS == nil || port == 443 && r.TLS != nil {
		return 0
	}
	return int(port)
}

func metricSet(k setKey) []metric.RecordOption {
	name, version, _ := strings.Cut(k.proto, "/")
	kvs := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(k.method), semconv.URLScheme(scheme(k.tls))}
	if k.route != "" {
		kvs = append(kvs, semconv.HTTPRoute(k.route))
	}
	if name != "" {
		kvs = append(kvs, semconv.NetworkProtocolName(strings.ToLower(name)))
	}
	if version != "" {
		kvs = append(kvs, semconv.NetworkProtocolVersion(version))
	}
	if k.status > 0 {
		kvs = append(kvs, semconv.HTTPResponseStatusCode(k.status))
	}
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(kvs...))}
}

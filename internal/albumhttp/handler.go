// Package albumhttp is the album service on the wire: Handler serves any
// album.Service over HTTP, and Client is an album.Service that calls a Handler.
// The store serves a database with it, the proxy serves a Client, so the two
// cannot drift apart, and an error keeps its identity across the wire.
//
//	GET  /albums?limit=&cursor=   200 a JSON array in id order; Link rel="next" to the following page
//	GET  /albums/{id}             200 an album; 400 id is no integer; 404
//	POST /albums                  201 the album, Location; 400 with errors[]; 409 id taken; 413
//
// Every error is an RFC 9457 problem (application/problem+json).
package albumhttp

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/album"
)

// DefaultMaxBody is how many bytes of a request body are read by default.
const DefaultMaxBody = 1 << 20

// Telemetry is where a Handler or a Client sends its spans, metrics and logs.
// What is nil is not sent.
type Telemetry struct {
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator
	Logger         *slog.Logger
}

// HandlerOptions configure a Handler.
type HandlerOptions struct {
	Service   string // service.name, as in "album-store"
	MaxBody   int64  // bytes of a request body; 0 means DefaultMaxBody
	Telemetry Telemetry
}

type handler struct {
	svc     album.Service
	maxBody int64
	log     *slog.Logger
}

// Handler serves svc. One server span, one set of HTTP server metrics and one
// log line belong to each request.
func Handler(svc album.Service, o HandlerOptions) http.Handler {
	h := &handler{svc: svc, maxBody: o.MaxBody, log: o.Telemetry.logger()}
	if h.maxBody == 0 {
		h.maxBody = DefaultMaxBody
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	// No header may name another client address: nothing trusted is in front.
	if err := r.SetTrustedProxies(nil); err != nil {
		panic(err) // cannot happen: nil parses
	}
	tp, mp, prop := o.Telemetry.providers()
	r.Use(
		otelgin.Middleware(o.Service,
			otelgin.WithTracerProvider(tp), otelgin.WithMeterProvider(mp), otelgin.WithPropagators(prop)),
		h.accessLog,
		h.recovery,
	)
	for _, get := range []func(string, ...gin.HandlerFunc) gin.IRoutes{r.GET, r.HEAD} {
		get("/albums", h.list)
		get("/albums/:id", h.get)
	}
	r.POST("/albums", h.create)
	r.NoRoute(func(c *gin.Context) { h.fail(c, errNoRoute) })
	r.NoMethod(func(c *gin.Context) { h.fail(c, errNoMethod) })
	return r
}

func (h *handler) list(c *gin.Context) {
	q, err := parseQuery(c.Request.URL.Query())
	if err != nil {
		h.fail(c, err)
		return
	}
	p, err := h.svc.List(c.Request.Context(), q)
	if err != nil {
		h.fail(c, err)
		return
	}
	if p.Next != 0 {
		c.Header("Link", nextLink(q.Limit, p.Next))
	}
	c.JSON(http.StatusOK, p.Albums)
}

func (h *handler) get(c *gin.Context) {
	id, err := parseID(c.Param("id"))
	if err != nil {
		h.fail(c, err)
		return
	}
	a, err := h.svc.Get(c.Request.Context(), id)
	if err != nil {
		h.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, a)
}

func (h *handler) create(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, h.maxBody))
	if err != nil {
		h.fail(c, readError(err))
		return
	}
	a, err := decodeAlbum(body)
	if err != nil {
		h.fail(c, err)
		return
	}
	if a, err = h.svc.Create(c.Request.Context(), a); err != nil {
		h.fail(c, err)
		return
	}
	c.Header("Location", "/albums/"+strconv.FormatInt(a.ID, 10))
	c.JSON(http.StatusCreated, a)
}

// fail answers with the problem that err stands for. Only what is the server's
// own fault is noted in c.Errors, because that marks the span as an error.
func (h *handler) fail(c *gin.Context, err error) {
	p := problemFor(err)
	if p.Status >= 500 {
		_ = c.Error(err)
	}
	if sc := trace.SpanContextFromContext(c.Request.Context()); sc.HasTraceID() {
		p.TraceID = sc.TraceID().String()
	}
	c.Abort()
	if c.Writer.Written() {
		return // the answer has begun: it can only be cut short
	}
	c.Header("Content-Type", problemType)
	c.JSON(p.Status, p)
}

func (t Telemetry) logger() *slog.Logger {
	if t.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return t.Logger
}

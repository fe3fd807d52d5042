// Package albumhttp is the album service over HTTP: Handler serves any album.Service. The store
// serves a database, the proxy serves an albumapi.Client, which calls a Handler. Both have the
// same API, and an error keeps its identity from the store to the client.
//
//	GET    /albums             200 a page as a JSON array in id order; as NDJSON, all albums
//	GET    /albums/{id}        200 an album; 404
//	POST   /albums             201 the album, Location; 202 an operation; 409 id taken
//	PUT    /albums/{id}        200 or 201 the album
//	DELETE /albums/{id}        204; 404
//	POST   /albums/batch       201 count and ids; 202 an operation; 409 id taken
//	GET    /operations/{id}    200 the operation; 404
//	GET    /openapi.yaml       the contract, with every parameter, header and status
//	GET    /v3/api-docs/       the contract as an HTML page
//
// Every error is an RFC 9457 problem (application/problem+json).
package albumhttp

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/fault"
	"soundcheck/internal/httptelemetry"
	"soundcheck/internal/optional"
	"soundcheck/internal/overload"
)

// DefaultMaxBody is the default maximum size of a request body, in bytes.
const DefaultMaxBody = 1 << 20

// HandlerOptions configure a Handler.
type HandlerOptions struct {
	Service   string            // service.name, as in "album-store"
	MaxBody   int64             // max bytes of a request body; 0: DefaultMaxBody
	Proxy     bool              // the service is an albumapi.Client
	Docs      http.Handler      // the contract as an HTML page, at /v3/api-docs/; nil: none
	Overload  *overload.Control // nil: no limits
	Faults    *fault.Set        // injected faults; nil: none
	Telemetry albumapi.Telemetry
	Otelgin   bool // server spans and metrics by otelgin, not by httptelemetry: the same, at a higher cost

	intake *intake // for tests; nil: the default
}

type handler struct {
	svc      album.Service
	maxBody  int64
	maxBatch int64
	intake   *intake
	batches  *semaphore.Weighted // bytes of batches being processed
	log      *slog.Logger
	shedLog  *rate.Limiter // log lines of shed requests
}

// Handler serves svc. Each request has one server span, HTTP server metrics and one log line.
func Handler(svc album.Service, o HandlerOptions) http.Handler {
	return newRouter(svc, o)
}

func newRouter(svc album.Service, o HandlerOptions) *gin.Engine {
	h := &handler{svc: svc, maxBody: o.MaxBody, maxBatch: maxBatchBody, log: optional.Logger(o.Telemetry.Logger),
		shedLog: rate.NewLimiter(maxShedLog, maxShedLog)}
	if !o.Proxy {
		h.maxBatch += maxBatchBody / 10 // the proxy's encoding can be longer than the client's
	}
	h.batches = semaphore.NewWeighted(batchesAtOnce * h.maxBatch)
	if h.maxBody == 0 {
		h.maxBody = DefaultMaxBody
	}
	if h.intake = o.intake; h.intake == nil {
		h.intake = newIntake(max(intakeSize, 2*h.maxBody, 2*h.maxBatch))
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false // the contract has no redirects
	_ = r.SetTrustedProxies(nil)    // only Overload evaluates X-Forwarded-For; nil cannot fail
	r.Use(abort)
	traced := o.Telemetry.TracerProvider != nil || o.Telemetry.MeterProvider != nil
	if o.Overload != nil && (o.Overload.ByClient() || traced && o.Otelgin) {
		o.Overload.Identify(r)
	}
	if traced {
		r.Use(instrumentation(o))
	}
	r.Use(h.accessLog, h.recovery)
	api := r.Group("")
	noRoute, noMethod := []gin.HandlerFunc{h.noRoute}, []gin.HandlerFunc{h.noMethod}
	api.Use(label, h.closeBody)
	if o.Overload != nil {
		api.Use(o.Overload.Middleware(classify, h.receive, h.fail))
		control := o.Overload.Middleware(classify, nil, h.fail)
		noRoute, noMethod = append([]gin.HandlerFunc{control}, noRoute...), append([]gin.HandlerFunc{control}, noMethod...)
	} else {
		api.Use(h.receiveOnly)
	}
	if o.Faults != nil {
		api.Use(o.Faults.Middleware(h.failWith, h.drop))
	}
	read := []string{http.MethodGet, http.MethodHead}
	api.Match(read, "/albums", h.list)
	api.Match(read, "/albums/:id", h.get)
	api.Match(read, "/operations/:id", h.operation)
	api.POST("/albums", func(c *gin.Context) { h.create(c, false) })
	api.POST(batchPath, func(c *gin.Context) { h.create(c, true) })
	api.PUT("/albums/:id", h.put)
	api.DELETE("/albums/:id", h.delete)
	r.Match(read, "/openapi.yaml", serveContract)
	if o.Docs != nil {
		r.Match(read, docsPath+"/*file", gin.WrapH(http.StripPrefix(docsPath, o.Docs)))
	}
	r.NoRoute(noRoute...)
	r.NoMethod(noMethod...)
	return r
}

// instrumentation returns the middleware for server spans and metrics.
func instrumentation(o HandlerOptions) gin.HandlerFunc {
	tp, mp, p := optional.TracerProvider(o.Telemetry.TracerProvider), optional.MeterProvider(o.Telemetry.MeterProvider), optional.Propagator(o.Telemetry.Propagator)
	if !o.Otelgin {
		lean, err := httptelemetry.Middleware(o.Service, tp, mp, p)
		if err == nil {
			return lean
		}
		otel.Handle(err) // an instrument is invalid; otelgin does without it
	}
	return otelgin.Middleware(o.Service, otelgin.WithTracerProvider(tp), otelgin.WithMeterProvider(mp), otelgin.WithPropagators(p))
}

func (h *handler) list(c *gin.Context) {
	c.Header("Vary", "Accept")
	media, err := accepted(c.Request, albumapi.JSONType, albumapi.NDJSONType)
	if err != nil {
		h.fail(c, err)
		return
	}
	q, err := parseQuery(c.Request.URL.RawQuery, media == albumapi.NDJSONType)
	if err != nil {
		h.fail(c, err)
		return
	}
	if media == albumapi.NDJSONType {
		h.stream(c, q.Filter)
		return
	}
	p, err := h.svc.List(c.Request.Context(), q)
	if err != nil {
		h.fail(c, err)
		return
	}
	c.Header("Link", albumapi.Links(q, p.Next))
	respond(c, http.StatusOK, func(b []byte) ([]byte, error) { return albumapi.AppendAlbums(b, p.Albums, true) })
}

func (h *handler) get(c *gin.Context) {
	id, err := h.idAndAccept(c)
	if err != nil {
		h.fail(c, err)
		return
	}
	a, err := h.svc.Get(c.Request.Context(), id)
	if err != nil {
		h.fail(c, err)
		return
	}
	respondAlbum(c, http.StatusOK, &a)
}

func (h *handler) create(c *gin.Context, batch bool) {
	if _, err := accepted(c.Request, albumapi.JSONType); err != nil {
		h.fail(c, err)
		return
	}
	release, err := h.batchSlot(c, batch)
	if err != nil {
		h.fail(c, err)
		return
	}
	defer release()
	w, err := h.readWrite(c, batch)
	if err != nil {
		h.fail(c, err)
		return
	}
	if prefersAsync(c.Request.Header) {
		h.submit(c, w)
		return
	}
	created, err := h.svc.Create(c.Request.Context(), w)
	setReplayed(c, created.Replayed)
	switch {
	case err != nil:
		h.fail(c, err)
	case batch:
		respond(c, http.StatusCreated, func(b []byte) ([]byte, error) {
			return albumapi.AppendResult(b, albumapi.NewResult(album.IDs(created.Albums))), nil
		})
	default:
		a := created.Albums[0]
		c.Header("Location", "/albums/"+strconv.FormatInt(a.ID, 10))
		respondAlbum(c, http.StatusCreated, &a)
	}
}

func (h *handler) submit(c *gin.Context, w album.Write) {
	op, replayed, err := h.svc.Submit(c.Request.Context(), w)
	setReplayed(c, replayed)
	if err != nil {
		h.fail(c, err)
		return
	}
	c.Header("Location", "/operations/"+op.ID)
	c.Header("Preference-Applied", "respond-async")
	c.JSON(http.StatusAccepted, albumapi.NewOperation(op))
}

func (h *handler) put(c *gin.Context) {
	id, err := h.idAndAccept(c)
	if err != nil {
		h.fail(c, err)
		return
	}
	a, err := h.readPut(c, id)
	if err != nil {
		h.fail(c, err)
		return
	}
	a, created, err := h.svc.Put(c.Request.Context(), a)
	switch {
	case err != nil:
		h.fail(c, err)
	case created:
		c.Header("Location", "/albums/"+strconv.FormatInt(a.ID, 10))
		respondAlbum(c, http.StatusCreated, &a)
	default:
		respondAlbum(c, http.StatusOK, &a)
	}
}

func (h *handler) delete(c *gin.Context) {
	id, err := parseID(c)
	if err == nil {
		err = h.svc.Delete(c.Request.Context(), id)
	}
	if err != nil {
		h.fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (h *handler) operation(c *gin.Context) {
	if _, err := accepted(c.Request, albumapi.JSONType); err != nil {
		h.fail(c, err)
		return
	}
	op, err := h.svc.Operation(c.Request.Context(), c.Param("id"))
	if err != nil {
		h.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, albumapi.NewOperation(op))
}

// idAndAccept checks the Accept header and parses the id.
func (h *handler) idAndAccept(c *gin.Context) (int64, error) {
	if _, err := accepted(c.Request, albumapi.JSONType); err != nil {
		return 0, err
	}
	return parseID(c)
}

// noRoute responds 404, or redirects to the docs if only their trailing slash is missing.
func (h *handler) noRoute(c *gin.Context) {
	if c.Request.URL.Path == docsPath {
		c.Redirect(http.StatusPermanentRedirect, docsPath+"/")
		return
	}
	h.fail(c, albumapi.ErrNoRoute)
}

// batchPath supports only POST. Other methods match /albums/:id, whose handlers reject it. Separate
// routes beside /albums/:id would make gin panic when it looks up allowed methods (v1.12.0,
// tree.go).
const batchPath = "/albums/batch"

// noMethod responds to OPTIONS with the allowed methods. gin sets Allow, but takes batchPath for an
// album's id.
func (h *handler) noMethod(c *gin.Context) {
	allow := c.Writer.Header().Get("Allow")
	if c.Request.URL.Path == batchPath {
		allow = http.MethodPost
	}
	c.Header("Allow", allow+", OPTIONS")
	if c.Request.Method == http.MethodOptions {
		c.Status(http.StatusNoContent)
		c.Writer.WriteHeaderNow()
		return
	}
	h.fail(c, albumapi.ErrNoMethod)
}

func setReplayed(c *gin.Context, replayed bool) {
	if replayed {
		c.Header("Idempotency-Replayed", "true")
	}
}

// fail responds with the problem of err. Only failures of the server are added to c.Errors, which
// marks the span and the log line as an error.
func (h *handler) fail(c *gin.Context, err error) {
	if errors.Is(err, albumapi.ErrNoMethod) && c.Writer.Header().Get("Allow") == "" {
		c.Header("Allow", "POST, OPTIONS") // batchPath, taken for an album's id
	}
	p := problemFor(err)
	switch {
	case isShed(c, err, p.Status):
		c.Set(shedKey, err.Error())
	case p.Status >= 500:
		_ = c.Error(err)
	}
	if sc := trace.SpanContextFromContext(c.Request.Context()); sc.HasTraceID() {
		p.TraceID = sc.TraceID().String()
	}
	c.Abort()
	if c.Writer.Written() {
		c.Set(abortKey, true) // the response must not look complete
		return
	}
	if after := retryAfter(err, p.Status); after != "" {
		c.Header("Retry-After", after)
	}
	c.Header("Content-Type", albumapi.ProblemType)
	c.JSON(p.Status, p)
}

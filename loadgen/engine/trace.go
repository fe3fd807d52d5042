package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/workload"
)

// IDs generates the trace ids of a run from its id and the number of a request. It implements
// sdktrace.IDGenerator.
type IDs struct{ high, key uint64 }

// NewIDs returns the ids of a run.
func NewIDs(runID string) IDs {
	h := sha256.Sum256([]byte(runID))
	return IDs{binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:16])}
}

// Trace returns the trace id of request n of the run, counted from 0.
func (g IDs) Trace(n uint64) (id trace.TraceID) {
	binary.BigEndian.PutUint64(id[:8], g.high)
	// Unique per n and uniformly distributed: samplers use these bytes.
	binary.BigEndian.PutUint64(id[8:], workload.Hash(g.key^n))
	return id
}

// NewIDs implements sdktrace.IDGenerator.
func (g IDs) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	if c, ok := ctx.Value(numberKey{}).(*numbered); ok {
		id = g.Trace(c.number)
	} else {
		binary.BigEndian.PutUint64(id[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (IDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1)
	return id
}

// Sampler samples a share of the traces, deterministic by run id.
func Sampler(ratio float64) sdktrace.Sampler {
	return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))
}

// tracing starts the trace context of each request and, with a provider, its client span.
type tracing struct {
	ids        IDs
	tracer     trace.Tracer // nil: no spans
	sampler    sdktrace.Sampler
	propagator propagation.TextMapPropagator
	headers    map[string]bool // that the propagator sets, but for baggage: a request has none in its context
	w3c        bool            // the propagator sends traceparent, and without baggage nothing else
	inContext  bool            // metrics or the propagator need the span context
	run        []attribute.KeyValue
}

func newTracing(c Config) *tracing {
	t := &tracing{ids: NewIDs(c.RunID), sampler: Sampler(c.TraceSample), propagator: c.Propagator, headers: map[string]bool{}, run: c.runAttributes()}
	fields := c.Propagator.Fields()
	for _, name := range fields {
		if name != "baggage" {
			t.headers[http.CanonicalHeaderKey(name)] = true
		}
	}
	t.w3c = slices.Contains(fields, "traceparent") && !slices.ContainsFunc(fields, func(name string) bool {
		return name != "traceparent" && name != "tracestate" && name != "baggage"
	})
	t.inContext = !t.w3c || c.measured() || c.pool() == nil
	if c.TracerProvider != nil {
		t.tracer = c.TracerProvider.Tracer(scope)
	}
	return t
}

// kinds are the options of spans, made once.
var kinds = map[trace.SpanKind][]trace.SpanStartOption{
	trace.SpanKindClient:   {trace.WithSpanKind(trace.SpanKindClient)},
	trace.SpanKindInternal: {trace.WithSpanKind(trace.SpanKindInternal)},
}

// begin returns the context of an attempt, its span context, and its span, if any. The context has the span
// context only if something needs it.
func (t *tracing) begin(ctx context.Context, n *note, name string, kind trace.SpanKind) (context.Context, trace.SpanContext, trace.Span) {
	if t.tracer != nil {
		ctx, span := t.tracer.Start(ctx, name, kinds[kind]...)
		return ctx, span.SpanContext(), span
	}
	id := t.ids.Trace(n.number)
	var parent trace.SpanContext
	if p := n.request.Parent; p != nil && p.IsValid() { // the request brings it
		parent, id, ctx = *p, p.TraceID(), trace.ContextWithRemoteSpanContext(ctx, *p)
	}
	var flags trace.TraceFlags
	if t.sampler.ShouldSample(sdktrace.SamplingParameters{ParentContext: ctx, TraceID: id}).Decision == sdktrace.RecordAndSample {
		flags = trace.FlagsSampled
	}
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: t.ids.NewSpanID(ctx, id), TraceFlags: flags, TraceState: parent.TraceState()})
	if !t.inContext && sc.TraceState().Len() == 0 {
		return ctx, sc, nil
	}
	return trace.ContextWithSpanContext(ctx, sc), sc, nil
}

// inject appends the trace context of a request as header fields.
func (t *tracing) inject(ctx context.Context, b []byte, sc trace.SpanContext) []byte {
	if t.w3c && sc.TraceState().Len() == 0 {
		return appendTraceparent(b, sc)
	}
	h := propagation.HeaderCarrier{}
	t.propagator.Inject(ctx, h)
	for _, name := range h.Keys() {
		b = field(b, name, h.Get(name))
	}
	return b
}

// set sets the trace context in the header of an http.Request.
func (t *tracing) set(ctx context.Context, h http.Header, sc trace.SpanContext) {
	if t.w3c && sc.TraceState().Len() == 0 {
		var b [traceparentSize]byte
		h["Traceparent"] = []string{string(traceparent(b[:0], sc))}
		return
	}
	if !trace.SpanContextFromContext(ctx).IsValid() { // see begin
		ctx = trace.ContextWithSpanContext(ctx, sc)
	}
	t.propagator.Inject(ctx, propagation.HeaderCarrier(h))
}

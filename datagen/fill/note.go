package fill

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// note records the trace ID of one call, which starts inside the client.
type note struct{ traceID string }

type noteKey struct{}

func (n *note) in(ctx context.Context) context.Context { return context.WithValue(ctx, noteKey{}, n) }

// Noted returns a provider whose spans record their trace ID for Run.
// It ignores traces that are not sampled: they cannot be looked up.
func Noted(tp trace.TracerProvider) trace.TracerProvider { return notedProvider{tp} }

type notedProvider struct{ trace.TracerProvider }

func (p notedProvider) Tracer(name string, o ...trace.TracerOption) trace.Tracer {
	return notedTracer{p.TracerProvider.Tracer(name, o...)}
}

type notedTracer struct{ trace.Tracer }

func (t notedTracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := t.Tracer.Start(ctx, name, o...)
	if n, ok := ctx.Value(noteKey{}).(*note); ok && span.SpanContext().IsSampled() {
		n.traceID = span.SpanContext().TraceID().String()
	}
	return ctx, span
}

package album

import (
	"context"
	"iter"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/optional"
)

const scope = "soundcheck/internal/album"

// Traced returns svc with one span around every call, named album.list,
// album.get, album.create and so on. An expected error
// (see Outcome) leaves the span's status unset; any other is recorded as an error. Spans have ids
// and counts, never titles. Without a provider it returns svc.
func Traced(svc Service, tp trace.TracerProvider) Service {
	if tp == nil {
		return svc
	}
	return &traced{svc, tp.Tracer(scope)}
}

type traced struct {
	svc    Service
	tracer trace.Tracer
}

func (t *traced) List(ctx context.Context, q Query) (Page, error) {
	ctx, span := t.tracer.Start(ctx, "album.list", trace.WithAttributes(attribute.Int("album.limit", q.Limit)))
	p, err := t.svc.List(ctx, q)
	span.SetAttributes(attribute.Int("album.count", len(p.Albums)))
	return p, end(span, err)
}

func (t *traced) Stream(ctx context.Context, f Filter) iter.Seq2[Album, error] {
	return func(yield func(Album, error) bool) {
		ctx, span := t.tracer.Start(ctx, "album.stream")
		n, last := 0, error(nil)
		defer func() {
			span.SetAttributes(attribute.Int("album.count", n))
			_ = end(span, last)
		}()
		for a, err := range t.svc.Stream(ctx, f) {
			if last = err; err == nil {
				n++
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

func (t *traced) Get(ctx context.Context, id int64) (Album, error) {
	ctx, span := t.tracer.Start(ctx, "album.get", trace.WithAttributes(attribute.Int64("album.id", id)))
	a, err := t.svc.Get(ctx, id)
	return a, end(span, err)
}

func (t *traced) Put(ctx context.Context, a Album) (Album, bool, error) {
	ctx, span := t.tracer.Start(ctx, "album.put", trace.WithAttributes(attribute.Int64("album.id", a.ID)))
	a, created, err := t.svc.Put(ctx, a)
	span.SetAttributes(attribute.Bool("album.created", created))
	return a, created, end(span, err)
}

func (t *traced) Delete(ctx context.Context, id int64) error {
	ctx, span := t.tracer.Start(ctx, "album.delete", trace.WithAttributes(attribute.Int64("album.id", id)))
	return end(span, t.svc.Delete(ctx, id))
}

func (t *traced) Create(ctx context.Context, w Write) (Created, error) {
	ctx, span := t.tracer.Start(ctx, "album.create", trace.WithAttributes(attribute.Int("album.count", len(w.Albums))))
	c, err := t.svc.Create(ctx, w)
	if err == nil && len(c.Albums) == 1 {
		span.SetAttributes(attribute.Int64("album.id", c.Albums[0].ID))
	}
	if w.Key != "" {
		span.SetAttributes(attribute.Bool("album.replayed", c.Replayed))
	}
	return c, end(span, err)
}

func (t *traced) Submit(ctx context.Context, w Write) (Operation, bool, error) {
	ctx, span := t.tracer.Start(ctx, "album.submit", trace.WithAttributes(attribute.Int("album.count", len(w.Albums))))
	op, replayed, err := t.svc.Submit(ctx, w)
	if err == nil {
		span.SetAttributes(attribute.String("album.operation.id", op.ID))
	}
	return op, replayed, end(span, err)
}

func (t *traced) Operation(ctx context.Context, id string) (Operation, error) {
	ctx, span := t.tracer.Start(ctx, "album.operation")
	op, err := t.svc.Operation(ctx, id)
	return op, end(span, err)
}

// StartOperation starts the span of an operation: the root of a trace of its own, because its
// request ended long ago, with a link to the span of that request.
func StartOperation(ctx context.Context, tp trace.TracerProvider, id string, request trace.SpanContext) (context.Context, trace.Span) {
	return optional.TracerProvider(tp).Tracer(scope).Start(ctx, "album.work", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithLinks(trace.Link{SpanContext: request}), trace.WithAttributes(attribute.String("album.operation.id", id)))
}

// EndOperation ends the span of StartOperation.
func EndOperation(span trace.Span, err error) { _ = end(span, err) }

func end(span trace.Span, err error) error {
	if err != nil && !Outcome(err) {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
	return err
}

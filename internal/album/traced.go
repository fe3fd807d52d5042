package album

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Traced returns svc with one span around every call, named album.list,
// album.get or album.create. What the caller got wrong (no such album, id taken,
// invalid) is an outcome and leaves the span's status unset; everything else is
// recorded as an error. Spans carry ids and counts, never titles.
func Traced(svc Service, tp trace.TracerProvider) Service {
	return &traced{svc, tp.Tracer("soundcheck/internal/album")}
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

func (t *traced) Get(ctx context.Context, id int64) (Album, error) {
	ctx, span := t.tracer.Start(ctx, "album.get", trace.WithAttributes(attribute.Int64("album.id", id)))
	a, err := t.svc.Get(ctx, id)
	return a, end(span, err)
}

func (t *traced) Create(ctx context.Context, a Album) (Album, error) {
	ctx, span := t.tracer.Start(ctx, "album.create")
	a, err := t.svc.Create(ctx, a)
	if err == nil {
		span.SetAttributes(attribute.Int64("album.id", a.ID))
	}
	return a, end(span, err)
}

func end(span trace.Span, err error) error {
	var invalid *InvalidError
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrExists), errors.As(err, &invalid):
	default:
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
	return err
}

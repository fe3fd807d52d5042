package album_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"

	"soundcheck/internal/album"
	"soundcheck/internal/telemetry/telemetrytest"
)

// broken is a Service whose disk is gone.
type broken struct{ album.Service }

var errDisk = errors.New("disk on fire")

func (broken) Get(context.Context, int64) (album.Album, error) { return album.Album{}, errDisk }

func TestTraced(t *testing.T) {
	t.Parallel()
	const title = "Secret Title"
	for _, tt := range []struct {
		name       string
		svc        album.Service
		call       func(context.Context, album.Service) error
		span       string
		attributes string
		status     codes.Code
		events     int
	}{
		{"get", nil, func(ctx context.Context, s album.Service) error { _, err := s.Get(ctx, 1); return err },
			"album.get", "album.id=1", codes.Unset, 0},
		{"not found is an outcome", nil, func(ctx context.Context, s album.Service) error { _, err := s.Get(ctx, 99); return err },
			"album.get", "album.id=99", codes.Unset, 0},
		{"failure", broken{}, func(ctx context.Context, s album.Service) error { _, err := s.Get(ctx, 1); return err },
			"album.get", "album.id=1", codes.Error, 1},
		{"list", nil, func(ctx context.Context, s album.Service) error {
			_, err := s.List(ctx, album.Query{Limit: 2})
			return err
		},
			"album.list", "album.count=2 album.limit=2", codes.Unset, 0},
		{"create", nil, func(ctx context.Context, s album.Service) error {
			_, err := s.Create(ctx, album.One(album.Album{Title: title, Artist: "artist", Price: 1}))
			return err
		},
			"album.create", "album.count=1 album.id=4", codes.Unset, 0},
		{"taken", nil, func(ctx context.Context, s album.Service) error {
			_, err := s.Create(ctx, album.One(album.Album{ID: 1, Title: title, Artist: "artist", Price: 1}))
			return err
		},
			"album.create", "album.count=1", codes.Unset, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := telemetrytest.New(t)
			if tt.svc == nil {
				tt.svc = album.NewMemory(album.Seed()...)
			}
			err := tt.call(t.Context(), album.Traced(tt.svc, rec.TracerProvider))
			spans := rec.Spans()
			if len(spans) != 1 {
				t.Fatalf("%d spans, want 1", len(spans))
			}
			s := spans[0]
			if s.Name != tt.span || telemetrytest.Attributes(s.Attributes) != tt.attributes || s.Status.Code != tt.status || len(s.Events) != tt.events {
				t.Errorf("span %s {%s} %v, %d events, want %s {%s} %v, %d events", s.Name, telemetrytest.Attributes(s.Attributes),
					s.Status.Code, len(s.Events), tt.span, tt.attributes, tt.status, tt.events)
			}
			if (tt.status == codes.Error) != errors.Is(err, errDisk) {
				t.Errorf("error %v was changed", err)
			}
			if strings.Contains(telemetrytest.Attributes(s.Attributes), title) {
				t.Errorf("the title is in the span")
			}
		})
	}
}

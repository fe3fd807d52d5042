package db

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/internal/album"
	"soundcheck/internal/telemetry/telemetrytest"
)

// Old keys are deleted in statements of bounded size, and only the old ones.
func TestDeleteInBatches(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		rec := telemetrytest.New(t)
		s := opened(t, Config{URL: url, TracerProvider: rec.TracerProvider}) // not started: it would sweep too
		if _, err := s.Migrate(t.Context(), "up", discard); err != nil {
			t.Fatal(err)
		}
		const old, statements = 2*sweepBatch + 7, 3
		insert := func(from, to int, age time.Duration) {
			t.Helper()
			series := s.dialect.of(
				"WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2) SELECT i FROM n",
				"SELECT i FROM generate_series($1::int, $2::int - 1) AS s (i)")
			if _, err := s.writer.Exec("INSERT INTO idempotency_keys (key, fingerprint, answer, created_at) SELECT 'key ' || i, $3, '{}', $4 FROM ("+series+") AS t",
				from, to, []byte("f"), s.dialect.time(album.Now().Add(-age))); err != nil {
				t.Fatal(err)
			}
		}
		insert(0, old, album.KeyLifetime+time.Hour)
		insert(old, old+3, time.Hour)
		ctx, span := rec.TracerProvider.Tracer("test").Start(t.Context(), "sweep")
		if err := s.deleteExpired(ctx, "idempotency_keys", "key", "created_at", s.dialect.time(album.Now().Add(-album.KeyLifetime))); err != nil {
			t.Fatal(err)
		}
		span.End()
		var left int
		if err := s.writer.QueryRow("SELECT count(*) FROM idempotency_keys").Scan(&left); err != nil || left != 3 {
			t.Errorf("%d keys are left, %v, want 3", left, err)
		}
		n := 0
		for _, sp := range rec.Spans() {
			if strings.HasPrefix(sp.Name, "DELETE idempotency_keys") && child(sp, span.SpanContext().TraceID().String()) {
				n++
			}
		}
		if n != statements {
			t.Errorf("%d statements, want %d of %d rows at most", n, statements, sweepBatch)
		}
	})
}

func child(s tracetest.SpanStub, trace string) bool { return s.SpanContext.TraceID().String() == trace }

// Between two batches others have the database for as long as a batch took.
func TestBatchesYield(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		if err := inBatches(t.Context(), func() (int64, error) {
			time.Sleep(100 * time.Millisecond)
			if calls++; calls < 4 {
				return sweepBatch, nil
			}
			return 1, nil
		}); err != nil || calls != 4 || time.Since(start) != 700*time.Millisecond {
			t.Errorf("%d batches in %s, %v, want 4 in 700ms", calls, time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		if err := inBatches(ctx, func() (int64, error) { time.Sleep(100 * time.Millisecond); return sweepBatch, nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the context's error", err)
		}
	})
}

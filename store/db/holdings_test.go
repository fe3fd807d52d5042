package db

import (
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
	"soundcheck/internal/telemetry/telemetrytest"
)

// Holdings counts unfinished operations, and has the size of the albums.
func TestHoldings(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		rec := telemetrytest.New(t)
		s := open(t, Config{URL: url, TracerProvider: rec.TracerProvider, MeterProvider: rec.MeterProvider})
		op, _, err := s.Submit(t.Context(), album.One(albumtest.New(0)))
		if err != nil {
			t.Fatal(err)
		}
		albumtest.Await(t, s, op.ID)
		h, err := s.Holdings(t.Context())
		if err != nil || h.Queued != 0 || h.Running != 0 || h.Bytes <= 0 {
			t.Errorf("once it is done: %+v, %v", h, err)
		}
		// Two jobs that no worker fetches: they are scheduled far in the future.
		for _, state := range []string{"scheduled", "running", "available"} {
			if _, err := s.writer.Exec("INSERT INTO river_job (state, args, kind, max_attempts, queue, scheduled_at) VALUES ('" + state + "', '{}', 'none', 1, 'none', '2999-01-01 00:00:00')"); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]int64{}
		for _, p := range rec.Metric("soundcheck.store.operations").Data.(metricdata.Gauge[int64]).DataPoints {
			got[telemetrytest.Attributes(p.Attributes.ToSlice())] = p.Value
		}
		const key = "soundcheck.store.operation.status="
		if len(got) != 2 || got[key+"queued"] != 2 || got[key+"running"] != 1 {
			t.Errorf("soundcheck.store.operations = %v, want 2 queued, 1 running", got)
		}
		if size := rec.Metric("soundcheck.store.size").Data.(metricdata.Gauge[int64]).DataPoints; len(size) != 1 || size[0].Value < h.Bytes {
			t.Errorf("soundcheck.store.size = %v, want at least %d", size, h.Bytes)
		}
	})
}

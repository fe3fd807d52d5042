package album

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
)

func TestMemoryHoldings(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	holdings := func() Holdings { h, _ := m.Holdings(t.Context()); return h }
	m.mu.Lock() // nothing can be done
	for range workers + 2 {
		if _, err := m.enqueue(Write{Albums: []Album{{Title: "title", Artist: "artist", Price: 100}}}, trace.SpanContext{}); err != nil {
			t.Fatal(err)
		}
	}
	want := Holdings{Queued: 2, Running: workers, Bytes: -1}
	for deadline := time.Now().Add(5 * time.Minute); holdings() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v, want %+v", holdings(), want)
		}
	}
	m.mu.Unlock()
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := holdings(), (Holdings{Bytes: -1}); got != want {
		t.Errorf("at the end %+v, want %+v", got, want)
	}
}

// A store that cannot tell has no metrics, and others still have theirs.
func TestObserve(t *testing.T) {
	t.Parallel()
	if _, err := Observe(nil, func(context.Context) (Holdings, error) { return Holdings{}, nil }); err != nil {
		t.Errorf("without a provider: %v", err)
	}
	for _, tt := range []struct {
		holdings Holdings
		err      error
		want     map[string]int // data points
	}{
		{Holdings{Queued: 1, Bytes: 0}, nil, map[string]int{"soundcheck.store.operations": 2, "soundcheck.store.size": 1}},
		{Holdings{Bytes: -1}, nil, map[string]int{"soundcheck.store.operations": 2}},
		{Holdings{}, errors.New("away"), map[string]int{}},
	} {
		reader := metric.NewManualReader()
		mp := metric.NewMeterProvider(metric.WithReader(reader))
		if _, err := Observe(mp, func(context.Context) (Holdings, error) { return tt.holdings, tt.err }); err != nil {
			t.Fatal(err)
		}
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &rm); err != nil {
			t.Errorf("%+v, %v: collect: %v", tt.holdings, tt.err, err)
		}
		got := map[string]int{}
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				got[m.Name] = len(m.Data.(metricdata.Gauge[int64]).DataPoints)
			}
		}
		for name := range got {
			if got[name] != tt.want[name] {
				t.Errorf("%+v, %v: %s has %d points, want %d", tt.holdings, tt.err, name, got[name], tt.want[name])
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%+v, %v: %v, want %v", tt.holdings, tt.err, got, tt.want)
		}
	}
}

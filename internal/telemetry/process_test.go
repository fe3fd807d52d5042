package telemetry

import (
	"bytes"
	"math"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/metrics"
	"testing"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// metric returns the last of this name that was received, or nil.
func (r *receiver) metric(name string) (last *metricspb.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.metrics {
		for _, rm := range m.ResourceMetrics {
			for _, sm := range rm.ScopeMetrics {
				for _, m := range sm.Metrics {
					if m.Name == name {
						last = m
					}
				}
			}
		}
	}
	return last
}

func TestProcess(t *testing.T) {
	rec := new(receiver)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	tel := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL}, new(bytes.Buffer))
	runtime.GC()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	modes := map[string]float64{}
	for _, p := range rec.metric("process.cpu.time").GetSum().GetDataPoints() {
		modes[p.Attributes[0].Value.GetStringValue()] = p.GetAsDouble()
	}
	if len(modes) != 2 || modes["user"] <= 0 || modes["system"] < 0 {
		t.Errorf("process.cpu.time = %v, want user and system, and some of user", modes)
	}
	for _, name := range []string{"go.schedule.duration", "soundcheck.go.gc.pause"} {
		points := rec.metric(name).GetExponentialHistogram().GetDataPoints()
		if len(points) != 1 || points[0].Count == 0 || points[0].GetSum() <= 0 || points[0].StartTimeUnixNano == 0 {
			t.Errorf("%s = %v, want one exponential histogram that is not empty", name, points)
		}
	}
}

func TestExponential(t *testing.T) {
	t.Parallel()
	p := exponential(&metrics.Float64Histogram{
		Buckets: []float64{math.Inf(-1), 0, 1, 3, 7, 9, 1024, math.Inf(1)},
		Counts:  []uint64{0, 5, 4, 0, 3, 0, 2},
	})
	if p.Count != 14 || p.ZeroCount != 5 || p.Sum != 4*2+3*8+2*1024 {
		t.Errorf("count %d, of zero %d, sum %v; want 14, 5, 2080", p.Count, p.ZeroCount, p.Sum)
	}
	got := map[float64]uint64{} // by upper bound
	for i, n := range p.PositiveBucket.Counts {
		if n > 0 {
			got[math.Exp2(float64(p.PositiveBucket.Offset+int32(i)+1)/4)] = n
		}
	}
	if len(got) != 3 || got[2] != 4 || got[8] != 3 || got[1024] != 2 {
		t.Errorf("buckets by upper bound %v, want 2: 4, 8: 3, 1024: 2", got)
	}
	if p := exponential(&metrics.Float64Histogram{Buckets: []float64{0, 1}, Counts: []uint64{0}}); p.Count != 0 || len(p.PositiveBucket.Counts) != 0 {
		t.Errorf("of nothing: %+v", p)
	}
}

// A short-lived tool exports metrics every few seconds, unless configured otherwise.
func TestIntervalOfTools(t *testing.T) {
	for _, tt := range []struct {
		quiet     bool
		own, want string
	}{
		{true, "", "5000"},
		{false, "", ""},
		{true, "100", "100"},
	} {
		t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", tt.own)
		if err := setDefaults(tt.quiet); err != nil {
			t.Fatal(err)
		}
		if got := os.Getenv("OTEL_METRIC_EXPORT_INTERVAL"); got != tt.want {
			t.Errorf("of a tool: %v, set to %q: %q, want %q", tt.quiet, tt.own, got, tt.want)
		}
	}
}

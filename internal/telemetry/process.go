package telemetry

import (
	"context"
	"fmt"
	"math"
	"runtime/metrics"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

const scope = "soundcheck/internal/telemetry"

var processStart = time.Now()

// observeCPU creates process.cpu.time of the semantic conventions. Go's own
// /cpu/classes are estimates that change with garbage collections only, so the
// system is asked.
func observeCPU(mp metric.MeterProvider) error {
	user := metric.WithAttributeSet(attribute.NewSet(attribute.String("cpu.mode", "user")))
	system := metric.WithAttributeSet(attribute.NewSet(attribute.String("cpu.mode", "system")))
	_, err := mp.Meter(scope).Float64ObservableCounter("process.cpu.time", metric.WithUnit("s"),
		metric.WithDescription("Processor time that the process has used."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			var r syscall.Rusage
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
				return fmt.Errorf("read the process' processor time: %w", err)
			}
			o.Observe(time.Duration(r.Utime.Nano()).Seconds(), user)
			o.Observe(time.Duration(r.Stime.Nano()).Seconds(), system)
			return nil
		}))
	return err
}

// runtimeHistograms are what the Go runtime counts in buckets of its own. As
// they are they would be a hundred series each; as exponential histograms they
// are one each.
var runtimeHistograms = []struct{ source, name, description string }{
	{"/sched/latencies:seconds", "go.schedule.duration", "How long goroutines that could run have waited for a processor."},
	{"/sched/pauses/total/gc:seconds", "soundcheck.go.gc.pause", "How long all goroutines stood still for the garbage collection."},
}

// producer reads runtimeHistograms whenever metrics are sent.
type producer struct{}

// Produce implements metric.Producer.
func (producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	now := time.Now()
	sm := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: scope}}
	for _, h := range runtimeHistograms {
		s := []metrics.Sample{{Name: h.source}}
		metrics.Read(s)
		if s[0].Value.Kind() != metrics.KindFloat64Histogram { // not of this version of Go
			continue
		}
		p := exponential(s[0].Value.Float64Histogram())
		p.StartTime, p.Time = processStart, now
		sm.Metrics = append(sm.Metrics, metricdata.Metrics{Name: h.name, Description: h.description, Unit: "s",
			Data: metricdata.ExponentialHistogram[float64]{Temporality: metricdata.CumulativeTemporality,
				DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{p}}})
	}
	return []metricdata.ScopeMetrics{sm}, nil
}

// The runtime splits each power of two in four (see runtime.timeHistogram), so
// a finer scale would not be more exact.
const scale = 2

// exponential counts what is in each bucket of h as if it were in its middle.
// Its sum is an estimate for the same reason.
func exponential(h *metrics.Float64Histogram) metricdata.ExponentialHistogramDataPoint[float64] {
	p := metricdata.ExponentialHistogramDataPoint[float64]{Scale: scale}
	for i, n := range h.Counts {
		if n == 0 {
			continue
		}
		low, high := h.Buckets[i], h.Buckets[i+1]
		middle := low + (high-low)/2
		switch {
		case math.IsInf(high, 1):
			middle = low
		case low <= 0: // the lowest one reaches down to nothing
			middle = 0
		}
		p.Count += n
		p.Sum += middle * float64(n)
		if middle <= 0 {
			p.ZeroCount += n
			continue
		}
		index := int32(math.Ceil(math.Log2(middle)*(1<<scale))) - 1
		b := &p.PositiveBucket
		if len(b.Counts) == 0 {
			b.Offset = index
		}
		for int(index-b.Offset) >= len(b.Counts) { // the runtime's buckets ascend
			b.Counts = append(b.Counts, 0)
		}
		b.Counts[index-b.Offset] += n
	}
	return p
}

var _ sdkmetric.Producer = producer{}

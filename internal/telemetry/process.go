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

// observeCPU creates process.cpu.time of the semantic conventions from getrusage: Go's
// /cpu/classes are estimates that change only with garbage collections.
func observeCPU(mp metric.MeterProvider) error {
	user := metric.WithAttributeSet(attribute.NewSet(attribute.String("cpu.mode", "user")))
	system := metric.WithAttributeSet(attribute.NewSet(attribute.String("cpu.mode", "system")))
	_, err := mp.Meter(scope).Float64ObservableCounter("process.cpu.time", metric.WithUnit("s"),
		metric.WithDescription("CPU time of the process."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			var r syscall.Rusage
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
				return fmt.Errorf("read the CPU time of the process: %w", err)
			}
			o.Observe(time.Duration(r.Utime.Nano()).Seconds(), user)
			o.Observe(time.Duration(r.Stime.Nano()).Seconds(), system)
			return nil
		}))
	return err
}

// runtimeHistograms are the Go runtime's histograms. With the runtime's buckets each would be a
// hundred series; as an exponential histogram it is one.
var runtimeHistograms = []struct{ source, name, description string }{
	{"/sched/latencies:seconds", "go.schedule.duration", "The time goroutines have spent in the scheduler in a runnable state before actually running."},
	{"/sched/pauses/total/gc:seconds", "soundcheck.go.gc.pause", "Stop-the-world pauses of the garbage collector."},
}

// producer reads runtimeHistograms at each collection.
type producer struct{}

// Produce implements metric.Producer.
func (producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	now := time.Now()
	sm := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: scope}}
	for _, h := range runtimeHistograms {
		s := []metrics.Sample{{Name: h.source}}
		metrics.Read(s)
		if s[0].Value.Kind() != metrics.KindFloat64Histogram { // not in this version of Go
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

// The runtime splits each power of two in four (see runtime.timeHistogram): a finer scale adds no
// precision.
const scale = 2

// exponential converts h: it counts each bucket at its middle. The sum is therefore an estimate.
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
		case low <= 0: // the lowest bucket starts at 0
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
		for int(index-b.Offset) >= len(b.Counts) { // the runtime's buckets are in ascending order
			b.Counts = append(b.Counts, 0)
		}
		b.Counts[index-b.Offset] += n
	}
	return p
}

var _ sdkmetric.Producer = producer{}

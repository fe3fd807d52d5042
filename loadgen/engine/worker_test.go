package engine

import (
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/telemetry/telemetrytest"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/schedule"
)

// workerAttribute returns the attribute soundcheck.loadgen.worker of a list; "": there is none.
func workerAttribute(list []attribute.KeyValue) string {
	for _, a := range list {
		if a.Key == workerKey {
			return a.Value.AsString()
		}
	}
	return ""
}

// runTraces runs a fake attack of run-1, and returns the trace ids of its requests. Each of its
// spans must have the worker.
func runTraces(t *testing.T, c Config) map[trace.TraceID]bool {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	c.RunID, c.Retry = "run-1", retry.Honour // a request has two spans
	c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithIDGenerator(NewIDs(c.RunID)))
	r := fakeAttack(t, t.Context(), c, quick(0, 0, served{}))
	ids := map[trace.TraceID]bool{}
	for _, s := range spans.Ended() {
		ids[s.SpanContext().TraceID()] = true
		if got := workerAttribute(s.Attributes()); got != c.Worker {
			t.Errorf("%s span %s: worker %q, want %q", s.SpanKind(), s.Name(), got, c.Worker)
		}
	}
	if n := len(spans.Ended()); len(ids) != r.Sent || n != 2*r.Sent || r.Sent == 0 {
		t.Errorf("worker %q: %d requests, %d traces, %d spans", c.Worker, r.Sent, len(ids), n)
	}
	return ids
}

// Shards of one run have the trace ids of an unsharded run, each one once.
func TestTraceIDsOfShards(t *testing.T) {
	t.Parallel()
	for _, before := range []uint64{0, 1000} {
		want := map[trace.TraceID]bool{}
		for n := range uint64(250) {
			want[NewIDs("run-1").Trace(before+n)] = true
		}
		for _, workers := range [][]string{{""}, {"0", "1"}, {"0", "1", "2"}} {
			got := map[trace.TraceID]bool{}
			for i, worker := range workers {
				synctest.Test(t, func(t *testing.T) {
					c := Config{Worker: worker, Before: before, Plan: hundred(2500 * time.Millisecond)}
					if worker != "" {
						c.Plan.Shard, c.Plan.Shards = uint64(i), uint64(len(workers))
					}
					for id := range runTraces(t, c) {
						if got[id] || !want[id] {
							t.Errorf("worker %q of %q, %d before: trace %s is another's", worker, workers, before, id)
						}
						got[id] = true
					}
				})
			}
			if len(got) != len(want) {
				t.Errorf("workers %q, %d before: %d traces, want %d", workers, before, len(got), len(want))
			}
		}
	}
}

// A run ends after FirstSent: what a coordinator hears later, it would take for the next run's.
func TestFirstSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, calls := Config{Plan: hundred(time.Second)}, 0
		start := time.Now()
		c.FirstSent = func(scheduled time.Duration, sent time.Time) {
			time.Sleep(time.Minute)
			if calls++; scheduled != 5*time.Millisecond || sent.Sub(start) != scheduled {
				t.Errorf("scheduled at %s, sent at %s", scheduled, sent.Sub(start))
			}
		}
		if fakeAttack(t, t.Context(), c, quick(0, 0, served{})); calls != 1 {
			t.Errorf("%d calls in the run, want 1", calls)
		}
	})
}

// Trace ids of an A/B run follow from the order of its requests: the number of a request in its
// arm is that of another one in the other arm.
func TestTraceIDsOfArms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := Config{Plan: hundred(2 * time.Second), arm: schedule.Turns(0, 250*time.Millisecond),
			arms: []*url.URL{{Scheme: "http", Host: "a"}, {Scheme: "http", Host: "b"}}}
		ids := runTraces(t, c)
		for n := range uint64(200) {
			if id := NewIDs("run-1").Trace(n); !ids[id] {
				t.Errorf("no trace %s of request %d", id, n)
			}
		}
	})
}

// The target rates of the workers add up to the plan's at any time. A worker's metrics have its
// index.
func TestMetricsOfWorkers(t *testing.T) {
	t.Parallel()
	const seconds = 10
	plan := schedule.Plan{Stages: []schedule.Stage{{Duration: seconds * time.Second, From: 30, To: 330}}, Arrivals: schedule.Constant}
	sums := make([]float64, seconds+3)
	for shard := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			rec := telemetrytest.New(t)
			c := Config{RunID: "run-1", Worker: string(rune('0' + shard)), Plan: plan, MeterProvider: rec.MeterProvider}
			c.Plan.Shard, c.Plan.Shards = shard, 3
			c.StartAt = time.Now().Add(1500 * time.Millisecond)
			calls := 0
			c.Progress = func(p Progress) {
				target := rec.Metric("soundcheck.loadgen.rate").Data.(metricdata.Gauge[float64]).DataPoints
				if len(target) != 1 || target[0].Value != p.RateTarget || workerAttribute(target[0].Attributes.ToSlice()) != c.Worker {
					t.Errorf("metric %+v, want target rate %g of worker %s", target, p.RateTarget, c.Worker)
				}
				sums[calls] += p.RateTarget
				calls++
			}
			fakeAttack(t, t.Context(), c, quick(0, 0, served{}))
			for _, name := range []string{"response_time", "service_time", "send_delay"} {
				for _, p := range rec.Metric("soundcheck.loadgen." + name).Data.(metricdata.Histogram[float64]).DataPoints {
					if got := workerAttribute(p.Attributes.ToSlice()); got != c.Worker {
						t.Errorf("%s: worker %q, want %q", name, got, c.Worker)
					}
				}
			}
		})
	}
	// The plan begins after 1.5 s, with 30/s, and ends after 11.5 s.
	want := []float64{0}
	for i := range seconds {
		want = append(want, 45+30*float64(i))
	}
	if got := sums[:len(want)]; !slices.EqualFunc(got, want, func(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 }) {
		t.Errorf("target rates of the workers add up to %v, want %v", got, want)
	}
}

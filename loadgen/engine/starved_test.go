package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

// slowSpans keeps a worker busy at the end of each span.
type slowSpans struct {
	*tracetest.SpanRecorder
	busy time.Duration
}

func (s slowSpans) OnEnd(sdktrace.ReadOnlySpan) { time.Sleep(s.busy) }

// fakeUsers is a run of a flow against a fake service.
func fakeUsers(f *flow.Flow, at func(time.Duration) served) Config {
	return Config{URL: "http://service", Workload: workload.Workload{Flow: f}, Timeout: time.Second, MeterProvider: metricnoop.NewMeterProvider(), Propagator: propagation.TraceContext{},
		sender: fakeService{time.Now(), at}, fakeTime: true}
}

// The numbers of a population are the generator's if its requests are later than their think times end: those of
// a user's steps, of a user after the last one, and of users of a growing population. Responses take 3 ms, and
// think times 10 ms.
func TestStarvedUsers(t *testing.T) {
	t.Parallel()
	const one = "name: f\nthink: 10ms\nsteps:\n  - {name: a, get: /}\n"
	for name, tt := range map[string]struct {
		text  string
		users []schedule.Stage
		delay float64 // ms, of most requests if each span costs 15 ms
	}{
		"steps":   {one[:len(one)-2] + ", repeat: 200}\n", nil, 15 - 10},
		"users":   {one, nil, 2*15 - 10}, // a user has a span too
		"growing": {one, []schedule.Stage{{Duration: time.Second, From: 0, To: 5}, {Duration: 2 * time.Second, From: 5, To: 5}}, 2*15 - 10},
	} {
		for _, busy := range []time.Duration{0, 15 * time.Millisecond} {
			t.Run(name+" "+busy.String(), func(t *testing.T) {
				t.Parallel()
				f := flowOf(t, tt.text)
				synctest.Test(t, func(t *testing.T) {
					c := fakeUsers(f, quick(0, 0, served{}))
					c.Users, c.Workers, c.Plan = tt.users, 5, schedule.Plan{Stages: []schedule.Stage{{Duration: 3 * time.Second}}}
					c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(slowSpans{tracetest.NewSpanRecorder(), busy}))
					r := run(t, c)
					if busy == 0 {
						if len(r.Invalid) > 0 || r.SendDelay.Max > 0 || r.Flow.Completed < 5 {
							t.Errorf("invalid %q, send delay %+v, %+v", r.Invalid, r.SendDelay, r.Flow)
						}
						return
					}
					if len(r.Invalid) != 1 || !strings.HasPrefix(r.Invalid[0], "p99 send delay ") {
						t.Errorf("invalid %q", r.Invalid)
					}
					near(t, "p50 of the send delay, in ms", 1000*r.SendDelay.P50, tt.delay)
					near(t, "p50 of the response time, in ms", 1000*r.Response.P50, 3+tt.delay)
					var text strings.Builder
					if err := r.Write(&text); err != nil || !strings.HasPrefix(text.String(), "INVALID ") || !strings.Contains(text.String(), " send delay  ") {
						t.Errorf("%v\n%s", err, text.String())
					}
				})
			})
		}
	}
}

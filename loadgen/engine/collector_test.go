package engine

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// testCollector returns the collector of a run with a known start.
func testCollector(t *testing.T, c Config) *collector {
	t.Helper()
	c.MeterProvider, c.StartAt = noop.NewMeterProvider(), began
	tr := &transport{pacer: schedule.NewPacer(t.Context(), schedule.Pacing{Plan: schedule.Plan{Stages: []schedule.Stage{{Duration: time.Second}}}, StartAt: began, Closed: true})}
	tr.pacer.Pace(0, 0)
	var err error
	if tr.meter, err = newMeter(c, tr); err != nil {
		t.Fatal(err)
	}
	return newCollector(c, tr)
}

// wants are the expected statuses by scenario.
var wants = map[string]int{"get": 200, "list": 200, "create": 201}

// request returns a request of a scenario.
func request(t *testing.T, scenario string) *workload.Request {
	t.Helper()
	s, err := workload.Workload{Mix: workload.Mix{scenario: 1}}.NewSource(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Request(0, schedule.Pick{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A violation is attributed to the generator only if the requests of the SLO had too much send
// delay and were fast enough without it.
func TestGenerator(t *testing.T) {
	t.Parallel()
	type sent struct {
		scenario           string
		sendDelay, service time.Duration
	}
	for _, tt := range []struct {
		name, slo string
		requests  []sent // each 10 times
		want      bool
	}{
		{"a scenario is slow, the others are not", "p50(create)<2s", []sent{{"create", time.Millisecond, 3 * time.Second}, {"get", 0, time.Millisecond}, {"list", 0, time.Millisecond}}, false},
		{"all with send delay, slow create", "p50(create)<2s", []sent{{"create", time.Second, 3 * time.Second}, {"get", time.Second, time.Millisecond}}, false},
		{"send delay of a scenario", "p50(create)<2s", []sent{{"create", 3 * time.Second, time.Millisecond}, {"get", 0, 3 * time.Second}}, true},
		{"all with send delay", "p99<100ms", []sent{{"create", time.Second, time.Millisecond}, {"get", time.Second, time.Millisecond}}, true},
		{"slow, and a little late", "p99<100ms", []sent{{"get", time.Millisecond, 99500 * time.Microsecond}}, false},
		{"slow for all, and a little late", "p99<1s", []sent{{"get", 40 * time.Millisecond, 990 * time.Millisecond}}, false},
		{"late by send delay", "late(get)<1%", []sent{{"get", 30 * time.Millisecond, time.Millisecond}}, true},
		{"the same, as good ones", "good>90%", []sent{{"get", 30 * time.Millisecond, time.Millisecond}}, true},
		{"not served in time by itself", "late(get)<1%", []sent{{"get", 30 * time.Millisecond, 30 * time.Millisecond}}, false},
		{"only some by itself", "late(get)<1%", []sent{{"get", 30 * time.Millisecond, time.Millisecond}, {"get", 0, 30 * time.Millisecond}}, false},
	} {
		k := testCollector(t, Config{Plan: steady(100, time.Minute), MaxWorkers: 9, Workload: workload.Workload{Mix: workload.Mix{"get": 1, "create": 1, "list": 1}}, SLOs: slos(t, tt.slo, "p99(get)<20ms")})
		for i := range 10 {
			for _, q := range tt.requests {
				scheduled := began.Add(time.Duration(i) * time.Second)
				k.add(&note{request: request(t, q.scenario), scheduled: scheduled, sent: scheduled.Add(q.sendDelay), took: q.service, status: wants[q.scenario]})
			}
		}
		if v := k.Outlooks()[0]; v.Met || v.Verdict.Generator != tt.want {
			t.Errorf("%s: %+v, want violated by the generator: %v", tt.name, v, tt.want)
		}
	}
}

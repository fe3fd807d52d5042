package engine

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// served is a response of a fake service: delay, status, header.
type served struct {
	after      time.Duration
	status     int    // 0: what the request wants
	retryAfter string // header
}

// fakeService is a network and a service with a fake clock.
type fakeService struct {
	began time.Time
	at    func(time.Duration) served
}

func (f fakeService) send(ctx context.Context, req *http.Request, deadline time.Time, _ *connect.Times) (*http.Response, error) {
	s := f.at(time.Since(f.began))
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	select {
	case <-time.After(s.after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.status == 0 {
		s.status = map[string]int{http.MethodGet: http.StatusOK, http.MethodPost: http.StatusCreated}[req.Method]
	}
	r := &http.Response{StatusCode: s.status, Status: http.StatusText(s.status), Header: http.Header{}, Body: http.NoBody}
	if s.retryAfter != "" {
		r.Header.Set("Retry-After", s.retryAfter)
	}
	return r, nil
}

// hundred is a plan of 100/s. Requests are scheduled 5 ms after each hundredth of a second, apart
// from other events, to avoid races at the same instant.
func hundred(d time.Duration) schedule.Plan {
	return schedule.Plan{Stages: []schedule.Stage{{Duration: 5 * time.Millisecond}, {Duration: d, From: 100, To: 100}}, Arrivals: schedule.Constant}
}

// quick responds in 3 ms, except between two times.
func quick(from, to time.Duration, otherwise served) func(time.Duration) served {
	return func(at time.Duration) served {
		if at >= from && at < to {
			return otherwise
		}
		return served{after: 3 * time.Millisecond}
	}
}

// fakeAttack runs against a fake service. The clock advances only while everything waits, so
// that each number of the report is known in advance.
func fakeAttack(t *testing.T, ctx context.Context, c Config, at func(time.Duration) served) *report.Report {
	t.Helper()
	began := time.Now()
	if !c.StartAt.IsZero() {
		began = c.StartAt
	}
	c.sender, c.fakeTime = fakeService{began, at}, true
	c.URL, c.Seed, c.Mix = "http://service", 1, workload.Mix{"get": 7, "list": 2, "create": 1}
	c.Propagator = propagation.TraceContext{}
	if c.MeterProvider == nil {
		c.MeterProvider = metricnoop.NewMeterProvider()
	}
	if c.MaxWorkers == 0 {
		c.MaxWorkers = 1024
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	r := attackOnce(t, ctx, c)
	sum, rows := r.Cancelled, 0
	for _, n := range r.Classes {
		sum += n
	}
	for _, row := range r.Scenarios {
		rows += row.Requests
	}
	if sum != r.Sent || rows != r.Sent-r.Cancelled || r.Response.Count+r.Shed.Count+r.Failed.Count != int64(rows) {
		t.Errorf("sent %d, in classes %v, cancelled %d, in scenarios %d", r.Sent, r.Classes, r.Cancelled, rows)
	}
	if !r.StartedAt.Equal(began) {
		t.Errorf("started at %s, want %s", r.StartedAt, began)
	}
	if c.MaxWorkers == 1024 && (r.SendDelay.Max != 0 || len(r.Invalid) > 0) {
		t.Errorf("send delay %g s, invalid %q", r.SendDelay.Max, r.Invalid)
	}
	return r
}

func wantClasses(t *testing.T, r *report.Report, want map[measure.Class]int) {
	t.Helper()
	if !maps.Equal(r.Classes, want) {
		t.Errorf("classes %v, want %v; errors %v", r.Classes, want, r.Errors)
	}
}

// near compares a number of the report with the expected one, within the precision of histograms.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > want/1000 {
		t.Errorf("%s = %g, want %g", what, got, want)
	}
}

// exact compares a number of the report with the expected one.
func exact(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("%s = %g, want %g", what, got, want)
	}
}

// Each second the response times are 1.5 ms, 2.5 ms and so on up to 100.5 ms.
func TestFakeCompleteRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := fakeAttack(t, t.Context(), Config{Plan: hundred(10 * time.Minute)}, func(at time.Duration) served {
			return served{after: time.Millisecond + at%time.Second/10}
		})
		wantClasses(t, r, map[measure.Class]int{measure.Good: 60_000})
		exact(t, "elapsed", r.Elapsed, 599.995+0.1005)
		exact(t, "actual rate", r.RateActual, 60_000/600.005) // the plan is so long
		exact(t, "goodput", r.Goodput, 60_000/600.005)
		exact(t, "peak", float64(r.Peak), 10)
		exact(t, "intervals", float64(len(r.Intervals)), 600)
		summaries := map[string]measure.Summary{"response": r.Response, "service": r.Service}
		for i, interval := range r.Intervals {
			exact(t, "at", interval.At, float64(i))
			exact(t, "target rate", interval.RateTarget, 100)
			exact(t, "good", float64(interval.Classes[measure.Good]), 100)
			summaries[fmt.Sprintf("interval %d", i)] = interval.Response
		}
		for what, s := range summaries {
			near(t, what+" mean", s.Mean, 0.051)
			near(t, what+" p50", s.P50, 0.0505)
			near(t, what+" p90", s.P90, 0.0905)
			near(t, what+" p99", s.P99, 0.0995)
			near(t, what+" p99.9", s.P999, 0.1005)
			exact(t, what+" max", s.Max, 0.1005)
		}
		for i, want := range []int{6_000, 42_000, 12_000} { // create, get, list
			exact(t, r.Scenarios[i].Name, float64(r.Scenarios[i].Requests), float64(want))
		}
	})
}

// With one worker and half the needed throughput, request k has a send delay of k times 10 ms.
func TestFakeQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := fakeAttack(t, t.Context(), Config{Plan: hundred(10 * time.Second), MaxWorkers: 1}, func(time.Duration) served {
			return served{after: 20 * time.Millisecond}
		})
		wantClasses(t, r, map[measure.Class]int{measure.Good: 1000})
		exact(t, "elapsed", r.Elapsed, 20.005)
		exact(t, "service max", r.Service.Max, 0.02)
		for _, q := range []struct{ got, rank float64 }{{r.Response.P50, 500}, {r.Response.P90, 900}, {r.Response.P99, 990}, {r.Response.P999, 999}} {
			near(t, fmt.Sprintf("response of rank %g", q.rank), q.got, 0.02+0.01*(q.rank-1))
		}
		near(t, "send delay p99", r.SendDelay.P99, 9.89)
		exact(t, "send delay max", r.SendDelay.Max, 9.99)
		if len(r.Invalid) != 2 {
			t.Errorf("invalid: %q, want the p99 send delay as the reason", r.Invalid)
		}
	})
}

func TestFakeClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan := schedule.Plan{Stages: []schedule.Stage{{Duration: time.Hour}}, Max: 12_000}
		r := fakeAttack(t, t.Context(), Config{Plan: plan, Workers: 10}, func(time.Duration) served {
			return served{after: 50 * time.Millisecond}
		})
		wantClasses(t, r, map[measure.Class]int{measure.Good: 12_000})
		exact(t, "elapsed", r.Elapsed, 60)
		exact(t, "goodput", r.Goodput, 200)
		exact(t, "peak", float64(r.Peak), 10)
	})
}

// For a minute all responses are shed, with a Retry-After of 2 s. The next request after that
// time is scheduled 2.01 s after the shed one.
func TestFakeShed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := fakeAttack(t, t.Context(), Config{Plan: hundred(3 * time.Minute)},
			quick(time.Minute, 2*time.Minute, served{after: time.Millisecond, status: 503, retryAfter: "2"}))
		wantClasses(t, r, map[measure.Class]int{measure.Good: 12_000, measure.Shed: 6000})
		if want := (report.RetryAfter{Given: 6000, Kept: 201, Broken: 5799}); r.RetryAfter != want {
			t.Errorf("promises %+v, want %+v", r.RetryAfter, want)
		}
		exact(t, "shed max", r.Shed.Max, 0.001)
		exact(t, "response max", r.Response.Max, 0.003)
		exact(t, "shed in the 60th second", float64(r.Intervals[59].Classes[measure.Shed]), 0)
		exact(t, "shed in the 61st second", float64(r.Intervals[60].Classes[measure.Shed]), 100)
		exact(t, "shed in the 120th second", float64(r.Intervals[119].Classes[measure.Shed]), 100)
		exact(t, "shed in the 121st second", float64(r.Intervals[120].Classes[measure.Shed]), 0)
	})
}

// For 2 s all responses are shed, with a Retry-After of 1 s. Retries of the first second are shed
// too.
func TestFakeRetryHonour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := fakeAttack(t, t.Context(), Config{Plan: hundred(time.Minute), Retry: retry.Honour},
			quick(10*time.Second, 12*time.Second, served{after: time.Millisecond, status: 429, retryAfter: "1"}))
		wantClasses(t, r, map[measure.Class]int{measure.Good: 6000})
		if want := (report.Retries{Policy: string(retry.Honour), Requests: 200, Attempts: 300, Served: 200}); r.Retries != want {
			t.Errorf("retries %+v, want %+v", r.Retries, want)
		}
		if want := (report.RetryAfter{Given: 300, Kept: 200, Broken: 100}); r.RetryAfter != want {
			t.Errorf("promises %+v, want %+v", r.RetryAfter, want)
		}
		exact(t, "response max", r.Response.Max, 0.001+1+0.001+1+0.003)
		near(t, "slow ones of the 12th second", r.Intervals[11].Response.P50, 0.001+1+0.003)
	})
}

// For 2 s all requests fail. The last attempts are at 11.995 s, 11.998 s and 12.001 s.
func TestFakeRetryNaive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := fakeAttack(t, t.Context(), Config{Plan: hundred(time.Minute), Retry: retry.Naive},
			quick(10*time.Second, 12*time.Second, served{after: 3 * time.Millisecond, status: 500}))
		wantClasses(t, r, map[measure.Class]int{measure.Good: 5801, measure.Failed: 199})
		if want := (report.Retries{Policy: string(retry.Naive), Requests: 200, Attempts: 199*retry.Max + 2, Served: 1}); r.Retries != want {
			t.Errorf("retries %+v, want %+v", r.Retries, want)
		}
		exact(t, "failed max", r.Failed.Max, 4*0.003)
		exact(t, "response max", r.Response.Max, 3*0.003)
	})
}

func TestFakeTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := fakeAttack(t, t.Context(), Config{Plan: hundred(time.Minute), Timeout: 2 * time.Second},
			quick(10*time.Second, 11*time.Second, served{after: time.Hour}))
		wantClasses(t, r, map[measure.Class]int{measure.Good: 5900, measure.Failed: 100})
		if r.Errors["timeout"] != 100 || len(r.Errors) != 1 {
			t.Errorf("errors %v, want 100 timeouts", r.Errors)
		}
		near(t, "failed p50", r.Failed.P50, 2)
		exact(t, "failed max", r.Failed.Max, 2)
		exact(t, "peak", float64(r.Peak), 101) // all of that second, and one more at a time
	})
}

// Requests of the warm-up are not measured. Times are relative to its end.
func TestFakeWarmUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := Config{Plan: hundred(20 * time.Second), WarmUp: 10 * time.Second, StartAt: time.Now().Add(time.Hour)}
		c.Plan.Stages = append(c.Plan.Stages, schedule.Stage{Duration: 10 * time.Second, From: 200, To: 200})
		r := fakeAttack(t, t.Context(), c, quick(0, 9*time.Second, served{after: time.Second, status: 500}))
		wantClasses(t, r, map[measure.Class]int{measure.Good: 3000})
		exact(t, "warm-up", float64(r.WarmUp), 1000)
		exact(t, "elapsed", r.Elapsed, 30.003)
		exact(t, "actual rate", r.RateActual, 3000/(30.005-10)) // the plan ends 2 ms after the last response
		exact(t, "response max", r.Response.Max, 0.003)
		for i, interval := range r.Intervals[:20] {
			rate := 100.0
			if i >= 10 {
				rate = 200
			}
			exact(t, fmt.Sprintf("target rate in second %d", i), interval.RateTarget, rate)
		}
		exact(t, "good in the first second", float64(r.Intervals[0].Classes[measure.Good]), 100)
	})
}

func TestFakeEndWhen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := Config{Plan: hundred(time.Hour), SLOs: slos(t, "failed<1%")}
		c.EndWhen = func(list []slo.Outlook) string {
			if len(list) == 1 && list[0].Clear && time.Since(began) >= 30*time.Second {
				return "failed<1% is clear"
			}
			return ""
		}
		r := fakeAttack(t, t.Context(), c, quick(0, 0, served{}))
		wantClasses(t, r, map[measure.Class]int{measure.Good: 3000})
		exact(t, "elapsed", r.Elapsed, 30)
		exact(t, "actual rate", r.RateActual, 100)
		if r.Ended != "failed<1% is clear" {
			t.Errorf("ended because %q", r.Ended)
		}
	})
}

// Ctrl-C cancels requests in flight: all that were scheduled in the last second.
func TestFakeInterrupt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30002*time.Millisecond)
		defer cancel()
		r := fakeAttack(t, ctx, Config{Plan: hundred(time.Hour)}, quick(0, time.Hour, served{after: time.Second}))
		wantClasses(t, r, map[measure.Class]int{measure.Good: 2900})
		exact(t, "sent", float64(r.Sent), 3000)
		exact(t, "cancelled", float64(r.Cancelled), 100)
		exact(t, "elapsed", r.Elapsed, 30.002)
	})
}

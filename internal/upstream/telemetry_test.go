package upstream

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"soundcheck/internal/telemetry/telemetrytest"
)

// Each call that its caller sees as 429 or 503 is counted once, with its reason.
func TestShed(t *testing.T) {
	t.Parallel()
	for reason, tt := range map[string]struct {
		o         Options
		status    int
		retryable bool
	}{
		"breaker_open": {Options{Breaker: true}, 500, false},
		"retry_budget": {Options{Retries: 1, RetryWait: time.Millisecond, Budget: 0.01}, 500, true},
		"store":        {Options{}, 503, false},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			rec := telemetrytest.New(t)
			synctest.Test(t, func(t *testing.T) {
				tt.o.Timeout, tt.o.MeterProvider = time.Second, rec.MeterProvider
				p := newPool(t, tt.o, func(r *http.Request) (*http.Response, error) { return respond(r, tt.status), nil })
				shed := int64(0)
				for range 50 {
					a, err := p.Do(t.Context(), get(tt.retryable))
					var u *ShedError
					if errors.As(err, &u) || err == nil && a.StatusCode == 503 {
						shed++
					}
				}
				got := rec.Metric("soundcheck.upstream.shed").Data.(metricdata.Sum[int64]).DataPoints
				if shed == 0 || len(got) != 1 || got[0].Value != shed || telemetrytest.Attributes(got[0].Attributes.ToSlice()) != "soundcheck.shed.reason="+reason {
					t.Errorf("counted %v, want %d %s", got, shed, reason)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Each attempt is a client span with its number; the metrics count retries and hedges.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	rec := telemetrytest.New(t)
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		p := newPool(t, Options{Timeout: time.Second, Retries: 2, RetryWait: time.Second, Budget: 0.1, Breaker: true, HedgeAfter: Hedge{After: 100 * time.Millisecond},
			TracerProvider: rec.TracerProvider, MeterProvider: rec.MeterProvider, Propagator: rec.Propagator, Logger: rec.Logger},
			func(r *http.Request) (*http.Response, error) {
				switch n.Add(1) {
				case 1:
					return later(r, 200*time.Millisecond, 200)
				case 3:
					return respond(r, 500), nil
				case 2, 4:
					return respond(r, 200), nil
				default:
					return nil, errRefused
				}
			})
		ctx, root := rec.TracerProvider.Tracer("t").Start(t.Context(), "root")
		for _, method := range []string{http.MethodGet, http.MethodPut} { // the first is hedged, the second retried
			r := get(true)
			r.Method = method
			if a, err := p.Do(ctx, r); err != nil || a.StatusCode != 200 {
				t.Error(a, err)
			}
			synctest.Wait()
		}
		root.End()
		time.Sleep(time.Second)
		synctest.Wait()
		var attempts []string
		for _, s := range rec.Spans() {
			if s.Name == "root" {
				continue
			}
			if !strings.HasSuffix(s.Name, "T /x") || s.Parent.SpanID() != root.SpanContext().SpanID() {
				t.Errorf("span %s of %s", s.Name, s.Parent.SpanID())
			}
			text := s.Name[:3] + " "
			for _, kv := range s.Attributes {
				if kv.Key == "http.request.resend_count" || kv.Key == "soundcheck.hedge" {
					text += string(kv.Key) + "=" + kv.Value.String() + " "
				}
			}
			attempts = append(attempts, text)
		}
		// The hedge gets its response first, and the first attempt is cancelled.
		if got := strings.Join(attempts, "| "); got !=
			"GET http.request.resend_count=1 soundcheck.hedge=true | GET | PUT | PUT http.request.resend_count=1 " {
			t.Errorf("attempts: %s", got)
		}
		for range 20 {
			p.Do(t.Context(), get(false))
		}
		for name, want := range map[string]int64{"soundcheck.upstream.retries": 1, "soundcheck.upstream.hedges": 1, "soundcheck.upstream.budget.refused": 0} {
			if got := rec.Metric(name).Data.(metricdata.Sum[int64]).DataPoints; len(got) != 1 || got[0].Value != want {
				t.Errorf("%s = %v, want %d", name, got, want)
			}
		}
		for name, want := range map[string]int64{"soundcheck.upstream.breaker.state": 2, "soundcheck.upstream.in_flight": 0} {
			got := rec.Metric(name).Data.(metricdata.Gauge[int64]).DataPoints
			if len(got) != 1 || got[0].Value != want || telemetrytest.Attributes(got[0].Attributes.ToSlice()) != "server.address=a server.port=1" {
				t.Errorf("%s = %v, want %d", name, got, want)
			}
		}
		if got := rec.Metric("soundcheck.upstream.budget.left").Data.(metricdata.Gauge[float64]).DataPoints; len(got) != 1 || got[0].Value != budgetBurst {
			t.Errorf("budget left %v, want %d", got, budgetBurst)
		}
		if !strings.Contains(rec.Logs(), `"msg":"circuit breaker state changed"`) || !strings.Contains(rec.Logs(), `"state":"open","server":"a:1"`) {
			t.Errorf("logs:\n%s", rec.Logs())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

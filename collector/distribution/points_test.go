package main

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// good returns a request with one gauge, and where to add what Prometheus rejects.
func good(service string, now time.Time) (pmetric.Metrics, pmetric.MetricSlice) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", service)
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	gauge(metrics, "good", now)
	return md, metrics
}

func gauge(metrics pmetric.MetricSlice, name string, at time.Time) pmetric.NumberDataPoint {
	m := metrics.AppendEmpty()
	m.SetName(name)
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	if !at.IsZero() {
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
	}
	p.SetIntValue(1)
	return p
}

// What Prometheus rejects is not sent to it, but logged with the metric's name and the
// reason; the other points of the same request are sent.
func TestRejectedPoints(t *testing.T) {
	now := time.Now()
	b := newBackends(t)
	p := newProcess(t, b)
	kinds := []struct {
		name, reason string
		add          func(pmetric.MetricSlice, string)
	}{
		{"old", "more than 25 minutes old", func(ms pmetric.MetricSlice, name string) { gauge(ms, name, now.Add(-2*time.Hour)) }},
		{"early", "more than 9 minutes in the future", func(ms pmetric.MetricSlice, name string) { gauge(ms, name, now.Add(time.Hour)) }},
		{"timeless", "no time stamp", func(ms pmetric.MetricSlice, name string) { gauge(ms, name, time.Time{}) }},
		{"coarse", "exponential histogram with a scale below -4", func(ms pmetric.MetricSlice, name string) {
			m := ms.AppendEmpty()
			m.SetName(name)
			h := m.SetEmptyExponentialHistogram()
			h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			p := h.DataPoints().AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(now))
			p.SetScale(-5)
			p.SetCount(1)
			p.Positive().BucketCounts().Append(1)
		}},
		{"undecided", "neither delta nor cumulative", func(ms pmetric.MetricSlice, name string) {
			m := ms.AppendEmpty()
			m.SetName(name)
			p := m.SetEmptySum().DataPoints().AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(now))
		}},
		{"§", "no metric name", func(ms pmetric.MetricSlice, name string) { gauge(ms, name, now) }},
	}
	for i, tt := range kinds {
		t.Run(tt.name, func(t *testing.T) {
			md, metrics := good("foreign", now)
			tt.add(metrics, tt.name)
			p.sendMetrics(md)
			until(t, "the good point", func() error {
				names := b.names("foreign")
				if len(names) != 1 || names["good"] != i+1 {
					return fmt.Errorf("arrived: %v, want %d good ones", names, i+1)
				}
				return nil
			})
			until(t, "the log", func() error {
				if log := p.out.String(); !strings.Contains(log, tt.name+"{soundcheck.rejected="+tt.reason+"}") {
					return fmt.Errorf("does not name %s and %q", tt.name, tt.reason)
				}
				return nil
			})
		})
	}
	until(t, "the count of rejected points", func() error {
		if n := b.sum("otelcol_exporter_sent_metric_points", "debug/rejected"); n != int64(len(kinds)) {
			return fmt.Errorf("%d, want %d", n, len(kinds))
		}
		return nil
	})
}

// A point is rejected for what it is, not for what its sender calls its attributes.
func TestAttributeRejected(t *testing.T) {
	b := newBackends(t)
	p := newProcess(t, b)
	now := time.Now()
	md, metrics := good("foreign", now)
	gauge(metrics, "orders", now).Attributes().PutStr("rejected", "false")
	gauge(metrics, "marked", now).Attributes().PutStr("soundcheck.rejected", "by its sender")
	p.sendMetrics(md)
	want := map[string]map[string]any{"good": {}, "orders": {"rejected": "false"}, "marked": {}}
	until(t, "the points", func() error {
		got := map[string]map[string]any{}
		b.points("foreign", func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
			got[m.Name()] = m.Gauge().DataPoints().At(0).Attributes().AsRaw()
		})
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("%v, want %v", got, want)
		}
		return nil
	})
}

// names counts the points of each metric of the service.
func (b *backends) names(service string) map[string]int {
	names := map[string]int{}
	b.points(service, func(_ pmetric.ResourceMetrics, m pmetric.Metric) { names[m.Name()]++ })
	return names
}

// sum returns the last value of a counter of the Collector's own, of one exporter.
func (b *backends) sum(metric, exporter string) (n int64) {
	b.points("otel-collector", func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
		if m.Name() != metric || m.Type() != pmetric.MetricTypeSum {
			return
		}
		for _, p := range m.Sum().DataPoints().All() {
			if e, _ := p.Attributes().Get("exporter"); e.AsString() == exporter {
				n = p.IntValue()
			}
		}
	})
	return n
}

// What only Prometheus can know, a duplicate for example, costs the request in which it
// was, and no other sender's.
func TestRejectedRequest(t *testing.T) {
	b := newBackends(t)
	b.reject = func(md pmetric.Metrics) (int, string) {
		for _, rm := range md.ResourceMetrics().All() {
			if name, _ := rm.Resource().Attributes().Get("service.name"); name.AsString() == "foreign" {
				return http.StatusBadRequest, "duplicate sample for timestamp"
			}
		}
		return 0, ""
	}
	p := newProcess(t, b)
	const requests = 20
	for i := range requests {
		for _, service := range []string{"foreign", "ours"} {
			md, _ := good(service, time.Now().Add(time.Duration(i)*time.Millisecond))
			p.sendMetrics(md)
		}
	}
	until(t, "our points", func() error {
		if n := b.names("ours")["good"]; n != requests {
			return fmt.Errorf("%d of %d", n, requests)
		}
		return nil
	})
	until(t, "the count of failed points", func() error {
		if n := b.sum("otelcol_exporter_send_failed_metric_points", "otlp_http/prometheus"); n != requests {
			return fmt.Errorf("%d, want %d", n, requests)
		}
		return nil
	})
	if log := p.out.String(); !strings.Contains(log, "HTTP Status Code 400") {
		t.Error("the log does not have the response's status")
	}
}

// Prometheus stores cumulative sums: 20 increments by 1 become 1 to 20, since the first
// one's start.
func TestDelta(t *testing.T) {
	b := newBackends(t)
	p := newProcess(t, b)
	begun := time.Now().Add(-time.Minute)
	const increments = 20
	for i := range increments {
		md, metrics := good("foreign", time.Now())
		m := metrics.AppendEmpty()
		m.SetName("increments")
		s := m.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		dp := s.DataPoints().AppendEmpty()
		dp.SetStartTimestamp(pcommon.NewTimestampFromTime(begun.Add(time.Duration(i) * time.Second)))
		dp.SetTimestamp(pcommon.NewTimestampFromTime(begun.Add(time.Duration(i+1) * time.Second)))
		dp.SetIntValue(1)
		p.sendMetrics(md)
	}
	until(t, "the sums", func() error {
		var problems []string
		want := int64(0)
		b.points("foreign", func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
			if m.Name() != "increments" {
				return
			}
			want++
			dp := m.Sum().DataPoints().At(0)
			if m.Sum().AggregationTemporality() != pmetric.AggregationTemporalityCumulative || dp.IntValue() != want ||
				!dp.StartTimestamp().AsTime().Equal(begun) {
				problems = append(problems, fmt.Sprintf("%s %d since %s, want cumulative %d since %s", m.Sum().AggregationTemporality(), dp.IntValue(), dp.StartTimestamp(), want, begun))
			}
		})
		if want != increments || len(problems) > 0 {
			return fmt.Errorf("%d of %d; %v", want, increments, problems)
		}
		return nil
	})
}

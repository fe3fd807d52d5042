package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"soundcheck/lab/proc"
)

// TestLab runs the lab as the README says and asks the real backends what they
// saw of it.
func TestLab(t *testing.T) {
	const albums = 300
	l := newLab(t)
	l.up(t)
	var processes []proc.ID
	for _, p := range l.status(t).Components {
		processes = append(processes, p.Process)
	}

	l.mustRun(t, 5*time.Minute, "lab", "smoke", "-url", l.Proxy())
	begun := time.Now()
	t.Log("\n" + l.mustRun(t, 10*time.Minute, "datagen", "-n", fmt.Sprint(albums), "-concurrency", "1", "-url", l.Proxy()))
	// Half of the rate of one create after the other, so that no request is shed or sent
	// again: the counts would not be those below.
	rate := int(min(max(albums/time.Since(begun).Seconds()/2, 1), 100))
	seconds := min(1000/rate, 100)
	const count = `sum by (service_name) (histogram_count(http_server_request_duration_seconds))`
	settled := func(proxy, store int) {
		t.Helper()
		eventually(t, "the request count in Prometheus", func() error {
			got := l.query(t, count)
			if got["proxy-service"] != float64(proxy) || got["album-store"] != float64(store) {
				return fmt.Errorf("%s = %v, want %v for proxy-service, %v for album-store", count, got, proxy, store)
			}
			return nil
		})
	}
	// Of the ten, two are probes, which are not counted, and the proxy refuses four.
	const smoked, passed = 8, 4
	settled(smoked+albums, passed+albums)
	t.Log("\n" + l.attack(t, "-rate", fmt.Sprint(rate), "-duration", fmt.Sprintf("%ds", seconds)))
	settled(smoked+albums+rate*seconds, passed+albums+rate*seconds)

	t.Run("nothing is dropped", func(t *testing.T) {
		for sent, arrived := range map[string]string{
			`sum(otel_sdk_span_started_total)`: `sum(otelcol_exporter_sent_spans_total{exporter="otlp_http/jaeger"})`,
			`sum(otel_sdk_log_created_total)`:  `sum(otelcol_exporter_sent_log_records_total)`,
		} {
			eventually(t, arrived, func() error {
				s, a := l.query(t, sent)[""], l.query(t, arrived)[""]
				if s == 0 || s != a {
					return fmt.Errorf("%s = %v, %s = %v, want the same", sent, s, arrived, a)
				}
				return nil
			})
		}
		for _, metric := range []string{
			`sum(otelcol_exporter_send_failed_metric_points_total)`,
			`sum(otelcol_exporter_enqueue_failed_metric_points_total)`,
			`sum(otelcol_receiver_refused_metric_points_total)`,
			`sum(otel_sdk_processor_span_processed_total{error_type!=""})`,
			`sum(otel_sdk_exporter_span_exported_total{error_type!=""})`,
			`sum(otelcol_exporter_send_failed_spans_total)`,
			`sum(otelcol_exporter_enqueue_failed_spans_total)`,
			`sum(otelcol_receiver_refused_spans_total)`,
		} {
			if v := l.query(t, metric)[""]; v != 0 {
				t.Errorf("%s = %v, want 0", metric, v)
			}
		}
	})

	t.Run("console", func(t *testing.T) {
		var found struct {
			Data []struct{ TraceID string }
		}
		getJSON(t, l.Jaeger()+"/api/traces?service=loadgen&limit=1", &found)
		if len(found.Data) != 1 {
			t.Fatalf("%d traces of loadgen, want one", len(found.Data))
		}
		l.testConsole(t, found.Data[0].TraceID)
	})

	// What all signals tell, and that they agree.
	t.Run("verify", func(t *testing.T) { l.verify(t, "20s", "25") })

	t.Run("pages", l.look)
	t.Run("from a chart to the logs", l.followExemplar)
	t.Run("explore", l.explore)

	t.Run("contract", func(t *testing.T) {
		callAll(t, l.Proxy(), "1000001")
		callAll(t, l.Store(), "1000002")
	})

	t.Run("explain", func(t *testing.T) {
		l.explains(t, l.StoreAdmin(), "db-delay", "album-store")
		l.explains(t, l.ProxyAdmin(), "latency", "proxy-service")
	})

	t.Run("trace pages", l.tracePages)

	t.Run("down", func(t *testing.T) {
		l.mustRun(t, 5*time.Minute, "lab", "down", "-state", l.State)
		l.wantNothingLeft(t, processes)
		if out := l.mustRun(t, 5*time.Minute, "lab", "down", "-state", l.State); !strings.Contains(out, "not running") {
			t.Errorf("a second down says %q", out)
		}
	})
}

// verify has the lab proven by itself, with a load of its own.
func (l *lab) verify(t *testing.T, duration, rate string) {
	t.Helper()
	t.Log("\n" + l.mustRun(t, 10*time.Minute, "lab", "verify", "-state", l.State, "-duration", duration, "-rate", rate))
}

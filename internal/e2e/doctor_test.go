package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/doctor"
	"soundcheck/lab/doctor/metrics"
)

// doctor returns what lab doctor finds.
func (l *lab) doctor(t *testing.T) (r doctor.Result, code int) {
	t.Helper()
	stdout, stderr, code := l.run(t, 5*time.Minute, "lab", "doctor", "-state", l.State, "-format", "json")
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	return r, code
}

// finds waits until a check of the doctor has a finding whose text and next command have these parts; "": none.
func (l *lab) finds(t *testing.T, check, text, next string) {
	t.Helper()
	eventually(t, fmt.Sprintf("doctor: %s finds %q", check, text), func() error {
		r, code := l.doctor(t)
		if (code == 1) != (r.Problems > 0) {
			t.Fatalf("exit code %d with %d problems", code, r.Problems)
		}
		for _, c := range r.Checks {
			if c.Name != check {
				continue
			}
			if text == "" && len(c.Findings) == 0 {
				return nil
			}
			for _, f := range c.Findings {
				if text != "" && strings.Contains(f.Text, text) && strings.Contains(f.Next, next) {
					return nil
				}
			}
			return fmt.Errorf("%+v", c)
		}
		return fmt.Errorf("there is no check %s", check)
	})
}

// losesTelemetry is nil if the store's own metrics count lost telemetry.
func (l *lab) losesTelemetry(t *testing.T) error {
	t.Helper()
	resp, err := http.Get(l.Store() + "/metrics")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	page, err := metrics.Parse(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	lost := func(labels map[string]string) bool { return labels["error_type"] != "" }
	if page.Sum("otel_sdk_exporter_span_exported_total", lost)+page.Sum("otel_sdk_exporter_log_exported_total", lost) == 0 {
		return errors.New("no spans and no log records are lost")
	}
	return nil
}

// With the real Collector, Jaeger and Prometheus: nothing is found in a lab that works, then each hop that does not.
func TestDoctor(t *testing.T) {
	l := newLab(t)
	l.up(t)
	l.mustRun(t, 5*time.Minute, "lab", "smoke", "-url", l.Proxy())
	for _, check := range []string{"lab", "ports", "builds", "otlp", "telemetry", "faults", "limits", "clock"} {
		l.finds(t, check, "", "")
	}
	stopped := func(name string) (resume func()) {
		for _, p := range l.status(t).Components {
			if p.Name == name {
				if err := syscall.Kill(p.Process.PID, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				return func() { syscall.Kill(p.Process.PID, syscall.SIGCONT) }
			}
		}
		t.Fatalf("no component %s", name)
		return nil
	}
	for _, hop := range []struct{ name, text string }{
		{"jaeger", "the Collector cannot deliver traces to jaeger"},
		{"prometheus", "the Collector cannot deliver metrics to prometheus"},
		{"otel-collector", "the Collector is not ready"},
	} {
		t.Run(hop.name, func(t *testing.T) {
			resume := stopped(hop.name)
			defer resume()
			stop := make(chan struct{})
			wait := l.slowest(t, stop) // requests, whose spans are to be delivered
			l.finds(t, "telemetry", hop.text, "lab logs ")
			if hop.name == "otel-collector" {
				eventually(t, "the store has lost telemetry", func() error { return l.losesTelemetry(t) })
			}
			close(stop)
			wait()
			l.finds(t, "lab", hop.name+" is stopped", "kill -CONT ")
			resume()
			l.finds(t, "lab", "", "")
		})
	}
	// What was lost is still known afterwards, from Prometheus.
	l.finds(t, "telemetry", "lost in the last 5 minutes between ", "lab logs ")

	l.setFaults(t, l.StoreAdmin(), "db-delay=5ms")
	l.finds(t, "faults", "album-store injects faults: db-delay=5ms", "curl -X DELETE "+l.StoreAdmin())
	l.setFaults(t, l.StoreAdmin())
	l.finds(t, "faults", "", "")
}

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// explains injects a delay of known size into a fifth of the calls of one component. The
// load generator must name it as the cause, with its duration in this run's own spans: a
// busy machine delays more than it is told to. The rate is half of what the lab can do here
// with few requests in flight. Where the machine was too busy for the attack, or a trace
// came too late, the report says so, and the attack is repeated.
func (l *lab) explains(t *testing.T, admin, fault, service string) {
	t.Helper()
	const requests, attempts = 320, 5
	var r report.Report
	run := func(args ...string) {
		t.Helper()
		out := l.attack(t, append(args, "-mix", "get=1", "-format", "json")...)
		r = report.Report{}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	run("-rate", "0", "-workers", "4", "-n", "400", "-duration", "1m")
	rate := min(40, r.Goodput/2)
	if rate == 0 {
		t.Fatalf("nothing was served: %v", r.Classes)
	}
	l.setFaults(t, admin, fault+"=200ms@20%")
	defer l.setFaults(t, admin)
	for attempt := 1; ; attempt++ {
		begun := time.Now()
		run("-rate", fmt.Sprintf("%.2f", rate), "-duration", fmt.Sprintf("%.0fs", max(requests/rate, 1)))
		if r.Classes[measure.Failed] != 0 {
			t.Errorf("%v", r.Classes)
		}
		err := l.explained(t, r, "fault "+fault, service, begun)
		if err == nil {
			return
		}
		if busy := len(r.Invalid) > 0 || r.Classes[measure.Shed] > 0 || errors.Is(err, errNoTrace); !busy || attempt == attempts {
			t.Fatalf("attempt %d at %.1f/s: %v; invalid: %v", attempt, rate, err, r.Invalid)
		}
	}
}

var errNoTrace = errors.New("traces are missing")

// explained compares the first cause of the report with the fault's spans in Jaeger.
func (l *lab) explained(t *testing.T, r report.Report, fault, service string, begun time.Time) error {
	t.Helper()
	if len(r.TailAttribution) != 1 || r.TailAttribution[0].Scenario != "get" {
		return fmt.Errorf("not explained: %+v", r.TailAttribution)
	}
	a := r.TailAttribution[0]
	if a.SlowFound < a.Slow-1 || a.Found < a.Typical-1 {
		return fmt.Errorf("%w: %d of %d and %d of %d were found: %s", errNoTrace, a.SlowFound, a.Slow, a.Found, a.Typical, a.Missing)
	}
	if len(a.Causes) == 0 {
		return fmt.Errorf("no cause: %+v", a)
	}
	shortest, longest, n := l.spans(t, service, fault, begun)
	c := a.Causes[0]
	if c.Service != service || c.Name != fault || c.Difference < 0.9*shortest.Seconds() || c.Difference > 1.1*longest.Seconds() {
		return fmt.Errorf("the first cause is %+v, want %s of %s, %s to %s, ± 10%% (%d spans)", c, fault, service, shortest, longest, n)
	}
	return nil
}

// spans returns the shortest and longest duration of the spans with this name since begun.
func (l *lab) spans(t *testing.T, service, name string, begun time.Time) (shortest, longest time.Duration, n int) {
	t.Helper()
	var found struct {
		Data []struct {
			Spans []struct {
				OperationName string
				Duration      int64 // µs
			}
		}
	}
	getJSON(t, l.Jaeger()+"/api/traces?"+url.Values{"service": {service}, "operation": {name}, "limit": {"1000"},
		"start": {fmt.Sprint(begun.UnixMicro())}, "end": {fmt.Sprint(time.Now().UnixMicro())}}.Encode(), &found)
	for _, trace := range found.Data {
		for _, s := range trace.Spans {
			if !strings.EqualFold(s.OperationName, name) {
				continue
			}
			d := time.Duration(s.Duration) * time.Microsecond
			if n++; n == 1 || d < shortest {
				shortest = d
			}
			longest = max(longest, d)
		}
	}
	if n == 0 {
		t.Fatalf("no span %q of %s in Jaeger", name, service)
	}
	return shortest, longest, n
}

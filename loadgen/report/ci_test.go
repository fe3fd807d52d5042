package report

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/slo"
)

// The checks of a report: what is invalid, violated or not served fails, and nothing else does.
func TestCI(t *testing.T) {
	t.Parallel()
	classes := func(good, failed int) map[measure.Class]int {
		return map[measure.Class]int{measure.Good: good, measure.Failed: failed}
	}
	slow := []Slow{{Response: 0.25, Scenario: "get", Status: 200, TraceID: "ab"}}
	for _, tt := range []struct {
		name             string
		r                Report
		failures, errors int
		github           string
	}{
		{"served", Report{Target: "http://a:1", Sent: 10, Classes: classes(10, 0), Model: "open", RateTarget: 5, RateActual: 5, Goodput: 5, Response: measure.Summary{Count: 10, P50: 0.001, P99: 0.25}, Slowest: slow}, 0, 0,
			"::notice title=Load test of http%3A//a%3A1::5/s target, 5.0/s actual, 5.0/s goodput; p50 1.00 ms, p99 250.00 ms; 10 of 10 served\n::notice title=Slowest request::get, 250.00 ms, 200, trace ab\n"},
		{"failed", Report{Sent: 10, Classes: classes(9, 1)}, 1, 0, "::error title=Load test%3A requests served::1 of 10 requests failed or shed\n"},
		{"nothing", Report{Classes: classes(0, 0)}, 1, 0, "::error title=Load test%3A requests served::0 of 0 requests failed or shed\n"},
		{"violated", Report{Sent: 10, Classes: classes(9, 1), SLOs: []slo.Verdict{{SLO: "p99<1s", Met: true}, {SLO: "p50<1ms,x", Text: "50%\n"}}}, 1, 0,
			"::error title=Load test%3A p50<1ms%2Cx::SLO violated: 50%25%0A\n"},
		{"invalid", Report{Sent: 10, Classes: classes(10, 0), Invalid: []string{"a", "b"}}, 0, 1, "::error title=Load test%3A valid report::a; b\n"},
	} {
		var b, text bytes.Buffer
		if err := tt.r.WriteJUnit(&b); err != nil {
			t.Fatal(err)
		}
		var s junitSuite
		if err := xml.Unmarshal(b.Bytes(), &s); err != nil {
			t.Fatalf("%s: %v in\n%s", tt.name, err, b.Bytes())
		}
		failures, errors := 0, 0
		for _, c := range s.Cases {
			if c.Failure != nil {
				failures++
			}
			if c.Error != nil {
				errors++
			}
		}
		if failures != tt.failures || errors != tt.errors || s.Failures != failures || s.Errors != errors || s.Tests != len(s.Cases) || s.Tests != 2+max(len(tt.r.SLOs)-1, 0) {
			t.Errorf("%s: %+v, want %d failures, %d errors", tt.name, s, tt.failures, tt.errors)
		}
		if err := tt.r.Write(&text); err != nil || s.Out != text.String() {
			t.Errorf("%s: output %q, want %q", tt.name, s.Out, text.String())
		}
		b.Reset()
		if err := tt.r.WriteGitHub(&b); err != nil || !strings.HasPrefix(b.String(), tt.github) || strings.Count(b.String(), "::error") != failures+errors {
			t.Errorf("%s: annotations\n%s, want\n%s", tt.name, b.String(), tt.github)
		}
	}
}

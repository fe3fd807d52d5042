package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
)

// failedChecks returns a report with requests that failed checks, by text.
func failedChecks(id string, checks ...string) *Report {
	plan := schedule.Plan{Stages: []schedule.Stage{{Duration: time.Second, From: 1, To: 1}}, Arrivals: schedule.Constant}
	b := NewBuilder(Setup{RunID: id, Target: "http://h", Plan: plan, Workers: 1, Scenarios: []string{"s"}})
	for i, check := range checks {
		b.Add(Outcome{Request: measure.Request{Scenario: "s", Status: 200, Response: time.Millisecond, TraceID: strings.Repeat("0", i%2) + id}, Check: check, Detail: fmt.Sprint(check, " ", i)})
	}
	return b.Finish(time.Now(), time.Second, time.Second, 1, false)
}

func TestFailedChecks(t *testing.T) {
	t.Parallel()
	a, b := failedChecks("a", "rare", "often", "often"), failedChecks("b", "often", "new")
	if got, want := fmt.Sprint(a.FailedChecks), "[{s often 2 often 1 0a} {s rare 1 rare 0 a}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, r := range []*Report{a, b} {
		if err := r.encodeHistograms(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Merge([]*Report{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r.FailedChecks), "[{s often 3 often 1 0a} {s new 1 new 1 0b} {s rare 1 rare 0 a}]"; got != want {
		t.Errorf("merged: %s, want %s", got, want)
	}
	if r.Errors[checkFailed] != 5 || r.Classes[measure.Failed] != 5 {
		t.Errorf("%v, %v, want 5 failed checks and requests", r.Errors, r.Classes)
	}
	for format, write := range map[string]func(*Report, *strings.Builder) error{
		"text":     func(r *Report, b *strings.Builder) error { return r.Write(b) },
		"markdown": func(r *Report, b *strings.Builder) error { return r.WriteMarkdown(b) },
		"html":     func(r *Report, b *strings.Builder) error { return r.WriteHTML(b) },
		"github":   func(r *Report, b *strings.Builder) error { return r.WriteGitHub(b) },
	} {
		var b strings.Builder
		if err := write(r, &b); err != nil {
			t.Fatal(err)
		}
		if text := b.String(); !strings.Contains(text, "often 1") || !strings.Contains(text, "0a") {
			t.Errorf("%s without the first failed check and its trace:\n%s", format, text)
		}
	}
}

// A contract can be violated in as many ways as there are responses.
func TestManyFailedChecks(t *testing.T) {
	t.Parallel()
	var checks []string
	for i := range 3 * maxChecks {
		checks = append(checks, fmt.Sprint("check ", i))
	}
	r := failedChecks("a", checks...)
	if n := len(r.FailedChecks); n != maxChecks {
		t.Fatalf("%d checks, want %d", n, maxChecks)
	}
	if c := r.FailedChecks[0]; c.Check != otherChecks || c.Requests != 2*maxChecks+1 || c.Scenario != "" {
		t.Errorf("%+v, want %d requests of %s", c, 2*maxChecks+1, otherChecks)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), fmt.Sprintf("and %d more checks, in report.json", maxChecks-shownFailures)) {
		t.Error(b.String())
	}
}

// A number of Poisson arrivals is expected.
func TestExpected(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		arrivals schedule.Arrivals
		want     string
	}{
		{schedule.Constant, "\nrequests      0 of 10 planned, in 5.0 s\n"},
		{schedule.Poisson, "\nrequests      0 of 10 expected, in 5.0 s\n"},
	} {
		plan := schedule.Plan{Stages: []schedule.Stage{{Duration: 5 * time.Second, From: 2, To: 2}}, Arrivals: tt.arrivals}
		var text strings.Builder
		r := NewBuilder(Setup{RunID: "r", Plan: plan, Scenarios: []string{"s"}}).Finish(time.Now(), 5*time.Second, 5*time.Second, 1, false)
		if err := r.Write(&text); err != nil || !strings.Contains(text.String(), tt.want) {
			t.Errorf("%+v: %v, no %q in\n%s", tt, err, tt.want, text.String())
		}
	}
}

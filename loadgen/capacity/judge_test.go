package capacity

import (
	"testing"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/slo"
)

// The verdict on a step.
func TestJudge(t *testing.T) {
	t.Parallel()
	latency, err := slo.Parse("p99<100ms")
	if err != nil {
		t.Fatal(err)
	}
	share, err := slo.Parse("good>50%")
	if err != nil {
		t.Fatal(err)
	}
	met := slo.Verdict{SLO: "p99<100ms", Met: true, Steady: true}
	missed := slo.Verdict{SLO: "p99<100ms", Text: "120.00 ms"}
	late := missed
	late.Generator = true
	fading := met
	fading.Steady = false
	for _, tt := range []struct {
		name      string
		r         report.Report
		slos      []slo.Objective
		reason    string
		generator bool
	}{
		{"all is well", report.Report{Sent: 100, Planned: 100, Classes: map[measure.Class]int{measure.Good: 100}, SLOs: []slo.Verdict{met}}, []slo.Objective{latency}, "", false},
		{"late ones are served", report.Report{Sent: 100, Planned: 100, Classes: map[measure.Class]int{measure.Good: 90, measure.Late: 10}, SLOs: []slo.Verdict{met}}, []slo.Objective{latency}, "", false},
		{"most are shed, and fast", report.Report{Sent: 100, Planned: 100, Classes: map[measure.Class]int{measure.Good: 12, measure.Shed: 88}, SLOs: []slo.Verdict{met}}, []slo.Objective{latency}, "12.0% of requests served", false},
		{"as many as the SLO needs", report.Report{Sent: 100, Planned: 100, Classes: map[measure.Class]int{measure.Good: 60, measure.Shed: 40}, SLOs: []slo.Verdict{met, met}}, []slo.Objective{latency, share}, "", false},
		{"slow", report.Report{Sent: 100, Planned: 100, Classes: map[measure.Class]int{measure.Good: 100}, SLOs: []slo.Verdict{missed}}, []slo.Objective{latency}, "p99<100ms: 120.00 ms", false},
		{"slower and slower", report.Report{Sent: 100, Planned: 100, Classes: map[measure.Class]int{measure.Good: 100}, SLOs: []slo.Verdict{fading}}, []slo.Objective{latency}, "p99<100ms violated in the last third", false},
		{"send delay", report.Report{Sent: 100, Planned: 100, Classes: map[measure.Class]int{measure.Good: 100}, SLOs: []slo.Verdict{late}, Invalid: []string{"all 4 workers were busy"}}, []slo.Objective{latency}, "p99<100ms: 120.00 ms (all 4 workers were busy)", true},
		{"one by the generator, one by the target", report.Report{Sent: 100, Planned: 100, Classes: map[measure.Class]int{measure.Good: 100}, SLOs: []slo.Verdict{late, missed}}, []slo.Objective{latency, latency}, "p99<100ms: 120.00 ms", false},
		{"not sent", report.Report{Sent: 80, WarmUp: 10, Planned: 100, Classes: map[measure.Class]int{measure.Good: 80}, SLOs: []slo.Verdict{met}}, []slo.Objective{latency}, "sent 90 of 100 planned requests", true},
		{"not sent, as the verdict was clear", report.Report{Sent: 80, WarmUp: 10, Planned: 100, Ended: "clear", Classes: map[measure.Class]int{measure.Good: 80}, SLOs: []slo.Verdict{met}}, []slo.Objective{latency}, "", false},
	} {
		st := Judge(&tt.r, 50, tt.slos)
		if want := (Step{Rate: 50, Requests: tt.r.Sent, Passed: tt.reason == "", Reason: tt.reason, Generator: tt.generator, Early: tt.r.Ended != ""}); st != want {
			t.Errorf("%s: %+v, want %+v", tt.name, st, want)
		}
	}
}

package main

import (
	"testing"

	"soundcheck/loadgen/attack"
	"soundcheck/loadgen/capacity"
)

// What a step is judged by.
func TestJudge(t *testing.T) {
	t.Parallel()
	latency, err := attack.ParseSLO("p99<100ms")
	if err != nil {
		t.Fatal(err)
	}
	share, err := attack.ParseSLO("good>50%")
	if err != nil {
		t.Fatal(err)
	}
	met := attack.Verdict{SLO: "p99<100ms", Met: true, Steady: true}
	missed := attack.Verdict{SLO: "p99<100ms", Text: "120.00 ms"}
	late := missed
	late.Generator = true
	fading := met
	fading.Steady = false
	for _, tt := range []struct {
		name      string
		r         attack.Report
		slos      []attack.SLO
		why       string
		generator bool
	}{
		{"all is well", attack.Report{Sent: 100, Planned: 100, Classes: map[attack.Class]int{attack.Good: 100}, SLOs: []attack.Verdict{met}}, []attack.SLO{latency}, "", false},
		{"late ones are served", attack.Report{Sent: 100, Planned: 100, Classes: map[attack.Class]int{attack.Good: 90, attack.Late: 10}, SLOs: []attack.Verdict{met}}, []attack.SLO{latency}, "", false},
		{"most are refused, and fast", attack.Report{Sent: 100, Planned: 100, Classes: map[attack.Class]int{attack.Good: 12, attack.Shed: 88}, SLOs: []attack.Verdict{met}}, []attack.SLO{latency}, "12.0% of the requests were served", false},
		{"as many as an objective wants", attack.Report{Sent: 100, Planned: 100, Classes: map[attack.Class]int{attack.Good: 60, attack.Shed: 40}, SLOs: []attack.Verdict{met, met}}, []attack.SLO{latency, share}, "", false},
		{"slow", attack.Report{Sent: 100, Planned: 100, Classes: map[attack.Class]int{attack.Good: 100}, SLOs: []attack.Verdict{missed}}, []attack.SLO{latency}, "p99<100ms: 120.00 ms", false},
		{"slower and slower", attack.Report{Sent: 100, Planned: 100, Classes: map[attack.Class]int{attack.Good: 100}, SLOs: []attack.Verdict{fading}}, []attack.SLO{latency}, "p99<100ms at first, and not any more in the last third", false},
		{"sent late", attack.Report{Sent: 100, Planned: 100, Classes: map[attack.Class]int{attack.Good: 100}, SLOs: []attack.Verdict{late}, Invalid: []string{"all 4 workers were busy"}}, []attack.SLO{latency}, "p99<100ms: 120.00 ms because all 4 workers were busy", true},
		{"one by the generator, one by the target", attack.Report{Sent: 100, Planned: 100, Classes: map[attack.Class]int{attack.Good: 100}, SLOs: []attack.Verdict{late, missed}}, []attack.SLO{latency, latency}, "p99<100ms: 120.00 ms", false},
		{"not sent", attack.Report{Sent: 80, WarmUp: 10, Planned: 100, Classes: map[attack.Class]int{attack.Good: 80}, SLOs: []attack.Verdict{met}}, []attack.SLO{latency}, "90 of 100 planned requests were sent", true},
		{"not sent, as the verdict was clear", attack.Report{Sent: 80, WarmUp: 10, Planned: 100, Ended: "clear", Classes: map[attack.Class]int{attack.Good: 80}, SLOs: []attack.Verdict{met}}, []attack.SLO{latency}, "", false},
	} {
		st := judge(&tt.r, 50, tt.slos)
		if want := (capacity.Step{Rate: 50, Requests: tt.r.Sent, Passed: tt.why == "", Why: tt.why, Generator: tt.generator, Early: tt.r.Ended != ""}); st != want {
			t.Errorf("%s: %+v, want %+v", tt.name, st, want)
		}
	}
}

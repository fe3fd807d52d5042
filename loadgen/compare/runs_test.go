package compare

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/slo"
)

// written returns intervals as in a report.
func written(s *measure.Intervals) (list []report.Interval) {
	for n, i := range s.List {
		at := time.Duration(n) * s.Width
		b, err := i.Served.Encode()
		if err != nil {
			panic(err)
		}
		v := report.Interval{At: at.Seconds(), Seconds: s.Width.Seconds(), Classes: map[measure.Class]int{}, HDR: string(b)}
		for k, class := range measure.Classes {
			v.Classes[class] = i.Classes[k]
		}
		list = append(list, v)
	}
	return list
}

// A block's duration is that of the plan within it. Intervals without requests count.
func TestBlocks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		r         report.Report
		scheduled []time.Duration
		want      string // seconds
	}{
		{"whole", report.Report{Stages: "3s@1", Planned: 3, Elapsed: 2.9}, []time.Duration{0, 1, 2}, "[1 1 1]"},
		{"half of the last", report.Report{Stages: "2.5s@2", Planned: 5, Elapsed: 12}, []time.Duration{0, 1, 2}, "[1 1 0.5]"},
		{"nothing at the end", report.Report{Stages: "1s@1,2s@0", Planned: 1, Elapsed: 3}, []time.Duration{0}, "[1 1 1]"},
		{"interrupted", report.Report{Stages: "1h@1", Planned: 3600, Elapsed: 1.5}, []time.Duration{0, 1}, "[1 0.5]"},
		{"after a warm-up", report.Report{Stages: "3.5s@2", Planned: 7, Elapsed: 9, WarmUp: 1, WarmUpTime: 1}, []time.Duration{0, 1, 2}, "[1 1 0.5]"},
		{"the closed model", report.Report{Elapsed: 1.25}, []time.Duration{0, 1}, "[1 0.25]"},
	} {
		s := &measure.Intervals{Width: time.Second}
		for _, scheduled := range tt.scheduled {
			s.Add(scheduled*time.Second, measure.Good, time.Millisecond)
		}
		tt.r.Sent, tt.r.Intervals = len(tt.scheduled), written(s)
		counted := tt.r.Elapsed
		if tt.name == "whole" {
			counted = 3
		}
		if tt.r.WarmUp > 0 {
			counted -= 1
		}
		tt.r.RateActual = float64(tt.r.Sent) / counted
		list, err := blocks(&tt.r)
		var got []float64
		for _, b := range list {
			got = append(got, b.Seconds)
		}
		if err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("%s: %v, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestBlocksErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r    report.Report
		want string
	}{
		{report.Report{Sent: 1}, "has no intervals"},
		{report.Report{Intervals: []report.Interval{{}}}, "lasts 0 s"},
		{report.Report{Intervals: []report.Interval{{Seconds: 1, HDR: "x"}}}, "interval 1 of run r: "},
		{report.Report{Intervals: []report.Interval{{Seconds: 1, Classes: map[measure.Class]int{measure.Good: 1}}}}, "has no histogram"},
		{report.Report{Intervals: make([]report.Interval, 601)}, "more than 600"},
	} {
		tt.r.RunID = "r"
		if _, err := Reports(&report.Report{}, &tt.r, 0.05); err == nil || !strings.HasPrefix(err.Error(), "B: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Reports = %v, want one about %q", err, tt.want)
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	a := report.Report{RunID: "a", Model: "open", Stages: "30s@100", Scenarios: []report.Row{{Name: "get", Requests: 2100}, {Name: "list", Requests: 900}}}
	same := a
	same.RunID, same.Scenarios = "b", []report.Row{{Name: "get", Requests: 2085}, {Name: "list", Requests: 915}}
	if got := differences(&a, &same); len(got) != 0 {
		t.Errorf("differences = %q, want none", got)
	}
	b := report.Report{RunID: "a", Model: "closed", Workers: 2, SLOs: []slo.Verdict{{SLO: "p99<1s"}, {SLO: "good>99%"}}, Retries: report.Retries{Policy: "naive"}, Flow: &report.Flow{Name: "buy", Users: "9s@1"}, Scenarios: []report.Row{{Name: "get", Requests: 2000}, {Name: "list", Requests: 1000}}}
	got := strings.Join(differences(&a, &b), "\n")
	const want = `different model: A open, B closed
different stages: A 30s@100, B none
different workers: A 0, B 2
different retries: A none, B naive
different SLOs: A none, B p99<1s,good>99%
different flow: A none, B buy
different users: A none, B 9s@1
different mix: A get=70.0%,list=30.0%, B get=66.7%,list=33.3%
A and B are the same run`
	if got != want {
		t.Errorf("differences =\n%s, want\n%s", got, want)
	}
}

func TestFailuresText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r    report.Report
		want string
	}{
		{report.Report{Sent: 9}, ""},
		{report.Report{Sent: 9, Cancelled: 1, Classes: map[measure.Class]int{measure.Failed: 3, measure.Shed: 1}, Errors: map[string]int{"timeout": 1, "status 500 for get": 2, "status 503 for get": 1}},
			"4 of 8 requests failed or shed, 2 by status 500 for get"},
		{report.Report{Sent: 9, Classes: map[measure.Class]int{measure.Failed: 3}}, "3 of 9 requests failed or shed"},
	} {
		if got := failures(&tt.r); got != tt.want {
			t.Errorf("failures = %q, want %q", got, tt.want)
		}
	}
}

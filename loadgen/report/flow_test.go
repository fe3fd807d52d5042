package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
)

// flowReport returns the report of a shard with users: two completed, one failed, one unfinished, one of the warm-up.
func flowReport(t *testing.T, shard uint64) *Report {
	t.Helper()
	objectives, err := slo.ParseList("max(buy)<3s,failed(buy)<50%,p99(pay)<1s,late(buy)<30%")
	if err != nil {
		t.Fatal(err)
	}
	plan := schedule.Plan{Stages: []schedule.Stage{{Duration: 5 * time.Second, From: 2, To: 2}}, Arrivals: schedule.Constant, Shard: shard, Shards: 2}
	b := NewBuilder(Setup{RunID: "r", Target: "http://h", Plan: plan, WarmUp: time.Second, Objectives: objectives, Scenarios: []string{"pay", "look"},
		Flow: &Flow{Name: "buy", Planned: 5, RateTarget: 1}})
	for i, u := range []User{{-time.Millisecond, time.Second, false, false, ""}, {0, time.Second, false, false, fmt.Sprint("t", shard)}, {time.Second, 3 * time.Second, false, false, "late"},
		{2 * time.Second, time.Second, true, false, ""}, {3 * time.Second, 7 * time.Second, false, true, ""}} {
		b.AddUser(u)
		if i == 0 {
			b.AddWarmUp()
			continue
		}
		b.Add(Outcome{Expected: i != 3, Request: measure.Request{Scenario: []string{"pay", "look"}[i%2], Status: 200, Response: time.Millisecond, Scheduled: u.Scheduled}})
	}
	b.Report.Flow.Peak = 3
	return b.Finish(time.Unix(1e9, 0), 5*time.Second, 6*time.Second, 1, false)
}

func TestFlowReport(t *testing.T) {
	t.Parallel()
	r := flowReport(t, 0)
	f := r.Flow
	if f.Begun != 4 || f.WarmUp != 1 || f.Completed != 2 || f.Failed != 1 || f.Unfinished != 1 || f.Longest != 7 || f.RateActual != 1 || f.Duration.Count != 2 || f.Duration.Max < 2.9 || len(r.Invalid) != 0 {
		t.Errorf("%+v, invalid %v", f, r.Invalid)
	}
	if s := f.Slowest; len(s) != 2 || s[0].TraceID != "late" || s[0].Class != measure.Late {
		t.Errorf("slowest %+v", s)
	}
	if r.SLOs[0].Met || !r.SLOs[1].Met || !r.SLOs[2].Met || r.SLOs[3].Met || r.SLOs[3].Value != 1./3 {
		t.Errorf("%+v", r.SLOs)
	}
	if r.SLOs[0].Text != "3000.00 ms, without 1 unfinished user" || r.SLOs[1].Text != "33.333%, without 1 unfinished user" || strings.Contains(r.SLOs[2].Text, "unfinished") {
		t.Errorf("%+v", r.SLOs)
	}
	var text, mark, page strings.Builder
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"plan          flow buy: new users/s 5s@2, constant arrivals\n",
		"users         4 of 5 planned: 2 completed (50.00%), 1 of them late, 1 failed, 1 unfinished; 1/s of 1/s target; peak 3 at once\n",
		"requests      4 in 6.0 s\n", "flow buy         2  ",
		"\n  Row flow buy has completed users only. 1 user had not finished when the run ended: the time so far was 7000.00 ms.\n",
		"\nslowest users\n   3000.00 ms  trace late\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if strings.Index(text.String(), "\n  pay ") > strings.Index(text.String(), "\n  look") {
		t.Error("the steps are not in their order")
	}
	if err := r.WriteMarkdown(&mark); err != nil || !strings.Contains(mark.String(), "### Slowest users") || !strings.Contains(mark.String(), "\nRow flow buy has completed users only. 1 user had") {
		t.Errorf("%v: %s", err, mark.String())
	}
	if err := r.WriteHTML(&page); err != nil || !strings.Contains(page.String(), "<h2>Slowest users</h2>") || !strings.Contains(page.String(), "<p class=\"below\">Row flow buy has completed users only. 1 user had") {
		t.Error(err)
	}
}

// Shards of a flow are merged exactly; a run with another flow is refused.
func TestMergeFlows(t *testing.T) {
	t.Parallel()
	a, b := flowReport(t, 0), flowReport(t, 1)
	b.Flow.Longest = 9
	b.Flow.RateActual = 0.5 // it took twice as long
	for _, r := range []*Report{a, b} {
		if err := r.encodeHistograms(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Merge([]*Report{a, b})
	if err != nil {
		t.Fatal(err)
	}
	f := r.Flow
	if f.Begun != 8 || f.Planned != 10 || f.WarmUp != 2 || f.Completed != 4 || f.Failed != 2 || f.Unfinished != 2 || f.Longest != 9 || !strings.HasSuffix(f.Note(), "2 users had not finished when the run ended: the longest time so far was 9000.00 ms.") || f.Peak != 6 || f.RateTarget != 2 || f.RateActual != 1 || f.Duration.Count != 4 || len(f.Slowest) != 4 {
		t.Errorf("%+v", f)
	}
	if r.SLOs[0].Met || r.SLOs[0].Text != "3000.00 ms, without 2 unfinished users" || !r.SLOs[1].Met || r.SLOs[3].Value != 1./3 || r.Scenarios[0].Name != "pay" {
		t.Errorf("%+v, %s", r.SLOs, r.Scenarios[0].Name)
	}
	for _, tt := range []struct {
		model, users string
		max          uint64
		want         string
	}{{"open", "", 0, "; 1/s of 2/s target; peak at most 6 at once"}, {"closed", "", 9, "; peak 6 at once"}, {"closed", "9s@0..6", 0, "; peak 6 at once"}, {"closed", "9s@0..6", 9, "; peak at most 6 at once"}} {
		if r.Model, f.Users, r.Max = tt.model, tt.users, tt.max; !strings.HasSuffix(f.result(r), tt.want) {
			t.Errorf("%+v: %s", tt, f.result(r))
		}
	}
	f.Longest = 0 // of files of an older loadgen
	if note := f.Note(); note != "Row flow buy has completed users only. 2 users had not finished when the run ended." {
		t.Error(note)
	}
	for want, change := range map[string]func(*Flow){
		`"buy" and "sell"`:           func(f *Flow) { f.Name = "sell" },
		`"buy" and "buy 2s"`:         func(f *Flow) { f.Think = "2s" },
		`"buy" and "buy 30s@0..200"`: func(f *Flow) { f.Users = "30s@0..200" },
	} {
		b = flowReport(t, 1)
		change(b.Flow)
		if _, err := Merge([]*Report{a, b}); err == nil || !strings.HasSuffix(err.Error(), "different flows: "+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A generator that begins too few users makes the report invalid.
func TestTooFewUsers(t *testing.T) {
	t.Parallel()
	plan := schedule.Plan{Stages: []schedule.Stage{{Duration: 5 * time.Second, From: 2, To: 2}}, Arrivals: schedule.Constant}
	b := NewBuilder(Setup{RunID: "r", Plan: plan, Scenarios: []string{"pay"}, Flow: &Flow{Name: "buy", Planned: 10, RateTarget: 2}})
	b.AddUser(User{})
	if r := b.Finish(time.Now(), 5*time.Second, 5*time.Second, 1, false); len(r.Invalid) != 1 || r.Invalid[0] != "1 of 10 planned users began" {
		t.Errorf("%v", r.Invalid)
	}
}

// The rate of users is that of the plan if all of them began: the last one begins before its end.
func TestRateOfUsers(t *testing.T) {
	t.Parallel()
	plan := schedule.Plan{Stages: []schedule.Stage{{Duration: 3 * time.Second, From: 5, To: 5}}, Arrivals: schedule.Constant}
	b := NewBuilder(Setup{RunID: "r", Plan: plan, WarmUp: time.Second, Scenarios: []string{"pay"}, Flow: &Flow{Name: "buy", Planned: plan.Planned(), RateTarget: plan.Average(time.Second)}})
	for i := range 15 {
		b.AddUser(User{Scheduled: time.Duration(i)*200*time.Millisecond - time.Second})
	}
	if f := b.Finish(time.Now(), 2800*time.Millisecond, 6*time.Second, 1, false).Flow; f.Begun != 10 || f.RateActual != 5 || f.RateTarget != 5 {
		t.Errorf("%+v", f)
	}
}

// The text names the think time that replaces those of the flow.
func TestThink(t *testing.T) {
	t.Parallel()
	f := Flow{Name: "buy", Think: "1s..3s"}
	for want, r := range map[string]Report{
		"flow buy: new users/s 5s@2, constant arrivals, think time 1s..3s": {Model: "open", Stages: "5s@2", Arrivals: "constant"},
		"flow buy: 4 users (closed model), think time 1s..3s":              {Workers: 4},
	} {
		if got := f.plan(&r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Each step has its own number of requests that could not be sent.
func TestUnsentSteps(t *testing.T) {
	t.Parallel()
	objectives, err := slo.ParseList("p99(buy)<1s")
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilder(Setup{RunID: "r", Workers: 1, Scenarios: []string{"look", "pay"}, Flow: &Flow{Name: "buy"}, Objectives: objectives})
	b.AddUser(User{Failed: true})
	for _, step := range []string{"pay", "look", "pay"} {
		b.AddUnsent(0, step, "step "+step+": variable next has no value")
	}
	var text strings.Builder
	r := b.Finish(time.Now(), time.Second, time.Second, 1, false)
	if err := r.Write(&text); err != nil || !strings.Contains(text.String(), "\nerrors\n  not sent for pay             2\n  not sent for look            1\n  details: step pay: ") || r.SLOs[0].Text != "no completed users" {
		t.Errorf("%v\n%s", err, text.String())
	}
}

package report

import (
	"fmt"
	"strings"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
)

// Flow are the users of a run with a flow. Each goes through its steps once; the scenarios of the report are the steps,
// in their order. Users of the warm-up are not in it. Begun = Completed + Failed + Unfinished.
type Flow struct {
	Name       string          `json:"name"`
	Users      string          `json:"users,omitempty"` // of the closed model by time, if their number changes, as in 30s@0..200
	Think      string          `json:"think,omitempty"` // time after each step, as in 1s..3s; empty: those of the flow
	Planned    uint64          `json:"planned"`         // users; 0: the closed model
	RateTarget float64         `json:"rate_target"`     // users/s that begin; 0: the closed model
	RateActual float64         `json:"rate_actual"`     // users/s that begin
	Begun      int             `json:"begun"`
	WarmUp     int             `json:"warm_up,omitempty"`
	Completed  int             `json:"completed"`
	Late       int             `json:"late,omitempty"` // of Completed: slower than the SLO allows
	Failed     int             `json:"failed"`         // a step failed
	Unfinished int             `json:"unfinished"`     // at the end of the run
	Longest    float64         `json:"unfinished_max"` // seconds: of Unfinished, the longest time from first step scheduled → end of the run
	Peak       int             `json:"users_peak"`     // at once; merged, the sum of the processes' peaks: see result
	Duration   measure.Summary `json:"duration"`       // of completed users: first step scheduled → end of the last response, with think times
	Slowest    []Slow          `json:"slowest"`        // slowest first

	steps []string
	span  float64 // of merged reports the longest time in which users began, in seconds
}

// User is a user who is no longer on their way through a flow.
type User struct {
	Scheduled  time.Duration // since the end of the warm-up
	Duration   time.Duration // to the end of the last response; of Unfinished to the end of the run
	Failed     bool
	Unfinished bool
	TraceID    string // "": not sampled
}

// AddUser counts a user of a flow.
func (b *Builder) AddUser(u User) {
	f, class := b.Report.Flow, measure.Good
	switch late := b.late[f.Name]; {
	case u.Scheduled < 0:
		f.WarmUp++
		return
	case u.Unfinished:
		f.Begun++
		f.Unfinished++
		f.Longest = max(f.Longest, u.Duration.Seconds())
		return
	case u.Failed:
		f.Failed++
		class = measure.Failed
	default:
		f.Completed++
		if late > 0 && u.Duration >= late {
			class = measure.Late
			f.Late++
		}
		f.Slowest = slowest(f.Slowest, Slow{Response: u.Duration.Seconds(), Scenario: f.Name, Class: class, TraceID: u.TraceID, scheduled: u.Scheduled})
	}
	f.Begun++
	b.Flow.Add(class, 0, u.Duration)
	b.users.Add(u.Scheduled, class, u.Duration)
	b.AddPart(f.Name, u.Scheduled, class, u.Duration)
}

// of returns the requests of a scenario ("": all), or the users of the flow.
func (b *Builder) of(scenario string) (*measure.Cell, []*measure.Interval) {
	if f := b.Report.Flow; f != nil && scenario == f.Name {
		return b.Flow, b.users.List
	}
	return b.Of(scenario)
}

// finishFlow completes the flow's part of the report.
func (b *Builder) finishFlow(seconds float64) {
	f := b.Report.Flow
	f.RateActual = float64(f.Begun) / seconds
}

// unbegun reports how much of the plan's users have begun, if less than minSent of them; else "".
func (r *Report) unbegun() string {
	f := r.Flow
	if f == nil || r.Arrivals == schedule.Poisson || float64(f.Begun+f.WarmUp) >= minSent*float64(f.Planned) {
		return ""
	}
	return fmt.Sprintf("%d of %d planned users began", f.Begun+f.WarmUp, f.Planned)
}

// add adds the users of another process.
func (f *Flow) add(g *Flow) {
	f.Planned += g.Planned
	f.RateTarget += g.RateTarget
	f.Begun += g.Begun
	f.WarmUp += g.WarmUp
	f.Completed += g.Completed
	f.Late += g.Late
	f.Failed += g.Failed
	f.Unfinished += g.Unfinished
	f.Longest = max(f.Longest, g.Longest)
	f.Peak += g.Peak
	if g.RateActual > 0 {
		f.span = max(f.span, float64(g.Begun)/g.RateActual)
		f.RateActual = float64(f.Begun) / f.span
	}
	for _, s := range g.Slowest {
		f.Slowest = slowest(f.Slowest, s)
	}
}

// plan describes the users.
func (f *Flow) plan(r *Report) string {
	think := ""
	if f.Think != "" {
		think = ", think time " + f.Think
	}
	switch {
	case r.Model == "open":
		return fmt.Sprintf("flow %s: new users/s %s, %s arrivals%s", f.Name, r.Stages, r.Arrivals, think)
	case f.Users != "":
		return fmt.Sprintf("flow %s: users %s (closed model)%s", f.Name, f.Users, think)
	}
	return fmt.Sprintf("flow %s: %d %s (closed model)%s", f.Name, r.Workers, plural(r.Workers), think)
}

// result describes what the users did.
func (f *Flow) result(r *Report) string {
	text := fmt.Sprintf("%d", f.Begun)
	if f.Planned > 0 {
		text += fmt.Sprintf(" of %d %s", f.Planned, r.planned())
	}
	text += fmt.Sprintf(": %d completed (%s)", f.Completed, percent(float64(f.Completed)/float64(max(f.Begun, 1))))
	if f.Late > 0 {
		text += fmt.Sprintf(", %d of them late", f.Late)
	}
	text += fmt.Sprintf(", %d failed", f.Failed)
	if f.Unfinished > 0 {
		text += fmt.Sprintf(", %d unfinished", f.Unfinished)
	}
	text += fmt.Sprintf("; %s/s", short(f.RateActual))
	if f.RateTarget > 0 {
		text += fmt.Sprintf(" of %s/s target", short(f.RateTarget))
	}
	peak := "peak"
	// The processes' peaks may be at different times; those of a population are at the same, unless one has had its users before.
	if r.Processes > 1 && (r.Model == "open" || f.Users != "" && r.Max > 0) {
		peak = "peak at most"
	}
	return text + fmt.Sprintf("; %s %d at once", peak, f.Peak)
}

// Note says which users the flow's row of the latency table does not have because the run ended; "": none.
func (f *Flow) Note() string {
	if f == nil || f.Unfinished == 0 {
		return ""
	}
	longest := "the longest time"
	if f.Unfinished == 1 {
		longest = "the time"
	}
	note := fmt.Sprintf("Row flow %s has completed users only. %d %s had not finished when the run ended", f.Name, f.Unfinished, plural(f.Unfinished))
	if f.Longest == 0 { // the file of an older loadgen does not have it
		return note + "."
	}
	return note + fmt.Sprintf(": %s so far was %s.", longest, ms(f.Longest))
}

func plural(users int) string {
	if users == 1 {
		return "user"
	}
	return "users"
}

// qualify says in the verdict of the flow's SLO that it is about users, and how many it is without.
func (f *Flow) qualify(v *slo.Verdict, scenario string) {
	if f == nil || scenario != f.Name {
		return
	}
	v.Text = strings.Replace(v.Text, "no requests", "no completed users", 1)
	if f.Unfinished > 0 {
		v.Text += fmt.Sprintf(", without %d unfinished %s", f.Unfinished, plural(f.Unfinished))
	}
}

package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
)

// Setup is the configuration of a run.
type Setup struct {
	RunID      string
	Target     string
	Plan       schedule.Plan
	Workers    int    // of the closed model; 0: the model is open
	MaxWorkers int    // max concurrent requests
	Connection string // options of connections that are not the default; "": none
	Seed       uint64
	WarmUp     time.Duration // requests scheduled in it are not measured
	Objectives []slo.Objective
	Scenarios  []string      // of the workload
	EachOnce   bool          // the plan's max number of requests is that of the targets
	Recording  string        // replayed file; "": none
	Retries    string        // policy; "": none
	Flow       *Flow         // name, population and plan of users; nil: no flow
	Interval   time.Duration // width of the report's intervals; 0: a second
}

// Outcome is the result of one measured request.
type Outcome struct {
	measure.Request            // without Class and Delayed
	Expected        bool       // the status is the one that the scenario expects
	Waited          bool       // all workers were busy at its scheduled time
	Retries         int        // attempts after the first
	RetryAfter      RetryAfter // of all its responses
	Error           string     // category, if no response came
	Check           string     // that the response failed; "": none
	Detail          string     // of Check, or of the category "other"
}

// Builder makes a report from the outcomes of requests. It is for one goroutine.
type Builder struct {
	*measure.Collector
	Report *Report // so far; Finish completes it

	setup  Setup
	late   map[string]time.Duration // by scenario: a slower response is late; 0: none is
	gc     measure.Pauses           // before the run
	users  *measure.Intervals       // of the flow, by time
	waited int                      // requests delayed because all workers were busy
	ended  bool                     // the stream of targets has ended before the plan
}

// NewBuilder begins the report of a run.
func NewBuilder(s Setup) *Builder {
	r := &Report{Version: Version, RunID: s.RunID, Target: s.Target, MaxWorkers: s.MaxWorkers, Connection: s.Connection, Seed: s.Seed, WarmUpTime: s.WarmUp.Seconds(), Max: s.Plan.Max,
		Replay: s.Recording, Retries: Retries{Policy: s.Retries}, Errors: map[string]int{}, Slowest: []Slow{}}
	if s.Workers > 0 {
		r.Model, r.Workers, r.Planned = "closed", s.Workers, s.Plan.Max
	} else {
		r.Model, r.Stages, r.Arrivals, r.Planned = "open", s.Plan.String(), s.Plan.Arrivals, s.Plan.Planned()
		r.RateTarget = s.Plan.Average(s.WarmUp)
	}
	if r.Flow = s.Flow; s.Flow != nil { // the plan is of users
		r.Planned, r.RateTarget, s.Flow.Slowest, s.Flow.steps = 0, 0, []Slow{}, s.Scenarios
	}
	if s.Recording != "" {
		r.Arrivals = ""
	}
	if s.Plan.Shards > 1 {
		r.Shard = fmt.Sprintf("%d/%d", s.Plan.Shard+1, s.Plan.Shards)
	}
	b := &Builder{Report: r, setup: s, late: map[string]time.Duration{}, gc: measure.ReadPauses(), users: &measure.Intervals{Width: time.Second}}
	for _, name := range s.Scenarios {
		b.late[name] = slo.LateAfter(s.Objectives, name)
	}
	if s.Flow != nil {
		b.late[s.Flow.Name] = slo.LateAfter(s.Objectives, s.Flow.Name)
	}
	var parts []string
	for _, o := range s.Objectives {
		if name := o.Scenario(); slices.Contains(s.Scenarios, name) {
			parts = append(parts, name)
		}
	}
	b.Collector = measure.NewCollector(s.Scenarios, parts, cmp.Or(s.Interval, time.Second), s.Seed)
	return b
}

// Add counts a request and returns its class.
func (b *Builder) Add(o Outcome) measure.Class {
	r := b.Report
	r.Sent++
	o.Class = b.classify(o)
	o.Delayed = o.Class == measure.Late && o.Service < b.late[o.Scenario] && o.SendDelay.Seconds() > measure.SendDelayLimit(o.Response.Seconds())
	b.Collector.Add(o.Request)
	if o.Waited && o.SendDelay > measure.MaxSendDelay && b.setup.Workers == 0 {
		b.waited++
	}
	r.RetryAfter.Given += o.RetryAfter.Given
	r.RetryAfter.Kept += o.RetryAfter.Kept
	r.RetryAfter.Broken += o.RetryAfter.Broken
	served := o.Class == measure.Good || o.Class == measure.Late
	if o.Retries > 0 {
		r.Retries.Requests++
		r.Retries.Attempts += o.Retries
		if served {
			r.Retries.Served++
		}
	}
	switch {
	case served:
	case o.Check != "":
		r.Errors[checkFailed]++
		r.addCheck(FailedCheck{o.Scenario, o.Check, 1, o.Detail, o.TraceID})
	case o.Status != 0:
		r.Errors["status "+strconv.Itoa(o.Status)+" for "+o.Scenario]++
	default:
		r.Errors[o.Error]++
		r.FirstError = cmp.Or(r.FirstError, o.Detail)
	}
	r.Slowest = slowest(r.Slowest, Slow{Response: o.Response.Seconds(), Scenario: o.Scenario, Class: o.Class, Status: o.Status, TraceID: o.TraceID, scheduled: o.Scheduled})
	return o.Class
}

// AddWarmUp counts a request of the warm-up.
func (b *Builder) AddWarmUp() { b.Report.WarmUp++ }

// AddCancelled counts a request cancelled by the end of the run.
func (b *Builder) AddCancelled() {
	b.Report.Sent++
	b.Report.Cancelled++
}

// AddUnsent counts a request that could not be sent, by its scheduled time since the end of
// the warm-up. Step is that of a flow; "": none.
func (b *Builder) AddUnsent(scheduled time.Duration, step, err string) {
	b.Report.Sent++
	b.Collector.AddUnsent(scheduled)
	if step != "" {
		step = " for " + step
	}
	b.Report.Errors["not sent"+step]++
	b.Report.FirstError = cmp.Or(b.Report.FirstError, err)
}

func (b *Builder) classify(o Outcome) measure.Class {
	switch late := b.late[o.Scenario]; {
	case measure.IsShed(o.Status) && !o.Expected:
		return measure.Shed
	case !o.Expected:
		return measure.Failed
	case late > 0 && o.Response >= late:
		return measure.Late
	}
	return measure.Good
}

// slowest adds one to the slowest, slowest first.
func slowest(list []Slow, s Slow) []Slow {
	at, _ := slices.BinarySearchFunc(list, s, func(a, b Slow) int { return cmp.Compare(b.Response, a.Response) })
	if at < maxSlow {
		list = slices.Insert(list, at, s)
		list = list[:min(len(list), maxSlow)]
	}
	return list
}

// at sets the times of requests, from the end of the warm-up.
func at(list []Slow, start time.Time) {
	for i := range list {
		list[i].ScheduledAt, list[i].scheduled = start.Add(list[i].scheduled).Round(time.Millisecond), 0
	}
}

// Outlooks returns the state of the SLOs so far.
func (b *Builder) Outlooks() (list []slo.Outlook) {
	for _, o := range b.setup.Objectives {
		list = append(list, o.Outlook(b.of(o.Scenario())))
	}
	return list
}

// Streamed sets how many scheduled times passed before the stream had a target, and whether it has ended
// before the plan. Call it before Finish.
func (b *Builder) Streamed(unfed uint64, ended bool) { b.Report.Unfed, b.ended = unfed, ended }

// Finish completes the report: when the run began, how long it sent requests, the time to
// the last response, and the peak of requests in flight.
func (b *Builder) Finish(began time.Time, paced, elapsed time.Duration, peak int, interrupted bool) *Report {
	r, plan, closed := b.Report, b.setup.Plan, b.setup.Workers > 0
	r.StartedAt, r.Elapsed, r.Peak = began, elapsed.Seconds(), peak
	at(r.Slowest, began.Add(b.setup.WarmUp))
	if r.Flow != nil {
		at(r.Flow.Slowest, began.Add(b.setup.WarmUp))
	}
	if interrupted {
		r.Ended = cmp.Or(r.Ended, "interrupted")
	}
	sent, planned := uint64(r.Sent+r.WarmUp), &r.Planned
	if r.Flow != nil { // the plan is of users
		sent, planned = uint64(r.Flow.Begun+r.Flow.WarmUp), &r.Flow.Planned
	}
	if r.Max > 0 && r.Ended == "" {
		if r.Limit = LimitPlan; sent >= plan.Share(r.Max) {
			if r.Limit = LimitRequests; b.setup.EachOnce {
				r.Limit = LimitTargets
			}
		}
	}
	switch {
	case b.ended:
		r.Planned = sent
		if r.Ended == "" {
			r.Limit = LimitTargets
		}
	case !closed:
		r.Planned -= min(r.Unfed, r.Planned)
	}
	span := paced // waiting for the last responses does not lower an open plan's rate
	rate := func(at time.Duration) float64 { return plan.Rate(b.setup.WarmUp + at) }
	if closed || r.Flow != nil {
		span, rate = elapsed, func(time.Duration) float64 { return 0 }
	}
	if sent == *planned && r.Arrivals == schedule.Constant && !b.ended {
		paced = max(paced, plan.Span()) // the last request is scheduled before the end of the plan
		span = max(span, paced)
	}
	seconds := max(span-b.setup.WarmUp, time.Microsecond).Seconds()
	r.RateActual, r.Goodput = float64(r.Sent)/seconds, float64(b.All.Classes[measure.Good])/seconds
	if r.Flow != nil {
		if closed { // its workers end one by one
			paced = min(elapsed, plan.Duration())
		}
		b.finishFlow(max(paced-b.setup.WarmUp, time.Microsecond).Seconds())
	}
	r.GC = b.gc.Since()
	r.sortChecks()
	r.fill(b.Results, rate)
	for _, o := range b.setup.Objectives {
		v := o.Judge(b.of(o.Scenario()))
		r.Flow.qualify(&v, o.Scenario())
		r.SLOs = append(r.SLOs, v)
	}
	b.validate()
	r.Groups, r.Candidates = b.Groups(), b.Collector.Candidates()
	return r
}

// fill copies the measurements into the report. Rate is the target rate at a time since the
// end of the warm-up.
func (r *Report) fill(m *measure.Results, rate func(time.Duration) float64) {
	r.Classes = m.All.Classes
	r.Response, r.Shed, r.Failed = m.All.Served.Summary(), m.All.Shed.Summary(), m.All.Failed.Summary()
	r.Service, r.SendDelay = m.Service.Summary(), m.SendDelay.Summary()
	r.FirstByte, r.Body, r.BytesReceived, r.BytesSent = m.FirstByte.Summary(), m.Body.Summary(), m.Received, m.Sent
	r.Protocols = m.Protocols
	r.Opened, r.DNS, r.Connect, r.TLS = m.Opened.Count, m.Opened.DNS.Summary(), m.Opened.Connect.Summary(), m.Opened.TLS.Summary()
	r.times = map[string]*measure.Times{"response": m.All.Served, "shed": m.All.Shed, "failed": m.All.Failed, "service": m.Service, "send_delay": m.SendDelay,
		"first_byte": m.FirstByte, "body": m.Body, "dns": m.Opened.DNS, "connect": m.Opened.Connect, "tls": m.Opened.TLS}
	if r.Flow != nil {
		r.Flow.Duration, r.times["flow"] = m.Flow.Served.Summary(), m.Flow.Served
	}
	r.Statuses = map[int]measure.Summary{}
	for code, t := range m.Statuses {
		r.Statuses[code], r.times[statusName(code)] = t.Summary(), t
	}
	for _, name := range r.order(m) {
		c := m.Scenarios[name]
		r.Scenarios = append(r.Scenarios, Row{name, c.Requests(), c.Classes, c.Statuses, c.Served.Summary()})
		r.times["response/"+name], r.times["shed/"+name], r.times["failed/"+name] = c.Served, c.Shed, c.Failed
	}
	r.Intervals = intervalsOf(m.Intervals, rate)
}

// order returns the names of the scenarios: in order of name, or those of a flow in order of its steps.
func (r *Report) order(m *measure.Results) []string {
	if r.Flow != nil && len(r.Flow.steps) > 0 {
		return r.Flow.steps
	}
	return slices.Sorted(maps.Keys(m.Scenarios))
}

// minSent is the share of the plan that a valid run has sent at least.
const minSent = 0.99

// Unsent reports how much of the plan was sent, if less than minSent of it; else "". The
// number of Poisson arrivals is random, so that it is not compared.
func (r *Report) Unsent() string {
	if r.Arrivals == schedule.Poisson || float64(r.Sent+r.WarmUp) >= minSent*float64(r.Planned) {
		return ""
	}
	return fmt.Sprintf("sent %d of %d planned requests", r.Sent+r.WarmUp, r.Planned)
}

// validate finds the reasons for which the numbers are the generator's and not the target's.
func (b *Builder) validate() {
	r := b.Report
	if limit := measure.SendDelayLimit(r.Response.P99); r.SendDelay.P99 > limit {
		r.Invalid = append(r.Invalid, fmt.Sprintf("p99 send delay %s, limit %s", ms(r.SendDelay.P99), ms(limit)))
	}
	if b.setup.Workers > 0 {
		return // the rest is about a plan of requests
	}
	if b.waited > 0 {
		r.Invalid = append(r.Invalid, fmt.Sprintf("all %d workers busy, %d requests delayed: raise -max-workers", r.MaxWorkers, b.waited))
	}
	if reason := r.unbegun(); reason != "" && r.Ended == "" {
		r.Invalid = append(r.Invalid, reason)
	}
	if reason := r.Unsent(); reason != "" && r.Ended == "" {
		r.Invalid = append(r.Invalid, reason)
	}
}

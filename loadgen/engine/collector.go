package engine

import (
	"maps"
	"net/http"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/failure"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// collector makes the report of a run from its requests. It is for one goroutine.
type collector struct {
	*report.Builder
	c       Config
	tr      *transport
	created time.Time // start of the run until the pacer has started
}

func newCollector(c Config, tr *transport) *collector {
	s := report.Setup{RunID: c.RunID, Target: c.URL, Plan: c.Plan, Workers: c.Workers, MaxWorkers: c.MaxWorkers, Connection: c.Connect.String(), Seed: c.Seed, WarmUp: c.WarmUp,
		Objectives: c.SLOs, Flow: c.flow(), Scenarios: c.Scenarios(), EachOnce: c.EachOnce, Interval: c.interval}
	if c.Recording != nil {
		s.Recording = c.Recording.Path
	}
	if c.Retry.On() {
		s.Retries = string(c.Retry)
	}
	k := &collector{Builder: report.NewBuilder(s), c: c, tr: tr, created: time.Now()}
	if c.Parts && c.Progress != nil {
		k.CountParts()
	}
	return k
}

// add counts a request.
func (k *collector) add(n *note) {
	if n.session != nil && n.session.over {
		k.addSession(n.session)
		return
	}
	scheduled := n.start()
	at := scheduled.Sub(k.tr.pacer.Began()) - k.c.WarmUp
	if k.c.Folder != nil {
		k.c.Folder.Add(k.result(n, at < 0))
	}
	switch {
	case at < 0:
		k.AddWarmUp()
	case n.request == nil:
		k.AddUnsent(at, n.step, n.err.Error())
	case n.cancelled:
		k.AddCancelled()
	default:
		o := k.outcome(n)
		o.Scheduled, o.SendDelay = at, n.sent.Sub(scheduled)
		o.Response = o.SendDelay + n.took
		k.tr.meter.add(n.ctx, o.Scenario, k.Add(o), o.Response, o.Service, o.SendDelay)
	}
}

// result is the request in vegeta's form. In the open model it is timed from its scheduled time: so the numbers of requests
// and their times have the same order, as vegeta plot wants it, and vegeta report has the percentiles of the report.
func (k *collector) result(n *note, warmUp bool) *vegeta.Result {
	r := &vegeta.Result{Attack: k.c.RunID, Seq: n.seq, Timestamp: n.start(), Latency: n.sent.Sub(n.start()) + n.took, BytesIn: n.bytes, Headers: n.header}
	if n.err != nil {
		r.Error = n.err.Error()
	} else if r.Code = uint16(n.status); n.status < 200 || n.status >= 400 {
		r.Error = strconv.Itoa(n.status) + " " + http.StatusText(n.status)
	}
	if warmUp {
		r.Body = []byte("warm-up") // the report does not count it; vegeta plot wants one name for the whole attack
	}
	if n.request != nil {
		r.Method, r.URL, r.BytesOut = n.request.Method, n.request.Plain(n.base), uint64(len(n.request.Body))
	}
	return r
}

// outcome returns the outcome of a request, without the times since its scheduled time.
func (k *collector) outcome(n *note) report.Outcome {
	status, protocol := n.status, n.protocol
	if n.err != nil {
		status, protocol = 0, ""
	}
	o := report.Outcome{Expected: n.request.Expects(status) && n.failure == nil, Waited: n.full, Retries: n.retries, RetryAfter: n.promises,
		Request: measure.Request{Scenario: n.request.Scenario.Name, Status: status, Protocol: protocol, Service: n.took, TraceID: n.traceID(), SpanID: n.topID(), Shared: n.request.Parent != nil,
			TTFB: n.timing.FirstByte, Body: n.body, Received: n.bytes, Sent: uint64(len(n.request.Body))}}
	if n.resends == 0 { // else its span is not the topmost one
		o.Connected, o.FirstByte = n.timing.Connected, n.timing.FirstByte
	}
	if n.failure != nil {
		o.Check, o.Detail = n.failure.Check, n.request.Method+" "+n.request.Plain(n.base)+": "+n.failure.Detail
	}
	if n.err != nil {
		category := failure.Of(n.err)
		if o.Error = category.Name; category.Explain {
			o.Detail = n.request.Method + " " + n.request.Plain(n.base) + ": " + n.err.Error() + category.Hint
		}
	}
	return o
}

// began returns the start of the run.
func (k *collector) began() time.Time {
	if k.Report.Sent+k.Report.WarmUp > 0 {
		return k.tr.pacer.Began() // set before the first result
	}
	if !k.c.StartAt.IsZero() {
		return k.c.StartAt
	}
	return k.created
}

// look reports the progress, and returns whether to end the run.
func (k *collector) look() (end bool) {
	last := k.Window()
	if k.c.Progress != nil {
		k.c.Progress(k.progress(last))
	}
	r := k.Report
	if k.c.EndWhen == nil || r.Ended != "" || r.Sent == 0 {
		return false
	}
	r.Ended = k.c.EndWhen(k.Outlooks())
	return r.Ended != ""
}

func (k *collector) progress(last measure.Window) Progress {
	elapsed := time.Since(k.began())
	p := Progress{Starts: max(-elapsed, 0), Elapsed: elapsed, Requests: k.Report.Sent, InFlight: int(k.tr.inFlight.Load()),
		Classes: maps.Clone(k.All.Classes), P99: k.All.Served.Quantile(0.99), Users: int(k.tr.users.active.Load()), Last: last, Parts: k.TakeParts()}
	n := k.Report.Sent + k.Report.WarmUp
	if f := k.Report.Flow; f != nil {
		p.Done = f.Begun + f.WarmUp
		n = p.Done
	} else if k.c.Workers == 0 {
		p.RateTarget = k.c.Plan.Rate(elapsed)
	}
	p.Duration = k.c.Lasts(elapsed, n)
	return p
}

// usersExtent is how long after the start users may be on their way through a flow, also if Plan.Max has ended the plan.
func (c Config) usersExtent() time.Duration { return c.Plan.Duration() + Grace }

// MaxExtent is the max time from the start of a run to the end of its last request.
func (c Config) MaxExtent() time.Duration {
	if c.Flow != nil {
		return c.usersExtent() + c.Timeout
	}
	return c.Plan.Span() + c.Timeout
}

// Lasts estimates how long a run lasts with so many requests, or users who completed or failed, after some time.
func (c Config) Lasts(elapsed time.Duration, done int) time.Duration {
	d := c.Plan.Span()
	if most := c.Plan.Share(c.Plan.Max); c.Workers > 0 && done > 0 && most > 0 { // at the actual rate so far
		d = min(d, time.Duration(float64(elapsed)*float64(most)/float64(done)))
	}
	if c.Flow != nil && elapsed > d { // users complete their flow
		d = c.usersExtent()
	}
	return d
}

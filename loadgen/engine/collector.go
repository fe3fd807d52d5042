package engine

import (
	"maps"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// collector combines vegeta's results with notes. It is for one goroutine.
type collector struct {
	*report.Builder
	c       Config
	tr      *transport
	created time.Time // start of the run until the pacer has started
}

func newCollector(c Config, tr *transport) *collector {
	s := report.Setup{RunID: c.RunID, Target: c.URL, Plan: c.Plan, Workers: c.Workers, MaxWorkers: c.MaxWorkers, Seed: c.Seed, WarmUp: c.WarmUp,
		Objectives: c.SLOs, Scenarios: c.Scenarios(), EachOnce: c.EachOnce, Interval: c.interval}
	if c.Recording != nil {
		s.Recording = c.Recording.Path
	}
	if c.Retry.on() {
		s.Retries = string(c.Retry)
	}
	k := &collector{Builder: report.NewBuilder(s), c: c, tr: tr, created: time.Now()}
	if c.Parts && c.Progress != nil {
		k.CountParts()
	}
	return k
}

// add counts a result. vegeta's own latency starts when a worker takes the request, and misses
// the wait for a worker.
func (k *collector) add(res *vegeta.Result, n *note) {
	if n != nil {
		res.Method, res.URL, res.BytesIn, res.BytesOut = n.request.Method, n.url, n.bytes, uint64(len(n.request.Body))
	}
	res.Attack = k.c.RunID
	if k.c.Folder != nil {
		k.c.Folder.Add(res)
	}
	scheduled := res.Timestamp
	if n != nil && !n.scheduled.IsZero() {
		scheduled = n.scheduled
	}
	at := scheduled.Sub(k.tr.pacer.Began()) - k.c.WarmUp
	switch {
	case at < 0:
		k.AddWarmUp()
	case n == nil:
		k.AddUnsent(at, res.Error)
	case res.Code == 0 && n.cancelled:
		k.AddCancelled()
	default:
		o := k.outcome(res, n)
		o.Scheduled, o.Response, o.SendDelay = at, res.End().Sub(scheduled), res.Timestamp.Sub(scheduled)
		k.tr.meter.add(o.Scenario, k.Add(o), o.Response, o.Service, o.SendDelay, n.span)
	}
}

// outcome returns the outcome of a request, without the times since its scheduled time.
func (k *collector) outcome(res *vegeta.Result, n *note) report.Outcome {
	status := int(res.Code)
	o := report.Outcome{Expected: n.request.Expects(status), Waited: n.full, Retries: n.retries, RetryAfter: n.promises,
		Request: measure.Request{Scenario: n.request.Scenario.Name, Status: status, Service: res.Latency, TraceID: n.traceID(), Shared: n.request.Parent != nil}}
	if n.retries == 0 { // else its span is not the root of the trace
		o.Connected, o.FirstByte = n.timing.connected, n.timing.firstByte
	}
	if status == 0 {
		text := res.Error
		if n.err != nil {
			text = n.err.Error()
		}
		if o.Error = category(text); o.Error == other {
			o.Detail = n.request.Method + " " + n.url + ": " + text
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
	p := Progress{Starts: max(-elapsed, 0), Elapsed: elapsed, Duration: k.c.Plan.Span(), Requests: k.Report.Sent, InFlight: int(k.tr.inFlight.Load()),
		Classes: maps.Clone(k.All.Classes), P99: k.All.Served.Quantile(0.99), Last: last, Parts: k.TakeParts()}
	if k.c.Workers == 0 {
		p.RateTarget = k.c.Plan.Rate(elapsed)
		return p
	}
	p.Duration = k.c.Plan.Duration()
	if n := k.Report.Sent + k.Report.WarmUp; n > 0 && k.c.Plan.Max > 0 { // at the actual rate so far
		p.Duration = min(p.Duration, time.Duration(float64(elapsed)*float64(k.c.Plan.Max)/float64(n)))
	}
	return p
}

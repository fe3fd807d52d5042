package engine

import (
	"maps"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// collector takes in what vegeta tells. One goroutine uses it.
type collector struct {
	*report.Builder
	c       Config
	tr      *transport
	created time.Time // before the pacer knows when
}

func newCollector(c Config, tr *transport) *collector {
	s := report.Setup{RunID: c.RunID, Target: c.URL, Plan: c.Plan, Workers: c.Workers, MaxWorkers: c.MaxWorkers, Seed: c.Seed, WarmUp: c.WarmUp,
		Objectives: c.SLOs, Scenarios: c.Scenarios(), Interval: c.interval}
	if c.Recording != nil {
		s.Recording = c.Recording.Path
	}
	if c.Retry.on() {
		s.Retries = string(c.Retry)
	}
	return &collector{Builder: report.NewBuilder(s), c: c, tr: tr, created: time.Now()}
}

// add takes one result in. vegeta's own latency counts from when a worker took
// the request up, which leaves out how long it had to wait for one.
func (k *collector) add(res *vegeta.Result, n *note) {
	if n != nil {
		res.Method, res.URL, res.BytesIn, res.BytesOut = n.request.Method, n.url, n.bytes, uint64(len(n.request.Body))
	}
	res.Attack = k.c.RunID
	if k.c.Folder != nil {
		k.c.Folder.Add(res)
	}
	due := res.Timestamp
	if n != nil && !n.due.IsZero() {
		due = n.due
	}
	at := due.Sub(k.tr.pacer.Began()) - k.c.WarmUp
	switch {
	case at < 0:
		k.AddWarmUp()
	case n == nil:
		k.AddUnsent(at, res.Error)
	case res.Code == 0 && n.cutOff:
		k.AddCancelled()
	default:
		o := k.outcome(res, n)
		o.Due, o.Response, o.Lag = at, res.End().Sub(due), res.Timestamp.Sub(due)
		k.tr.meter.add(o.Scenario, k.Add(o), o.Response, o.Service, o.Lag, n.span)
	}
}

// outcome is what became of a request, without the times that count from when it was due.
func (k *collector) outcome(res *vegeta.Result, n *note) report.Outcome {
	status := int(res.Code)
	o := report.Outcome{Expected: n.request.Expects(status), Waited: n.full, Retries: n.retries, RetryAfter: n.promises,
		Request: measure.Request{Scenario: n.request.Scenario.Name, Status: status, Service: res.Latency, TraceID: n.traceID()}}
	if n.retries == 0 { // else its span is not the trace's first
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

// began is when the run began, as far as it is known.
func (k *collector) began() time.Time {
	if k.Report.Sent+k.Report.WarmUp > 0 {
		return k.tr.pacer.Began() // written before the first result
	}
	if !k.c.StartAt.IsZero() {
		return k.c.StartAt
	}
	return k.created
}

// look tells of the progress, and returns whether the run should end.
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
		Classes: maps.Clone(k.All.Classes), P99: k.All.Served.Quantile(0.99), Last: last}
	if k.c.Workers == 0 {
		p.Asked = k.c.Plan.Rate(elapsed)
		return p
	}
	p.Duration = k.c.Plan.Duration()
	if n := k.Report.Sent + k.Report.WarmUp; n > 0 && k.c.Plan.Max > 0 { // at the rate so far
		p.Duration = min(p.Duration, time.Duration(float64(elapsed)*float64(k.c.Plan.Max)/float64(n)))
	}
	return p
}

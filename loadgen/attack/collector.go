package attack

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"runtime/metrics"
	"slices"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/explain"
)

// collector takes in what vegeta tells, and makes the report.
type collector struct {
	c         Config
	p         *pacer
	tr        *transport
	begun     time.Time // before the pacer knows when
	report    *Report
	all       *cell
	rows      map[string]*cell
	late      map[string]time.Duration
	service   *times
	lag       *times
	intervals *intervals
	parts     map[string]*intervals // of the scenarios that objectives are about
	window    *window
	gc        []uint64 // pauses of the process before the attack, by length

	samplers map[string]*sampler
	waited   int // requests that were late because all workers were busy
}

func newCollector(c Config, p *pacer, tr *transport) *collector {
	r := &Report{Version: ReportVersion, RunID: c.RunID, Target: c.URL, MaxWorkers: c.MaxWorkers, Seed: c.Seed, Errors: map[string]int{}, Slowest: []Slow{}}
	if c.Workers > 0 {
		r.Model, r.Workers, r.Planned = "closed", c.Workers, c.Plan.Max
	} else {
		r.Model, r.Stages, r.Arrivals, r.Planned = "open", c.Plan.String(), c.Plan.Arrivals, c.Plan.Planned()
		r.Asked = c.Plan.average(c.WarmUp)
	}
	if c.Plan.Replay != nil {
		r.Replay, r.Arrivals = c.Plan.Replay.path, ""
	}
	if c.Plan.Shards > 1 {
		r.Shard = fmt.Sprintf("%d/%d", c.Plan.Shard+1, c.Plan.Shards)
	}
	k := &collector{c: c, p: p, tr: tr, begun: time.Now(), report: r, all: newCell(), rows: map[string]*cell{}, late: map[string]time.Duration{},
		service: newTimes(), lag: newTimes(), intervals: &intervals{width: cmp.Or(c.interval, time.Second)}, parts: map[string]*intervals{}, window: newWindow(), gc: pauses().Counts, samplers: map[string]*sampler{}}
	for _, s := range c.SLOs {
		if s.scenario != "" {
			k.parts[s.scenario] = &intervals{width: time.Second}
		}
	}
	for name := range c.rows() {
		k.rows[name], k.late[name] = newCell(), lateAfter(c.SLOs, name)
		k.samplers[name] = &sampler{rng: newRNG(c.Seed, 4)}
	}
	return k
}

// add takes one result in. vegeta's own latency counts from when a worker took
// the request up, which leaves out how long it had to wait for one.
func (k *collector) add(res *vegeta.Result, n *note) {
	r := k.report
	if n != nil {
		res.Method, res.URL, res.BytesIn, res.BytesOut = n.method, n.url, n.bytes, n.bytesOut
	}
	res.Attack = r.RunID
	if k.c.Folder != nil {
		k.c.Folder.add(res)
	}
	due := res.Timestamp
	if n != nil && !n.due.IsZero() {
		due = n.due
	}
	at := due.Sub(k.p.began)
	if at < k.c.WarmUp {
		r.WarmUp++
		return
	}
	at -= k.c.WarmUp
	r.Sent++
	if res.Code == 0 && n != nil && n.cutOff {
		r.Cancelled++
		return
	}
	if n == nil {
		k.all.classes[Failed]++
		k.all.statuses[0]++
		k.intervals.add(at, Failed, 0)
		r.Errors["not sent"]++
		r.FirstError = cmp.Or(r.FirstError, res.Error)
		return
	}
	status, response, lag := int(res.Code), res.End().Sub(due), res.Timestamp.Sub(due)
	class := k.classify(n, status, response)
	k.tr.meter.add(n.scenario.name, class, response, res.Latency, lag, n.span)
	row := k.rows[n.scenario.name]
	k.all.add(class, status, response)
	row.add(class, status, response)
	if class == Good || class == Late {
		delayed := class == Late && res.Latency < k.late[n.scenario.name] && lag.Seconds() > lagLimit(response.Seconds())
		k.all.addService(res.Latency, delayed)
		row.addService(res.Latency, delayed)
	}
	k.intervals.add(at, class, response)
	if p := k.parts[n.scenario.name]; p != nil {
		p.add(at, class, response)
	}
	k.window.requests++
	k.window.served.add(class, response)
	k.window.lag = max(k.window.lag, lag)
	k.service.add(res.Latency)
	k.lag.add(lag)
	if k.c.Workers == 0 && n.full && lag > maxLag {
		k.waited++
	}
	k.retries(n, class)
	id := n.traceID()
	if class == Shed || class == Failed {
		k.fail(res, n)
	} else {
		q := explain.Request{TraceID: id, Response: response, Lag: lag}
		if n.retries == 0 { // else its span is not the trace's first
			q.Connected, q.FirstByte = n.timing.connected, n.timing.firstByte
		}
		k.samplers[n.scenario.name].add(q)
	}
	k.slow(Slow{response.Seconds(), n.scenario.name, class, status, id})
}

// retries counts what became of promises and of requests that were sent again.
func (k *collector) retries(n *note, class Class) {
	r := k.report
	r.RetryAfter.Given += n.promises.Given
	r.RetryAfter.Kept += n.promises.Kept
	r.RetryAfter.Broken += n.promises.Broken
	if n.retries > 0 {
		r.Retries.Requests++
		r.Retries.Tries += n.retries
		if class == Good || class == Late {
			r.Retries.Served++
		}
	}
}

func (k *collector) classify(n *note, status int, response time.Duration) Class {
	switch late := k.late[n.scenario.name]; {
	case isShed(status):
		return Shed
	case !n.scenario.expects(n.want, status):
		return Failed
	case late > 0 && response >= late:
		return Late
	default:
		return Good
	}
}

func (k *collector) fail(res *vegeta.Result, n *note) {
	r := k.report
	if res.Code != 0 {
		r.Errors["status "+strconv.Itoa(int(res.Code))+" for "+n.scenario.name]++
		return
	}
	text := res.Error
	if n.err != nil {
		text = n.err.Error()
	}
	c := category(text)
	r.Errors[c]++
	if c == "other" && r.FirstError == "" {
		r.FirstError = n.method + " " + n.url + ": " + text
	}
}

func (k *collector) slow(s Slow) {
	r := k.report
	at, _ := slices.BinarySearchFunc(r.Slowest, s, func(a, b Slow) int { return cmp.Compare(b.Response, a.Response) })
	if at < maxSlow {
		r.Slowest = slices.Insert(r.Slowest, at, s)
		r.Slowest = r.Slowest[:min(len(r.Slowest), maxSlow)]
	}
}

// began is when the attack began, as far as it is known.
func (k *collector) began() time.Time {
	if k.report.Sent+k.report.WarmUp > 0 {
		return k.p.began // written before the first result
	}
	if !k.c.StartAt.IsZero() {
		return k.c.StartAt
	}
	return k.begun
}

// look tells of the progress, and returns why the attack should end, if it should.
func (k *collector) look() string {
	last := k.window.close()
	k.window = newWindow()
	elapsed := time.Since(k.began())
	if k.c.Progress != nil {
		p := Progress{Starts: max(-elapsed, 0), Elapsed: elapsed, Duration: k.c.Plan.Span(), Requests: k.report.Sent, InFlight: int(k.tr.inFlight.Load()),
			Classes: maps.Clone(k.all.classes), P99: k.all.served.quantile(0.99), Last: last}
		if k.c.Workers > 0 {
			p.Duration = k.c.Plan.Duration()
			if n := k.report.Sent + k.report.WarmUp; n > 0 && k.c.Plan.Max > 0 { // at the rate so far
				p.Duration = min(p.Duration, time.Duration(float64(elapsed)*float64(k.c.Plan.Max)/float64(n)))
			}
		} else {
			p.Asked = k.c.Plan.Rate(elapsed)
		}
		k.c.Progress(p)
	}
	if k.c.EndWhen != nil && k.report.Ended == "" && k.report.Sent > 0 {
		k.report.Ended = k.c.EndWhen(k.outlooks())
		return k.report.Ended
	}
	return ""
}

// finish makes the report of an attack that sent requests for a time, and lasted until
// the last answer.
func (k *collector) finish(began time.Time, paced, elapsed time.Duration, interrupted bool) *Report {
	r := k.report
	r.StartedAt, r.WarmUpTime, r.Elapsed, r.Peak = began, k.c.WarmUp.Seconds(), elapsed.Seconds(), int(k.tr.peak.Load())
	r.Classes = k.all.classes
	if interrupted {
		r.Ended = cmp.Or(r.Ended, "interrupted")
	}
	if r.Max = k.c.Plan.Max; r.Max > 0 && r.Ended == "" {
		if r.Limit = LimitPlan; uint64(r.Sent+r.WarmUp) >= k.c.Plan.share(r.Max) {
			r.Limit = LimitRequests
		}
	}
	span := paced // how long the last answers took is not an open plan's rate
	if k.c.Workers > 0 {
		span = elapsed
	}
	if uint64(r.Sent+r.WarmUp) == r.Planned && r.Arrivals == Constant {
		span = max(span, k.c.Plan.Span()) // the last request is due before the end of the plan
	}
	seconds := max(span-k.c.WarmUp, time.Microsecond).Seconds()
	r.Reached, r.Goodput = float64(r.Sent)/seconds, float64(r.Classes[Good])/seconds
	r.Intervals = k.intervals.report(k.c.Plan, k.c.WarmUp)
	if k.c.Workers > 0 {
		for i := range r.Intervals {
			r.Intervals[i].Asked = 0
		}
	}
	r.GC = since(k.gc)
	if k.c.Retry.on() {
		r.Retries.Policy = k.c.Retry
	}
	r.fill(k.all, k.rows, k.service, k.lag)
	r.SLOs = append(r.SLOs, k.verdicts()...)
	if k.c.Workers == 0 {
		k.validate()
	}
	r.groups = k.groups()
	return r
}

// fill writes what is measured into the report.
func (r *Report) fill(all *cell, rows map[string]*cell, service, lag *times) {
	r.Response, r.Shed, r.Failed = all.served.summary(), all.shed.summary(), all.failed.summary()
	r.Service, r.Lag = service.summary(), lag.summary()
	r.times = map[string]*times{"response": all.served, "shed": all.shed, "failed": all.failed, "service": service, "lag": lag}
	r.Scenarios = nil
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		c := rows[name]
		r.Scenarios = append(r.Scenarios, Row{name, c.requests(), c.classes, c.statuses, c.served.summary()})
		r.times["response/"+name], r.times["shed/"+name], r.times["failed/"+name] = c.served, c.shed, c.failed
	}
}

// pauses are those of the process's garbage collections, by length in seconds.
func pauses() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64Histogram()
}

// since returns how often the process's memory was collected since there were so many
// pauses of each length.
func since(before []uint64) (gc GC) {
	h := pauses()
	for i, n := range h.Counts {
		if n -= before[i]; n == 0 {
			continue
		}
		gc.Pauses += n
		if gc.Longest = h.Buckets[i+1]; math.IsInf(gc.Longest, 0) {
			gc.Longest = h.Buckets[i]
		}
	}
	return gc
}

// What a generator that keeps up with its plan does not exceed.
const (
	maxLag      = 2 * time.Millisecond // at p99, or
	maxLagShare = 0.05                 // of the response time's p99, if that is more
	minSent     = 0.99                 // of what is planned
)

// lagLimit is how late, in seconds, a generator that keeps up sends requests whose
// response times are so long.
func lagLimit(response float64) float64 { return max(maxLag.Seconds(), maxLagShare*response) }

// Unsent says how much of the plan was not sent, if that is more than a generator that
// keeps up with it leaves; else "". Of Poisson arrivals nobody knows how many there are.
func (r *Report) Unsent() string {
	if r.Arrivals == Poisson || float64(r.Sent+r.WarmUp) >= minSent*float64(r.Planned) {
		return ""
	}
	return fmt.Sprintf("%d of %d planned requests were sent", r.Sent+r.WarmUp, r.Planned)
}

// validate says why the numbers cannot be trusted: they would be the generator's, not
// the target's.
func (k *collector) validate() {
	r := k.report
	if limit := lagLimit(r.Response.P99); r.Lag.P99 > limit {
		r.Invalid = append(r.Invalid, fmt.Sprintf("requests were sent %s late at p99, more than %s", ms(r.Lag.P99), ms(limit)))
	}
	if k.waited > 0 {
		r.Invalid = append(r.Invalid, fmt.Sprintf("all %d workers were busy, and %d requests had to wait for one: raise -max-workers", r.MaxWorkers, k.waited))
	}
	if why := r.Unsent(); why != "" && r.Ended == "" {
		r.Invalid = append(r.Invalid, why)
	}
}

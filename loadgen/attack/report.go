package attack

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/explain"
)

// ReportVersion is that of a Report's JSON. It changes when a field changes its
// meaning or goes away, not when one is added.
const ReportVersion = 1

// Report is what came of an attack. Response time counts from when a request was due
// to the end of its answer, service time from when it was sent; lag is the difference,
// which the generator adds. Times are in seconds, rates in requests a second.
//
// Each request that was sent is in one class, or was cut off by the end of the attack:
// Sent = good + late + shed + failed + Cancelled.
type Report struct {
	Version    int              `json:"version"`
	RunID      string           `json:"run_id"`
	Target     string           `json:"target"`
	StartedAt  time.Time        `json:"started_at"`
	Model      string           `json:"model"`            // open: requests are sent when they are due; closed: when a worker is free
	Stages     string           `json:"stages,omitempty"` // of the open model
	Arrivals   Arrivals         `json:"arrivals,omitempty"`
	Workers    int              `json:"workers,omitempty"` // of the closed model
	MaxWorkers int              `json:"max_workers"`       // requests in flight at most
	Seed       uint64           `json:"seed"`
	Planned    uint64           `json:"planned"` // requests; 0: as many as there is time for
	Sent       int              `json:"sent"`
	Cancelled  int              `json:"cancelled"`
	Elapsed    float64          `json:"elapsed"`
	Asked      float64          `json:"rate_asked"`
	Reached    float64          `json:"rate_reached"`
	Goodput    float64          `json:"goodput"` // good answers a second
	Peak       int              `json:"in_flight_peak"`
	Invalid    []string         `json:"invalid,omitempty"` // why the numbers cannot be trusted
	Classes    map[Class]int    `json:"classes"`
	Response   Summary          `json:"response_time"` // of served requests
	Shed       Summary          `json:"shed_response_time"`
	Failed     Summary          `json:"failed_response_time"`
	Service    Summary          `json:"service_time"` // of all
	Lag        Summary          `json:"lag"`
	RetryAfter int              `json:"retry_after"`           // shed answers that said when to come again
	Scenarios  []Row            `json:"scenarios"`             // in order of name
	Errors     map[string]int   `json:"errors,omitempty"`      // by category
	FirstError string           `json:"first_error,omitempty"` // of the category "other"
	Slowest    []Slow           `json:"slowest"`               // slowest first
	SLOs       []Verdict        `json:"slos,omitempty"`
	Explained  []explain.Answer `json:"explained,omitempty"` // why the slowest were slow; see Groups

	groups []explain.Group
	times  map[string]*times // by name of file
}

// Row is one scenario's part of a report.
type Row struct {
	Name     string        `json:"name"`
	Requests int           `json:"requests"`
	Classes  map[Class]int `json:"classes"`
	Statuses map[int]int   `json:"statuses"`      // 0: no answer
	Response Summary       `json:"response_time"` // of served requests
}

// Slow is a slow request.
type Slow struct {
	Response float64 `json:"response_time"`
	Scenario string  `json:"scenario"`
	Class    Class   `json:"class"`
	Status   int     `json:"status"`             // 0: no answer
	TraceID  string  `json:"trace_id,omitempty"` // none if its trace is not sampled
}

const maxSlow = 5

// Groups returns the served requests to be explained: the slowest of each scenario,
// and typical ones.
func (r *Report) Groups() []explain.Group { return r.groups }

// WriteJSON writes the report as a JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Violated returns how many objectives were not met.
func (r *Report) Violated() int {
	n := 0
	for _, v := range r.SLOs {
		if !v.Met {
			n++
		}
	}
	return n
}

// collector takes in what vegeta tells, and makes the report.
type collector struct {
	c       Config
	report  *Report
	all     *cell
	rows    map[string]*cell
	late    map[string]time.Duration
	service *times
	lag     *times

	samplers map[string]*sampler
	waited   int    // requests that were late because all workers were busy
	meter    *meter // nil: nothing is told
}

func newCollector(c Config) *collector {
	r := &Report{Version: ReportVersion, RunID: c.RunID, Target: c.URL, MaxWorkers: c.MaxWorkers, Seed: c.Seed, Errors: map[string]int{}, Slowest: []Slow{}}
	if c.Workers > 0 {
		r.Model, r.Workers, r.Planned = "closed", c.Workers, c.Plan.Max
	} else {
		r.Model, r.Stages, r.Arrivals, r.Planned = "open", c.Plan.String(), c.Plan.Arrivals, c.Plan.Planned()
		r.Asked = c.Plan.average()
	}
	k := &collector{c: c, report: r, all: newCell(), rows: map[string]*cell{}, late: map[string]time.Duration{}, service: newTimes(), lag: newTimes(), samplers: map[string]*sampler{}}
	for name, weight := range c.Mix {
		if weight > 0 {
			k.rows[name], k.late[name] = newCell(), lateAfter(c.SLOs, name)
			k.samplers[name] = &sampler{rng: newRNG(c.Seed, 4)}
		}
	}
	return k
}

// add takes one result in. vegeta's own latency counts from when a worker took
// the request up, which leaves out how long it had to wait for one.
func (k *collector) add(res *vegeta.Result, n *note) {
	r := k.report
	r.Sent++
	if interrupted(res, n) {
		r.Cancelled++
		return
	}
	if n == nil {
		k.all.classes[Failed]++
		k.all.statuses[0]++
		r.Errors["not sent"]++
		return
	}
	due := res.Timestamp
	if !n.due.IsZero() {
		due = n.due
	}
	status, response := int(res.Code), res.End().Sub(due)
	class := k.classify(n, status, response)
	if k.meter != nil {
		k.meter.add(n.scenario.name, class, response, res.Timestamp.Sub(due), n.span)
	}
	k.all.add(class, status, response)
	k.rows[n.scenario.name].add(class, status, response)
	k.service.add(res.Latency)
	k.lag.add(res.Timestamp.Sub(due))
	if k.c.Workers == 0 && n.full && res.Timestamp.Sub(due) > maxLag {
		k.waited++
	}
	if class == Shed && n.retryAfter {
		r.RetryAfter++
	}
	if class == Shed || class == Failed {
		k.fail(res, n.scenario.name)
	} else {
		k.samplers[n.scenario.name].add(explain.Request{TraceID: n.traceID(), Response: response, Lag: res.Timestamp.Sub(due)})
	}
	k.slow(Slow{response.Seconds(), n.scenario.name, class, status, n.traceID()})
}

func (k *collector) classify(n *note, status int, response time.Duration) Class {
	switch late := k.late[n.scenario.name]; {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return Shed
	case !n.scenario.expects(n.want, status):
		return Failed
	case late > 0 && response >= late:
		return Late
	default:
		return Good
	}
}

func (k *collector) fail(res *vegeta.Result, scenario string) {
	r := k.report
	if res.Code != 0 {
		r.Errors["status "+strconv.Itoa(int(res.Code))+" for "+scenario]++
		return
	}
	c := category(res.Error)
	r.Errors[c]++
	if c == "other" && r.FirstError == "" {
		r.FirstError = res.Error
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

// finish makes the report of an attack that began at a time and lasted so long.
func (k *collector) finish(began time.Time, elapsed time.Duration, peak int, interrupted bool) *Report {
	r := k.report
	r.StartedAt, r.Elapsed, r.Peak = began, elapsed.Seconds(), peak
	r.Classes = k.all.classes
	span := elapsed
	if uint64(r.Sent) == r.Planned && r.Arrivals == Constant {
		span = max(span, k.c.Plan.span()) // the last request is due before the end of the plan
	}
	seconds := max(span, time.Microsecond).Seconds()
	r.Reached, r.Goodput = float64(r.Sent)/seconds, float64(r.Classes[Good])/seconds
	r.Response, r.Shed, r.Failed = k.all.served.summary(), k.all.shed.summary(), k.all.failed.summary()
	r.Service, r.Lag = k.service.summary(), k.lag.summary()
	for _, name := range slices.Sorted(maps.Keys(k.rows)) {
		c := k.rows[name]
		r.Scenarios = append(r.Scenarios, Row{name, c.requests(), c.classes, c.statuses, c.served.summary()})
	}
	for _, s := range k.c.SLOs {
		c := k.all
		if s.scenario != "" {
			c = k.rows[s.scenario]
		}
		r.SLOs = append(r.SLOs, s.judge(c))
	}
	if k.c.Workers == 0 {
		k.validate(interrupted)
	}
	r.groups = k.groups()
	r.times = map[string]*times{"response": k.all.served, "service": k.service, "lag": k.lag}
	return r
}

// What a generator that keeps up with its plan does not exceed.
const (
	maxLag      = 2 * time.Millisecond // at p99, or
	maxLagShare = 0.05                 // of the response time's p99, if that is more
	minSent     = 0.99                 // of what is planned
)

// validate says why the numbers cannot be trusted: they would be the generator's, not
// the target's.
func (k *collector) validate(interrupted bool) {
	r := k.report
	if limit := max(maxLag.Seconds(), maxLagShare*r.Response.P99); r.Lag.P99 > limit {
		r.Invalid = append(r.Invalid, fmt.Sprintf("requests were sent %s late at p99, more than %s", ms(r.Lag.P99), ms(limit)))
	}
	if k.waited > 0 {
		r.Invalid = append(r.Invalid, fmt.Sprintf("all %d workers were busy, and %d requests had to wait for one: raise -max-workers", r.MaxWorkers, k.waited))
	}
	if !interrupted && r.Arrivals != Poisson && float64(r.Sent) < minSent*float64(r.Planned) {
		r.Invalid = append(r.Invalid, fmt.Sprintf("%d of %d planned requests were sent", r.Sent, r.Planned))
	}
}

// Package report has the report of a run: how it comes out of what was measured, its files
// and JSON, and the formats that people read.
//
// It knows nothing of how requests are sent.
package report

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"soundcheck/loadgen/explain"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
)

// Version is that of a Report's JSON. It changes when a field changes its meaning or goes
// away, not when one is added.
const Version = 1

// Report is what came of a run. Response time counts from when a request was due to the
// end of its response, service time from when it was sent; lag is the difference, which the
// generator adds. Times are in seconds, rates in requests a second, counts in requests.
//
// Each request that was sent is in one class, or was cut off by the end of the run:
// Sent = good + late + shed + failed + Cancelled.
//
// Fields may be added to its JSON; Version changes if one changes its meaning or goes.
// docs/report-json.md describes each.
type Report struct {
	Version    int                   `json:"version"`
	RunID      string                `json:"run_id"`
	Target     string                `json:"target"`
	Traces     string                `json:"traces,omitempty"` // where traces can be looked at: an address to which an id belongs; "": nobody knows
	StartedAt  time.Time             `json:"started_at"`
	Model      string                `json:"model"`            // open: requests are sent when they are due; closed: when a worker is free
	Stages     string                `json:"stages,omitempty"` // of the open model
	Arrivals   schedule.Arrivals     `json:"arrivals,omitempty"`
	Workers    int                   `json:"workers,omitempty"` // of the closed model
	MaxWorkers int                   `json:"max_workers"`       // requests in flight at most
	Seed       uint64                `json:"seed"`
	Planned    uint64                `json:"planned"`                // requests; 0: as many as there is time for
	Max        uint64                `json:"max_requests,omitempty"` // of the whole plan, with all shards
	Limit      Limit                 `json:"limit,omitempty"`        // which came first, where there is Max
	Sent       int                   `json:"sent"`
	Cancelled  int                   `json:"cancelled"`
	WarmUp     int                   `json:"warm_up,omitempty"`      // requests before those that are counted
	WarmUpTime float64               `json:"warm_up_time,omitempty"` // how long that was; intervals begin at its end
	Ended      string                `json:"ended,omitempty"`        // why it was ended before its time
	Replay     string                `json:"replay,omitempty"`       // file whose requests were sent again, instead of stages
	Shard      string                `json:"shard,omitempty"`        // as in 2/4: the part of the plan that this is
	Elapsed    float64               `json:"elapsed"`
	Asked      float64               `json:"rate_asked"`
	Reached    float64               `json:"rate_reached"`
	Goodput    float64               `json:"goodput"` // good answers a second
	Peak       int                   `json:"in_flight_peak"`
	Invalid    []string              `json:"invalid,omitempty"` // why the numbers cannot be trusted
	Classes    map[measure.Class]int `json:"classes"`
	Response   measure.Summary       `json:"response_time"` // of served requests
	Shed       measure.Summary       `json:"shed_response_time"`
	Failed     measure.Summary       `json:"failed_response_time"`
	Service    measure.Summary       `json:"service_time"` // of all
	Lag        measure.Summary       `json:"lag"`
	RetryAfter RetryAfter            `json:"retry_after"`
	Retries    Retries               `json:"retries,omitzero"`
	GC         measure.GC            `json:"gc"`                    // of the generator
	Scenarios  []Row                 `json:"scenarios"`             // in order of name
	Errors     map[string]int        `json:"errors,omitempty"`      // by category
	FirstError string                `json:"first_error,omitempty"` // of the category "other"
	Slowest    []Slow                `json:"slowest"`               // slowest first
	SLOs       []slo.Verdict         `json:"slos,omitempty"`
	Explained  []explain.Answer      `json:"explained,omitempty"` // why the slowest were slow; see package explain
	Intervals  []Interval            `json:"intervals"`           // by when requests were due; one after the other, at most 600
	// Histograms are only in files: response, shed, failed, service and lag, and the first
	// three of each scenario as in response/get.
	Histograms map[string]measure.Histogram `json:"histograms,omitempty"`

	// Groups are the served requests to be explained: the slowest of each scenario, and
	// typical ones. They are in no file.
	Groups []explain.Group `json:"-"`

	times map[string]*measure.Times // by name, as in Histograms
}

// Limit is what ended a run that had a maximum of requests.
type Limit string

// Limits of a run: the maximum of requests, or the duration, stages or recording.
const (
	LimitRequests Limit = "requests"
	LimitPlan     Limit = "plan"
)

// RetryAfter is about answers of 429 and 503 that said when to come again, those to the
// tries of one request each. A promise was kept if the first try that was sent after that
// time was served, and broken if it was refused. The rest was not tested before the end,
// or by one that failed.
type RetryAfter struct {
	Given  int `json:"given"`
	Kept   int `json:"kept"`
	Broken int `json:"broken"`
}

// Retries is about requests that were sent more than once. They count once, with what
// became of them in the end; their response times count from when they were due.
type Retries struct {
	Policy   string `json:"policy"`
	Requests int    `json:"requests"`
	Tries    int    `json:"tries"`  // beside their first ones
	Served   int    `json:"served"` // requests, in the end
}

// Row is one scenario's part of a report.
type Row struct {
	Name     string                `json:"name"`
	Requests int                   `json:"requests"`
	Classes  map[measure.Class]int `json:"classes"`
	Statuses map[int]int           `json:"statuses"`      // 0: no answer
	Response measure.Summary       `json:"response_time"` // of served requests
}

// Slow is a slow request.
type Slow struct {
	Response float64       `json:"response_time"` // seconds
	Scenario string        `json:"scenario"`
	Class    measure.Class `json:"class"`
	Status   int           `json:"status"`             // 0: no answer
	TraceID  string        `json:"trace_id,omitempty"` // none if its trace is not sampled
}

const maxSlow = 5

// WriteJSON writes the report as a JSON object, without histograms.
func (r *Report) WriteJSON(w io.Writer) error {
	short := *r
	short.Histograms, short.Intervals = nil, slices.Clone(r.Intervals)
	for i := range short.Intervals {
		short.Intervals[i].HDR = ""
	}
	return short.writeAll(w)
}

func (r *Report) writeAll(w io.Writer) error {
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

// Objectives are the texts of the objectives, with commas between them.
func (r *Report) Objectives() string {
	var texts []string
	for _, v := range r.SLOs {
		texts = append(texts, v.SLO)
	}
	return strings.Join(texts, ",")
}

// Unserved is how many requests failed or were shed.
func (r *Report) Unserved() int { return r.Classes[measure.Failed] + r.Classes[measure.Shed] }

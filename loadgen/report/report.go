// Package report builds the report of a run from its measurements, and writes it as JSON,
// text, markdown and HTML. It does not depend on how requests are sent.
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

// Report is the result of a run. Response time: scheduled → end of the response. Service
// time: sent → end of the response. Send delay: scheduled → sent, added by the generator.
// Times are in seconds, rates in req/s, counts in requests.
//
// Each sent request is in one class or cancelled by the end of the run:
// Sent = good + late + shed + failed + Cancelled.
//
// docs/report-json.md describes each field, alias.go has the deprecated keys.
type Report struct {
	Version         int                     `json:"version"`
	RunID           string                  `json:"run_id"`
	Name            string                  `json:"name,omitempty"` // of its user
	Target          string                  `json:"target"`
	Traces          string                  `json:"traces,omitempty"`  // base URL of trace pages, to which a trace id is appended; "": unknown
	Console         string                  `json:"console,omitempty"` // base URL of the lab's console, which has these traces; "": unknown
	StartedAt       time.Time               `json:"started_at"`
	Model           string                  `json:"model"`            // open: requests are sent at scheduled times; closed: when a worker is free
	Stages          string                  `json:"stages,omitempty"` // of the open model
	Arrivals        schedule.Arrivals       `json:"arrivals,omitempty"`
	Workers         int                     `json:"workers,omitempty"`    // of the closed model
	MaxWorkers      int                     `json:"max_workers"`          // max concurrent requests
	Connection      string                  `json:"connection,omitempty"` // options of connections that are not the default
	Seed            uint64                  `json:"seed"`
	Planned         uint64                  `json:"planned"`                // requests; 0: no limit but time
	Max             uint64                  `json:"max_requests,omitempty"` // of the plan, all shards
	Unfed           uint64                  `json:"unfed,omitempty"`        // scheduled times that passed before -targets had a request for them
	Limit           Limit                   `json:"limit,omitempty"`        // reached first, if there are several
	Sent            int                     `json:"sent"`
	Cancelled       int                     `json:"cancelled"`
	WarmUp          int                     `json:"warm_up,omitempty"`      // requests of the warm-up, not measured
	WarmUpTime      float64                 `json:"warm_up_time,omitempty"` // intervals begin at its end
	Ended           string                  `json:"ended,omitempty"`        // why it ended early
	Replay          string                  `json:"replay,omitempty"`       // recording, instead of stages
	Shard           string                  `json:"shard,omitempty"`        // i/n, as in 2/4
	Processes       int                     `json:"processes,omitempty"`    // merged
	Elapsed         float64                 `json:"elapsed"`
	RateTarget      float64                 `json:"rate_target"`
	RateActual      float64                 `json:"rate_actual"`
	Goodput         float64                 `json:"goodput"` // good responses
	Peak            int                     `json:"in_flight_peak"`
	Invalid         []string                `json:"invalid,omitempty"` // reasons
	Classes         map[measure.Class]int   `json:"classes"`
	Response        measure.Summary         `json:"response_time"` // of served requests
	Shed            measure.Summary         `json:"shed_response_time"`
	Failed          measure.Summary         `json:"failed_response_time"`
	Statuses        map[int]measure.Summary `json:"status_response_time,omitempty"` // by HTTP status
	Service         measure.Summary         `json:"service_time"`                   // of all
	SendDelay       measure.Summary         `json:"send_delay"`
	FirstByte       measure.Summary         `json:"first_byte_time"`     // sent → first byte of the response, of the last attempt
	Body            measure.Summary         `json:"body_time"`           // first byte → end of the response
	BytesReceived   uint64                  `json:"bytes_received"`      // of response bodies
	BytesSent       uint64                  `json:"bytes_sent"`          // of request bodies
	Protocols       map[string]int          `json:"protocols,omitempty"` // responses by HTTP version, as in HTTP/1.1
	Opened          int                     `json:"connections_opened"`
	DNS             measure.Summary         `json:"dns_time,omitzero"` // of opened connections
	Connect         measure.Summary         `json:"connect_time,omitzero"`
	TLS             measure.Summary         `json:"tls_time,omitzero"`
	Flow            *Flow                   `json:"flow,omitempty"`
	RetryAfter      RetryAfter              `json:"retry_after"`
	Retries         Retries                 `json:"retries,omitzero"`
	GC              measure.GC              `json:"gc"`                      // of the generator
	Scenarios       []Row                   `json:"scenarios"`               // in order of name
	Errors          map[string]int          `json:"errors,omitempty"`        // by category
	FirstError      string                  `json:"first_error,omitempty"`   // of a category that needs an explanation
	FailedChecks    []FailedCheck           `json:"failed_checks,omitempty"` // most frequent first
	Slowest         []Slow                  `json:"slowest"`                 // slowest first
	SLOs            []slo.Verdict           `json:"slos,omitempty"`
	TailAttribution []explain.Attribution   `json:"tail_attribution,omitempty"` // see package explain
	Intervals       []Interval              `json:"intervals"`                  // by scheduled time; contiguous, at most 600
	Histograms      Histograms              `json:"histograms,omitempty"`       // only in files

	// Groups are the requests for tail-latency attribution: the slowest of each scenario
	// and typical ones. No file has them.
	Groups []explain.Group `json:"-"`
	// Candidates are the requests from which Merger picks the groups of several reports. Only
	// EncodePart writes them.
	Candidates []explain.Group `json:"-"`

	times  map[string]*measure.Times // by name, as in Histograms
	packed *packed                   // of a part, until it is merged
}

// Histograms are, by name, response, flow, shed, failed, service, send_delay, first_byte, body, dns, connect and tls, and
// the first three of each scenario, as in response/get, and response times by HTTP status, as in status/200.
type Histograms map[string]measure.Histogram

// Limit is what ended a run with a max number of requests or targets.
type Limit string

// Limits of a run: the max number of requests; the duration, stages or recording; or the end of the
// targets.
const (
	LimitRequests Limit = "requests"
	LimitPlan     Limit = "plan"
	LimitTargets  Limit = "targets"
)

// RetryAfter counts 429 and 503 responses with a Retry-After header. It is kept if the first
// attempt after that time was served, and broken if that was shed. The rest was not tested:
// no attempt followed, or it failed.
type RetryAfter struct {
	Given  int `json:"given"`
	Kept   int `json:"kept"`
	Broken int `json:"broken"`
}

// Retries counts requests with more than one attempt. Elsewhere such a request counts once,
// with its last attempt's class; its response time begins at its scheduled time.
type Retries struct {
	Policy   string `json:"policy"`
	Requests int    `json:"requests"`
	Attempts int    `json:"retry_attempts"` // first attempts not included
	Served   int    `json:"served"`         // retried requests with a served last attempt
}

// Row is one scenario of a report.
type Row struct {
	Name     string                `json:"name"`
	Requests int                   `json:"requests"`
	Classes  map[measure.Class]int `json:"classes"`
	Statuses map[int]int           `json:"statuses"`      // 0: no response
	Response measure.Summary       `json:"response_time"` // of served requests
}

// Slow is one of the slowest requests.
type Slow struct {
	Response float64       `json:"response_time"` // seconds
	Scenario string        `json:"scenario"`
	Class    measure.Class `json:"class"`
	Status   int           `json:"status"`             // 0: no response
	TraceID  string        `json:"trace_id,omitempty"` // "": not sampled
	// ScheduledAt is when the request was to be sent, or when the user was to begin. Zero: unknown, of an older report.
	ScheduledAt time.Time `json:"scheduled_at,omitzero"`

	scheduled time.Duration // since the end of the warm-up
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

// Violated returns the number of violated SLOs.
func (r *Report) Violated() int {
	n := 0
	for _, v := range r.SLOs {
		if !v.Met {
			n++
		}
	}
	return n
}

// Objectives returns the SLOs, separated by commas.
func (r *Report) Objectives() string {
	var texts []string
	for _, v := range r.SLOs {
		texts = append(texts, v.SLO)
	}
	return strings.Join(texts, ",")
}

// Unserved returns the number of failed or shed requests.
func (r *Report) Unserved() int { return r.Classes[measure.Failed] + r.Classes[measure.Shed] }

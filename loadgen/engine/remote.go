package engine

import (
	"net/http"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/targets"
	"soundcheck/loadgen/workload"
)

// Remote is what a worker of a distributed run must know of a Config, in JSON.
type Remote struct {
	URL         string                `json:"url"`
	Stages      []schedule.Stage      `json:"stages"`
	Arrivals    schedule.Arrivals     `json:"arrivals"`
	Max         uint64                `json:"max"`
	Timeout     time.Duration         `json:"timeout"`
	MaxWorkers  int                   `json:"max_workers"`
	Mix         workload.Mix          `json:"mix"`
	Targets     []vegeta.Target       `json:"targets"`
	Data        *targets.Data         `json:"data"`
	Header      http.Header           `json:"header"`
	Expect      workload.Expectations `json:"expect"`
	EachOnce    bool                  `json:"each_once"`
	Seed        uint64                `json:"seed"`
	SLOs        []string              `json:"slos"`
	Retry       retry.Policy          `json:"retry"`
	TraceSample float64               `json:"trace_sample"`
	WarmUp      time.Duration         `json:"warm_up"`
	Before      uint64                `json:"before"`
	Connect     connect.Options       `json:"connect,omitzero"` // without the client certificate: the worker has its own
}

// RemoteOf returns what workers must know of a configuration.
func RemoteOf(c Config) Remote {
	r := Remote{URL: c.URL, Stages: c.Plan.Stages, Arrivals: c.Plan.Arrivals, Max: c.Plan.Max, Timeout: c.Timeout, MaxWorkers: c.MaxWorkers, Mix: c.Mix, Targets: c.Targets,
		Data: c.Data, Header: c.Header, Expect: c.Expect, EachOnce: c.EachOnce,
		Seed: c.Seed, Retry: c.Retry, TraceSample: c.TraceSample, WarmUp: c.WarmUp, Before: c.Before, Connect: c.Connect}
	for _, o := range c.SLOs {
		r.SLOs = append(r.SLOs, o.String())
	}
	return r
}

// Config is the inverse of RemoteOf, for one of the workers of a run.
func (r Remote) Config(runID string, worker, workers int) (Config, error) {
	c := Config{RunID: runID, URL: r.URL, Plan: schedule.Plan{Stages: r.Stages, Arrivals: r.Arrivals, Max: r.Max}, Timeout: r.Timeout, MaxWorkers: r.MaxWorkers,
		Workload: workload.Workload{Mix: r.Mix, Targets: r.Targets, Data: r.Data, Header: r.Header, Expect: r.Expect, EachOnce: r.EachOnce}, Seed: r.Seed, Retry: r.Retry, TraceSample: r.TraceSample, WarmUp: r.WarmUp, Before: r.Before, Connect: r.Connect,
		Worker: strconv.Itoa(worker), Parts: true}
	if workers > 1 {
		c.Plan.Shard, c.Plan.Shards = uint64(worker), uint64(workers)
	}
	for _, text := range r.SLOs {
		o, err := slo.Parse(text)
		if err != nil {
			return c, err
		}
		c.SLOs = append(c.SLOs, o)
	}
	return c, nil
}

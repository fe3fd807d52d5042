package engine

import (
	"strconv"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// Remote is what a worker of a distributed run must know of a Config, in JSON.
type Remote struct {
	workload.Remote
	URL         string            `json:"url"`
	Stages      []schedule.Stage  `json:"stages"`
	Arrivals    schedule.Arrivals `json:"arrivals"`
	Max         uint64            `json:"max"`
	Timeout     time.Duration     `json:"timeout"`
	MaxWorkers  int               `json:"max_workers"`
	Seed        uint64            `json:"seed"`
	SLOs        []string          `json:"slos"`
	Retry       retry.Policy      `json:"retry"`
	TraceSample float64           `json:"trace_sample"`
	WarmUp      time.Duration     `json:"warm_up"`
	Before      uint64            `json:"before"`
	Connect     connect.Options   `json:"connect,omitzero"` // without the client certificate: the worker has its own
}

// RemoteOf returns what workers must know of a configuration.
func RemoteOf(c Config) Remote {
	r := Remote{Remote: c.Workload.Remote(), URL: c.URL, Stages: c.Plan.Stages, Arrivals: c.Plan.Arrivals, Max: c.Plan.Max, Timeout: c.Timeout, MaxWorkers: c.MaxWorkers,
		Seed: c.Seed, Retry: c.Retry, TraceSample: c.TraceSample, WarmUp: c.WarmUp, Before: c.Before, Connect: c.Connect}
	for _, o := range c.SLOs {
		r.SLOs = append(r.SLOs, o.String())
	}
	return r
}

// Config is the inverse of RemoteOf, for one of the workers of a run.
func (r Remote) Config(runID string, worker, workers int) (Config, error) {
	c := Config{RunID: runID, URL: r.URL, Plan: schedule.Plan{Stages: r.Stages, Arrivals: r.Arrivals, Max: r.Max}, Timeout: r.Timeout, MaxWorkers: r.MaxWorkers,
		Seed: r.Seed, Retry: r.Retry, TraceSample: r.TraceSample, WarmUp: r.WarmUp, Before: r.Before, Connect: r.Connect,
		Worker: strconv.Itoa(worker), Parts: true}
	var err error
	if c.Workload, err = r.Workload(); err != nil {
		return c, err
	}
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

// Package remote has what travels from the coordinator of a distributed run to its workers: each gets its share of the
// run.
package remote

import (
	"fmt"
	"strconv"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// Run is what a worker must know of an engine.Config, in JSON.
type Run struct {
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
	Users       int               `json:"users,omitempty"`  // of the closed model, of all workers
	Population  []schedule.Stage  `json:"population,omitempty"`
	Think       *flow.Think       `json:"think,omitempty"`
}

// Of returns what workers must know of a configuration, which is of all of them.
func Of(c engine.Config) Run {
	r := Run{Remote: c.Workload.Remote(), URL: c.URL, Stages: c.Plan.Stages, Arrivals: c.Plan.Arrivals, Max: c.Plan.Max, Timeout: c.Timeout, MaxWorkers: c.MaxWorkers,
		Seed: c.Seed, Retry: c.Retry, TraceSample: c.TraceSample, WarmUp: c.WarmUp, Before: c.Before, Connect: c.Connect, Users: c.Workers, Population: c.Users, Think: c.Think}
	for _, o := range c.SLOs {
		r.SLOs = append(r.SLOs, o.String())
	}
	return r
}

// Config is the inverse of Of, for one of the workers of a run. Of a population, it has every workers-th user, so that
// the sum of all workers is exact at any time.
func (r Run) Config(runID string, worker, workers int) (engine.Config, error) {
	c := engine.Config{RunID: runID, URL: r.URL, Plan: schedule.Plan{Stages: r.Stages, Arrivals: r.Arrivals, Max: r.Max}, Timeout: r.Timeout, MaxWorkers: r.MaxWorkers,
		Seed: r.Seed, Retry: r.Retry, TraceSample: r.TraceSample, WarmUp: r.WarmUp, Before: r.Before, Connect: r.Connect, Users: r.Population, Think: r.Think,
		Worker: strconv.Itoa(worker), Parts: true}
	var err error
	if c.Workload, err = r.Workload(); err != nil {
		return c, err
	}
	if workers > 1 {
		c.Plan.Shard, c.Plan.Shards = uint64(worker), uint64(workers)
	}
	if r.Users > 0 {
		if c.Workers = int(c.Plan.Share(uint64(r.Users))); c.Workers == 0 {
			return c, fmt.Errorf("-users: %d at once is fewer than the %d workers, each with a user of its own", r.Users, workers)
		}
		c.MaxWorkers = c.Workers
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

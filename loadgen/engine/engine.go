// Package engine sends the requests of a plan and measures the responses.
//
// In the open model a request is sent at its scheduled time, independent of responses.
// Response time begins at the scheduled time, so that it includes the wait during a stall of
// the target (no coordinated omission). In the closed model each worker sends its next request
// after a response, so that a stall reduces the load.
package engine

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// Config is the configuration of a run.
type Config struct {
	RunID      string           // in metrics and the report; trace ids depend on it
	Worker     string           // index of this process among those of the run, in metrics and spans; "": one process
	URL        string           // of the service, without a trailing slash; for targets the name of their file
	Plan       schedule.Plan    // the closed model uses only its duration and Max
	Workers    int              // of the closed model, in this process; 0: open model
	Users      []schedule.Stage // population of a flow in the closed model, of all shards; nil: constant
	Think      *flow.Think      // in place of those of the flow
	Timeout    time.Duration    // per request, including retries
	MaxWorkers int              // max concurrent requests
	workload.Workload
	Seed        uint64 // random seed of arrivals, scenario order and albums
	SLOs        []slo.Objective
	Retry       retry.Policy
	TraceSample float64       // sampled share of traces without a TracerProvider
	StartAt     time.Time     // start of the plan; zero: now
	WarmUp      time.Duration // requests scheduled in it are not measured
	// Before is the number of requests that earlier plans of this run scheduled, in all
	// shards: trace ids continue after them.
	Before uint64

	// TracerProvider creates the client spans, with trace ids by NewIDs; nil: trace context
	// without spans.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator

	// Connect is how to connect, and what to do with redirects.
	Connect connect.Options

	// Pool, if not nil, has the connections of several calls of Run.
	Pool *Pool
	// Folder, if not nil, gets each result. The caller calls Finish.
	Folder *report.Folder
	// Recorder, if not nil, gets each request. The caller calls Close.
	Recorder *workload.Recorder
	// Progress, if not nil, is called every second.
	Progress func(Progress)
	// Parts makes Progress have the parts since its last call. It is called once more at the
	// end, with the rest.
	Parts bool
	// EndWhen, if not nil, is called every second. The run ends if it returns a reason.
	EndWhen func([]slo.Outlook) string
	// End, if not nil, ends the run when it has a reason: no more requests are sent, those in flight complete.
	End <-chan string
	// FirstSent, if not nil, is called beside the first request, with its scheduled time since the start
	// and the time at which it was sent. Run waits for it.
	FirstSent func(scheduled time.Duration, sent time.Time)

	arms     []*url.URL                        // targets, instead of URL
	arm      func(scheduled time.Duration) int // target of a request by scheduled time; nil: one target
	interval time.Duration                     // width of the report's intervals; 0: 1 s
	sender   sender                            // instead of Pool
	fakeTime bool                              // the runtime's timers have no delay
}

// Progress is the state of a run.
type Progress struct {
	Starts            time.Duration // from now; 0: started
	Elapsed, Duration time.Duration
	RateTarget        float64 // now, in req/s; 0 in the closed model
	Requests          int
	InFlight          int
	Users             int                   // that are on their way through a flow
	Done              int                   // users who completed or failed, with those of the warm-up
	Classes           map[measure.Class]int // so far
	P99               time.Duration         // response time of served requests, so far
	Last              measure.Window
	Parts             []measure.Part // if Config.Parts
	Silent            string         // of several workers one that has sent no numbers for a while
	Slowest           string         // of several workers the one with the longest send delay of Last
}

// pool returns the sender if it is that of the network.
func (c Config) pool() *Pool {
	p, _ := c.sender.(*Pool)
	return p
}

// Run sends requests until the end of the plan or of ctx, and returns the report. Requests
// cancelled by ctx are counted, not measured.
func Run(ctx context.Context, c Config) (*report.Report, error) {
	if c.Workers > 0 {
		c.MaxWorkers = c.Workers
	}
	if len(c.arms) == 0 {
		base, err := url.Parse(c.URL)
		if err != nil {
			return nil, err
		}
		c.arms = []*url.URL{base}
	}
	if c.Recording != nil {
		if err := c.Recording.Open(); err != nil {
			return nil, err
		}
		defer c.Recording.Close()
		c.Plan.Replay = c.Recording.Replay()
	}
	pacing := schedule.Pacing{Plan: c.Plan, Closed: c.Workers > 0, StartAt: c.StartAt, Seed: c.Seed, Arm: c.arm, Arms: len(c.arms), ExactTimers: c.fakeTime}
	if c.Stream != nil {
		if err := c.Stream.Wait(ctx); err != nil {
			return nil, err
		}
		defer c.Stream.Close()
		pacing.Feed = c.Stream.Feed
	}
	if c.sender == nil {
		pool := c.Pool
		if pool == nil {
			pool = NewPool(c.MaxWorkers, c.Connect)
			defer pool.Close()
		}
		defer context.AfterFunc(ctx, pool.Close)()
		c.sender = pool
	}
	pacingCtx, stop := context.WithCancel(ctx)
	defer stop()
	p := schedule.NewPacer(pacingCtx, pacing)
	tr := &transport{c: c, ctx: ctx, users: users{ctx: pacingCtx}, pacer: p, trace: newTracing(c), results: newResults(), promises: make([]retry.Promises, len(c.arms))}
	if tr.pool = c.pool(); tr.pool != nil {
		tr.pool.count()
	}
	var err error
	if tr.source, err = c.NewSource(c.Seed, len(c.arms)); err != nil {
		return nil, err
	}
	if tr.meter, err = newMeter(c, tr); err != nil {
		return nil, fmt.Errorf("metrics of the attack: %w", err)
	}
	defer func() { _ = tr.meter.gauges.Unregister() }()
	// The pacer ends the run too, except while all workers are busy.
	var stopped atomic.Pointer[time.Time]
	defer context.AfterFunc(pacingCtx, func() {
		now := time.Now()
		stopped.Store(&now)
	})()
	k := newCollector(c, tr)
	c.open(pacingCtx, tr.pool)
	newLoop(tr).collect(k, c.End, stop)
	tr.firstSent.Wait() // what follows is about this run, or the next one
	end := p.Ended()
	if t := stopped.Load(); t != nil && t.Before(end) {
		end = *t
	}
	err = p.Err()
	if c.Stream != nil {
		k.Streamed(p.Unfed(), c.Stream.Ended())
		if err = c.Stream.Err(); err != nil && k.Report.Ended == "" {
			k.Report.Ended = "invalid input of -targets" // the error may have parts of it
		}
	}
	if tr.pool != nil {
		k.Opened = tr.pool.count()
	}
	if c.Flow != nil {
		k.Report.Flow.Peak = int(tr.users.peak.Load())
	}
	r := k.Finish(p.Began(), max(end.Sub(p.Began()), 0), max(time.Since(p.Began()), 0), int(tr.peak.Load()), ctx.Err() != nil)
	if c.Parts && c.Progress != nil {
		c.Progress(k.progress(k.Window()))
	}
	return r, err
}

// Package engine sends requests as a plan says, with vegeta, and measures the responses.
//
// The load is open: a request is sent when it is due, whether or not the ones
// before it were answered. Response time counts from when a request was due, so
// that a stall of the target, during which requests wait, is not left out. Or it is
// closed: a number of workers that send when they were answered, which leaves out what
// a stall keeps from being sent.
package engine

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// Config is a run.
type Config struct {
	RunID      string        // names this run in metrics and in the report; its traces' ids follow from it
	URL        string        // of the service, without a final slash; of targets where they come from
	Plan       schedule.Plan // of the closed model only its duration and Max count
	Workers    int           // of the closed model; 0: the model is open
	Timeout    time.Duration // for one request
	MaxWorkers int           // requests in flight at most
	workload.Workload
	Seed        uint64 // of the arrivals, the scenarios' order and the albums
	SLOs        []slo.Objective
	Retry       Retry
	TraceSample float64       // share of traces that are sampled where there is no TracerProvider
	StartAt     time.Time     // when the plan begins; zero: at once
	WarmUp      time.Duration // requests that are due before are not counted
	Before      uint64        // requests of the same run that were sent earlier, for the trace ids

	// TracerProvider makes the client spans, with trace ids by NewIDs; nil: there are no
	// spans, only trace context.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator

	// Pool, if not nil, has connections for more than one call of Run.
	Pool *Pool
	// Folder, if not nil, gets each result. The caller finishes it.
	Folder *report.Folder
	// Recorder, if not nil, gets each request. The caller closes it.
	Recorder *workload.Recorder
	// Progress, if not nil, is called every second.
	Progress func(Progress)
	// EndWhen, if not nil, is asked every second. The run ends when it gives a reason.
	EndWhen func([]slo.Outlook) string

	arms     []*url.URL                  // instead of URL
	arm      func(due time.Duration) int // which of arms a request goes to; nil: there is one
	interval time.Duration               // how wide the report's intervals are; 0: a second
	sender   sender                      // instead of Pool
	fakeTime bool                        // the runtime's timers are right
}

// Progress is how far a run is.
type Progress struct {
	Starts            time.Duration // from now; 0: it has begun
	Elapsed, Duration time.Duration
	Asked             float64 // target rate now, in requests a second; of the closed model 0
	Requests          int
	InFlight          int
	Classes           map[measure.Class]int // so far
	P99               time.Duration         // of the served requests' response time, so far
	Last              measure.Window
}

// initialWorkers is what vegeta starts with; it adds more while all are busy.
const initialWorkers = 16

// probeTimeout is for the one question before the run.
const probeTimeout = 5 * time.Second

// Probe returns an error if no album service answers at base. It asks for
// /healthz, which no service traces or counts.
func Probe(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection can be used again
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/healthz answered %s: that is no album service", base, resp.Status)
	}
	return nil
}

// Run sends requests until the plan or the duration is over, or ctx ends, and reports what
// came of it. Requests that ctx cut off are counted, not measured.
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
	if c.sender == nil {
		pool := c.Pool
		if pool == nil {
			pool = NewPool(c.MaxWorkers)
			defer pool.Close()
		}
		defer context.AfterFunc(ctx, pool.Close)()
		c.sender = pool
	}
	pacing, stop := context.WithCancel(ctx)
	defer stop()
	p := schedule.NewPacer(pacing, schedule.Pacing{Plan: c.Plan, Closed: c.Workers > 0, StartAt: c.StartAt, Seed: c.Seed, Arm: c.arm, Arms: len(c.arms), ExactTimers: c.fakeTime})
	tr := &transport{c: c, ctx: ctx, pacer: p, trace: newTracing(c), promises: make([]promises, len(c.arms))}
	var err error
	if tr.source, err = c.NewSource(c.Seed, len(c.arms)); err != nil {
		return nil, err
	}
	if tr.meter, err = newMeter(c, tr); err != nil {
		return nil, fmt.Errorf("metrics of the attack: %w", err)
	}
	defer func() { _ = tr.meter.gauges.Unregister() }()
	workers := min(c.MaxWorkers, initialWorkers)
	if c.Workers > 0 {
		workers = c.Workers
	}
	attacker := vegeta.NewAttacker(
		// First: the options for connections would change a transport that is not theirs.
		vegeta.Client(&http.Client{Transport: tr, CheckRedirect: noRedirect}),
		vegeta.Workers(uint64(workers)),
		vegeta.MaxWorkers(uint64(c.MaxWorkers)),
		vegeta.MaxBody(0), // bodies are read to their end, not kept
	)
	// The pacer ends the run too, but not while it waits for a worker.
	var stopped atomic.Pointer[time.Time]
	defer context.AfterFunc(pacing, func() {
		now := time.Now()
		stopped.Store(&now)
		attacker.Stop()
	})()

	k := newCollector(c, tr)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	results := attacker.Attack(placeholder, p, 0, "")
	for {
		select {
		case res, more := <-results:
			if !more {
				began := p.Began() // the pacer has ended
				if began.IsZero() {
					began = k.created
				}
				end := p.Ended()
				if t := stopped.Load(); end.IsZero() && t != nil {
					end = *t
				}
				return k.Finish(began, max(end.Sub(began), 0), max(time.Since(began), 0), int(tr.peak.Load()), ctx.Err() != nil), p.Err()
			}
			k.add(res, tr.notes.take(res.Seq))
		case <-tick.C:
			if k.look() {
				stop()
			}
		}
	}
}

// placeholder is what vegeta believes to send: it does not tell the targeter a request's
// number, so that the transport makes the request.
func placeholder(t *vegeta.Target) error {
	t.Method, t.URL = http.MethodGet, "http://request"
	return nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

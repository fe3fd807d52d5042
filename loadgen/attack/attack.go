// Package attack sends requests to an album service as a plan says, with vegeta as
// its engine, and measures the answers.
//
// The load is open: a request is sent when it is due, whether or not the ones
// before it were answered. Response time counts from when a request was due, so
// that a stall of the target, during which requests wait, is not left out. Or it is
// closed: a number of workers that send when they were answered, which leaves out what
// a stall keeps from being sent.
package attack

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
)

// Config is an attack.
type Config struct {
	RunID       string        // names this attack in metrics and in the report; its traces' ids follow from it
	URL         string        // of the service, without a final slash
	Plan        Plan          // of the closed model only its duration and Max count
	Workers     int           // of the closed model; 0: the model is open
	Timeout     time.Duration // for one request
	MaxWorkers  int           // requests in flight at most
	Mix         Mix
	Targets     []vegeta.Target // in turn, instead of a Mix and a URL: see ReadTargets
	Seed        uint64          // of the arrivals, the scenarios' order and the albums
	SLOs        []SLO
	Retry       Retry
	TraceSample float64       // share of traces that are sampled where there is no TracerProvider
	StartAt     time.Time     // when the plan begins; zero: at once
	WarmUp      time.Duration // requests that are due before are not counted
	Before      uint64        // requests of the same run that other attacks have sent, for the trace ids

	// TracerProvider makes the client spans, with trace ids by NewIDs; nil: there are no
	// spans, only trace context.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator

	// Pool, if not nil, has connections for more than one attack.
	Pool *Pool
	// Folder, if not nil, gets each result. The caller finishes it.
	Folder *Folder
	// Recorder, if not nil, gets each request. The caller closes it.
	Recorder *Recorder
	// Progress, if not nil, is called every second.
	Progress func(Progress)
	// EndWhen, if not nil, is asked every second. The attack ends when it gives a reason.
	EndWhen func([]Outlook) string

	arms     []*url.URL                  // instead of URL
	arm      func(due time.Duration) int // which of arms a request goes to; nil: there is one
	interval time.Duration               // how wide the report's intervals are; 0: a second
	sender   sender                      // instead of Pool
	fakeTime bool                        // the runtime's timers are right
}

// rows are the names of the scenarios that requests can be of.
func (c Config) rows() map[string]bool {
	rows := map[string]bool{}
	switch {
	case c.Plan.Replay != nil:
		return c.Plan.Replay.rows
	case len(c.Targets) > 0:
		rows[ownTarget.name] = true
	default:
		for name, weight := range c.Mix {
			if weight > 0 {
				rows[name] = true
			}
		}
	}
	return rows
}

// Sends reports whether requests of a scenario are sent.
func (c Config) Sends(scenario string) bool { return c.rows()[scenario] }

// Progress is how far an attack is.
type Progress struct {
	Starts            time.Duration // from now; 0: it has begun
	Elapsed, Duration time.Duration
	Asked             float64 // requests a second now; of the closed model 0
	Requests          int
	InFlight          int
	Classes           map[Class]int // so far
	P99               time.Duration // of the served requests' response time, so far
	Last              Window
}

// initialWorkers is what vegeta starts with; it adds more while all are busy.
const initialWorkers = 16

// probeTimeout is for the one question before the attack.
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

// Run attacks until the plan or the duration is over, or ctx ends, and reports what came
// of it. Requests that ctx cut off are counted, not measured.
func Run(ctx context.Context, c Config) (*Report, error) {
	if c.Workers > 0 {
		c.MaxWorkers = c.Workers
	}
	var err error
	if len(c.arms) == 0 {
		base, err := url.Parse(c.URL)
		if err != nil {
			return nil, err
		}
		c.arms = []*url.URL{base}
	}
	if c.Plan.Replay != nil {
		if err := c.Plan.Replay.open(); err != nil {
			return nil, err
		}
		defer c.Plan.Replay.file.Close()
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
	p := newPacer(pacing, c)
	tr := &transport{c: c, ctx: ctx, send: c.sender, pacer: p, trace: newTracing(c), notes: newNotes(), promises: make([]promises, len(c.arms))}
	for _, target := range c.Targets {
		u, err := url.Parse(target.URL)
		if err != nil {
			return nil, err
		}
		tr.urls = append(tr.urls, u)
	}
	if c.Plan.Replay == nil && len(c.Targets) == 0 {
		for range c.arms { // the ids and pages of one target are not those of another
			tr.makers = append(tr.makers, newMaker(c))
		}
	}
	if tr.meter, err = newMeter(c, p, tr); err != nil {
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
	// The pacer ends the attack too, but not while it waits for a worker.
	var stopped atomic.Pointer[time.Time]
	defer context.AfterFunc(pacing, func() {
		now := time.Now()
		stopped.Store(&now)
		attacker.Stop()
	})()

	k := newCollector(c, p, tr)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	results := attacker.Attack(placeholder, p, 0, "")
	for {
		select {
		case res, more := <-results:
			if !more {
				began := p.began // the pacer has ended
				if began.IsZero() {
					began = k.begun
				}
				over := p.over
				if t := stopped.Load(); over.IsZero() && t != nil {
					over = *t
				}
				return k.finish(began, max(over.Sub(began), 0), max(time.Since(began), 0), ctx.Err() != nil), p.err
			}
			k.add(res, tr.notes.take(res.Seq))
		case <-tick.C:
			if why := k.look(); why != "" {
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

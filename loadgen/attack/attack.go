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
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Config is an attack.
type Config struct {
	RunID      string        // names this attack in metrics and in the report
	URL        string        // of the service, without a final slash
	Plan       Plan          // of the closed model only its duration and Max count
	Workers    int           // of the closed model; 0: the model is open
	Timeout    time.Duration // for one request
	MaxWorkers int           // requests in flight at most
	Mix        Mix
	Targets    []vegeta.Target // in turn, instead of a Mix and a URL: see ReadTargets
	Seed       uint64          // of the arrivals, the scenarios' order and the albums
	SLOs       []SLO

	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator

	// Folder, if not nil, gets each result. The caller finishes it.
	Folder *Folder
	// Progress, if not nil, is called every second.
	Progress func(Progress)
}

// Progress is how far an attack is.
type Progress struct {
	Elapsed, Duration time.Duration
	Requests          int
	Classes           map[Class]int // so far
	P99               time.Duration // of the served requests' response time, so far
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

// Run attacks until the duration is over or ctx ends, and reports what came of
// it. Requests that ctx cut off are counted, not measured.
func Run(ctx context.Context, c Config) (*Report, error) {
	if c.Workers > 0 {
		c.MaxWorkers = c.Workers
	}
	if len(c.Targets) > 0 {
		c.Mix = Mix{ownTarget.name: 1}
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConns, base.MaxIdleConnsPerHost = c.MaxWorkers, c.MaxWorkers
	base.DialContext = (&net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second}).DialContext
	defer base.CloseIdleConnections()
	p := newPacer(ctx, c)
	tr := newTransport(ctx, c, p, base)
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
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()

	k := newCollector(c)
	var err error
	if k.meter, err = newMeter(c, p, tr); err != nil {
		return nil, fmt.Errorf("metrics of the attack: %w", err)
	}
	defer func() { _ = k.meter.gauges.Unregister() }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	begun := time.Now()
	targets := targeter(c, tr.ids, tr.pages)
	if len(c.Targets) > 0 {
		targets = inTurn(c.Targets)
	}
	for results := attacker.Attack(targets, p, 0, "soundcheck"); ; {
		select {
		case res, more := <-results:
			if !more {
				if !p.began.IsZero() {
					begun = p.began
				}
				return k.finish(begun, time.Since(begun), int(tr.peak.Load()), ctx.Err() != nil), nil
			}
			k.add(res, tr.take(res.Seq))
			if c.Folder != nil {
				c.Folder.add(res)
			}
		case <-tick.C:
			if c.Progress != nil {
				c.Progress(Progress{time.Since(begun), c.Plan.span(), k.report.Sent, k.all.classes, k.all.served.quantile(0.99)})
			}
		}
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// newTransport returns what stands between vegeta and the network: the outer
// transport knows a request by its number, otelhttp makes its client span, and
// the innermost notes the trace.
func newTransport(ctx context.Context, c Config, p *pacer, base http.RoundTripper) *transport {
	return &transport{
		ctx: ctx, timeout: c.Timeout, ids: newIDs(c), pages: new(pages), pacer: p, max: int64(c.MaxWorkers),
		next: otelhttp.NewTransport(noteTrace{base},
			otelhttp.WithTracerProvider(c.TracerProvider), otelhttp.WithMeterProvider(c.MeterProvider),
			otelhttp.WithPropagators(c.Propagator),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
				return cmp.Or(noteOf(r.Context()).scenario.operation, r.Method)
			})),
	}
}

// Package attack sends requests to an album service at a steady rate, with
// vegeta as its engine, and measures the answers.
//
// The load is open: a request is sent when it is due, whether or not the ones
// before it were answered. Response time counts from when a request was due, so
// that a stall of the target, during which requests wait, is not left out.
package attack

import (
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
	URL        string // of the service, without a final slash
	Rate       int    // requests a second
	Duration   time.Duration
	Timeout    time.Duration // for one request
	MaxWorkers int           // requests in flight at most
	Mix        Mix
	Seed       uint64 // of the scenarios' order and of the albums

	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator

	// Progress, if not nil, is called every second.
	Progress func(Progress)
}

// Planned is how many requests the attack has. In whole numbers: 100/s for 290 ms
// are 29, not 28.999.
func (c Config) Planned() uint64 { return uint64(c.Rate) * uint64(c.Duration) / uint64(time.Second) }

// Progress is how far an attack is.
type Progress struct {
	Elapsed, Duration time.Duration
	Requests, Failed  int
	P99               time.Duration // of the response time, so far
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
func Run(ctx context.Context, c Config) *Report {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConns, base.MaxIdleConnsPerHost = c.MaxWorkers, c.MaxWorkers
	base.DialContext = (&net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second}).DialContext
	defer base.CloseIdleConnections()
	tr := newTransport(ctx, c, base)
	p := newPacer(ctx, c)
	attacker := vegeta.NewAttacker(
		// First: the options for connections would change a transport that is not theirs.
		vegeta.Client(&http.Client{Transport: tr, CheckRedirect: noRedirect}),
		vegeta.Workers(uint64(min(c.MaxWorkers, initialWorkers))),
		vegeta.MaxWorkers(uint64(c.MaxWorkers)),
		vegeta.MaxBody(0), // bodies are read to their end, not kept
	)
	// The pacer ends the attack too, but not while it waits for a worker.
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()

	r := newReport(c)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	begun := time.Now()
	for results := attacker.Attack(targeter(c, tr.ids), p, 0, "soundcheck"); ; {
		select {
		case res, more := <-results:
			if !more {
				r.finish(p, tr)
				return r
			}
			r.add(ctx, p, res, tr.take(res.Seq))
		case <-tick.C:
			if c.Progress != nil {
				c.Progress(Progress{time.Since(begun), c.Duration, r.Requests, r.Failed, r.response.quantile(0.99)})
			}
		}
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// newTransport returns what stands between vegeta and the network: the outer
// transport knows a request by its number, otelhttp makes its client span, and
// the innermost notes the trace.
func newTransport(ctx context.Context, c Config, base http.RoundTripper) *transport {
	return &transport{
		ctx: ctx, timeout: c.Timeout, ids: newIDs(c.Seed),
		next: otelhttp.NewTransport(noteTrace{base},
			otelhttp.WithTracerProvider(c.TracerProvider), otelhttp.WithMeterProvider(c.MeterProvider),
			otelhttp.WithPropagators(c.Propagator),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return noteOf(r.Context()).scenario.operation })),
	}
}

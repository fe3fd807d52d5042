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
	"net/url"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Config is an attack.
type Config struct {
	URL        string // of the service, without a path
	Rate       int    // requests a second
	Duration   time.Duration
	Timeout    time.Duration // for one request
	MaxWorkers int           // requests in flight at most
	Mix        Mix
	Seed       uint64 // of the scenarios' order and of the albums

	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator

	// Progress is called about once a second.
	Progress func(Progress)
}

// Progress is how far an attack is.
type Progress struct {
	Elapsed, Duration time.Duration
	Sent, Failed      int
	P99               time.Duration // of the response time, so far
}

// ParseURL checks the URL of a service, and returns it without a final slash.
func ParseURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", fmt.Errorf("%q is not an http:// or https:// URL with a host", s)
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%q must not have a query or a fragment", s)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// Probe returns an error if no album service answers at c.URL.
func Probe(ctx context.Context, c Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/healthz answered %s: that is no album service", c.URL, resp.Status)
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
	ids := newIDs(c.Seed)
	tr := &transport{
		ctx: ctx, timeout: c.Timeout, ids: ids,
		next: otelhttp.NewTransport(noteTrace{base},
			otelhttp.WithTracerProvider(c.TracerProvider), otelhttp.WithMeterProvider(c.MeterProvider),
			otelhttp.WithPropagators(c.Propagator),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return noteOf(r.Context()).scenario.operation })),
	}
	p := &pacer{ctx: ctx, rate: c.Rate, total: uint64(float64(c.Rate) * c.Duration.Seconds())}
	// Client comes alone: the other options would change a transport that is not ours.
	attacker := vegeta.NewAttacker(
		vegeta.Client(&http.Client{Transport: tr, CheckRedirect: noRedirect}),
		vegeta.Workers(uint64(min(c.MaxWorkers, 16))), vegeta.MaxWorkers(uint64(c.MaxWorkers)))
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()

	r := newReport(c, p.total)
	reported := time.Now()
	for res := range attacker.Attack(targeter(c, ids), p, 0, "soundcheck") {
		r.add(res, tr.take(res.Seq), p)
		if c.Progress != nil && time.Since(reported) >= time.Second {
			reported = time.Now()
			c.Progress(Progress{time.Since(p.began), c.Duration, r.Requests, r.Failed, r.response.quantile(0.99)})
		}
	}
	r.finish(p)
	return r
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// pacer says when each request is due: request k at k/rate.
type pacer struct {
	ctx   context.Context
	rate  int
	total uint64
	began time.Time // set by the first call, which comes before any request
}

// due returns when request seq is due.
func (p *pacer) due(seq uint64) time.Duration {
	return time.Duration(float64(seq) * float64(time.Second) / float64(p.rate))
}

// Rate implements vegeta.Pacer.
func (p *pacer) Rate(time.Duration) float64 { return float64(p.rate) }

// Pace implements vegeta.Pacer. It waits by itself, because vegeta's own wait
// does not end when the attack is stopped.
func (p *pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if p.began.IsZero() {
		p.began = time.Now().Add(-elapsed)
	}
	if hits >= p.total || p.ctx.Err() != nil {
		return 0, true
	}
	if wait := p.due(hits) - elapsed; wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-p.ctx.Done():
			return 0, true
		}
	}
	return 0, false
}

// category sorts errors into few kinds: their texts hold ports and addresses.
func category(err string) string {
	for _, c := range []struct{ in, name string }{
		{"context deadline exceeded", "timeout"},
		{"Client.Timeout", "timeout"},
		{"i/o timeout", "timeout"},
		{"connection refused", "connection refused"},
		{"connection reset", "connection reset"},
		{"broken pipe", "connection reset"},
		{"EOF", "connection closed"},
		{"no such host", "no such host"},
		{"cannot assign requested address", "no free port"},
		{"too many open files", "too many open files"},
	} {
		if strings.Contains(err, c.in) {
			return c.name
		}
	}
	return "other"
}

func interrupted(ctx context.Context, res *vegeta.Result) bool {
	return res.Code == 0 && ctx.Err() != nil && strings.Contains(res.Error, context.Canceled.Error())
}

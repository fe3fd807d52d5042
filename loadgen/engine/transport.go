package engine

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

// seqHeader is the header with vegeta's request number. It is not sent.
const seqHeader = "X-Vegeta-Seq"

// transport is between vegeta, which has only request numbers, and the network. It makes the
// request of a number, sends it with retries, and learns ids from the response.
type transport struct {
	c      Config
	ctx    context.Context // of the run: requests end with it
	source *workload.Source
	pacer  *schedule.Pacer
	trace  *tracing
	meter  *meter

	first    atomic.Bool // request was sent
	notes    notes
	promises []promises // by arm
	inFlight atomic.Int64
	peak     atomic.Int64 // of inFlight
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(r.Header.Get(seqHeader), 10, 64)
	if err != nil {
		return nil, err
	}
	pick := t.pacer.Pick(seq)
	q, err := t.source.Request(seq, pick)
	if err != nil {
		return nil, err
	}
	u, err := q.URL(t.c.arms[pick.Arm])
	if err != nil {
		return nil, err
	}
	n := &note{seq: seq, number: t.c.Before + t.c.Plan.Number(seq), scheduled: t.pacer.ScheduledAt(seq), arm: pick.Arm, request: q, url: u.Redacted(), sent: time.Now()}
	if t.c.Recorder != nil {
		t.c.Recorder.Add(seq, n.start().Sub(t.pacer.Began()), q)
	}
	if t.c.FirstSent != nil && t.first.CompareAndSwap(false, true) {
		go t.c.FirstSent(n.start().Sub(t.pacer.Began()), n.sent)
	}
	t.notes.put(n)
	n.full = t.began() >= int64(t.c.MaxWorkers)
	resp, err := t.deliver(n, u)
	if err != nil {
		n.err, n.cancelled = err, t.ctx.Err() != nil && time.Since(n.sent) < t.c.Timeout
		return nil, err
	}
	t.source.Learn(n.arm, t.c.arms[n.arm], q, resp)
	return resp, nil
}

// deliver sends the request with retries. With a retry policy, the attempts are children of
// one span.
func (t *transport) deliver(n *note, u *url.URL) (*http.Response, error) {
	ctx := context.WithValue(t.ctx, noteKey{}, n)
	if parent := n.request.Parent; parent != nil {
		ctx = trace.ContextWithRemoteSpanContext(ctx, *parent)
	}
	var span trace.Span
	if t.c.Retry.on() && t.trace.tracer != nil {
		ctx, span = t.trace.begin(ctx, n, n.request.Operation(), trace.SpanKindInternal)
		if span.IsRecording() {
			span.SetAttributes(t.trace.run...)
			span.SetAttributes(scenarioAttribute.String(n.request.Scenario.Name))
		}
	}
	end := func() {
		t.inFlight.Add(-1)
		if span != nil {
			span.End()
		}
	}
	deadline := n.sent.Add(t.c.Timeout)
	warming := n.start().Sub(t.pacer.Began()) < t.c.WarmUp // Retry-After is not counted in the warm-up
	for attempt := 0; ; attempt++ {
		n.retries = attempt
		promises := &t.promises[n.arm]
		tests := promises.take(time.Now())
		resp, b, err := t.attempt(ctx, n, u, deadline)
		status, promised := 0, time.Duration(0)
		if err == nil {
			status, promised = resp.StatusCode, retryAfter(resp.Header)
		}
		switch {
		case n.request.Expects(status):
			n.promises.Kept += tests
		case measure.IsShed(status):
			n.promises.Broken += tests
			if promised > 0 && !warming {
				n.promises.Given++
				promises.add(time.Now().Add(promised))
			}
		}
		wait, retry := t.c.Retry.next(status, promised, attempt)
		switch {
		case retry && time.Until(deadline) > wait && t.ctx.Err() == nil:
		case err != nil:
			end()
			return nil, err
		default:
			b.done = end
			return resp, nil
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-t.ctx.Done():
			}
		}
	}
}

// attempt sends the request once. Its span ends with the response body.
func (t *transport) attempt(ctx context.Context, n *note, u *url.URL, deadline time.Time) (*http.Response, *body, error) {
	ctx, span := t.trace.begin(ctx, n, n.request.Operation(), trace.SpanKindClient)
	n.span = trace.SpanContextFromContext(ctx)
	n.timing = timing{}
	q := n.request
	req := &http.Request{Method: q.Method, URL: u, Host: u.Host, Header: q.Header.Clone(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	if password, ok := u.User.Password(); ok && req.Header.Get("Authorization") == "" {
		req.SetBasicAuth(u.User.Username(), password)
	}
	if len(q.Body) > 0 {
		req.ContentLength = int64(len(q.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(q.Body)), nil }
		req.Body, _ = req.GetBody()
	}
	t.trace.propagator.Inject(ctx, propagation.HeaderCarrier(req.Header))
	start := time.Now()
	resp, err := t.c.sender.send(ctx, req, deadline, &n.timing)
	if err != nil {
		t.attempted(ctx, n, span, u, 0, err, time.Since(start))
		return nil, nil, err
	}
	b := &body{ReadCloser: resp.Body, run: t.ctx, note: n}
	b.attempted = func(err error) { t.attempted(ctx, n, span, u, resp.StatusCode, err, time.Since(start)) }
	resp.Body = b
	return resp, b, nil
}

// attempted records the end of an attempt.
func (t *transport) attempted(ctx context.Context, n *note, span trace.Span, u *url.URL, status int, err error, took time.Duration) {
	if err != nil {
		status = 0
	}
	key := keyOf(n.request.Method, u, status, err)
	t.meter.client(ctx, key, u, took)
	if span == nil {
		return
	}
	if span.IsRecording() {
		attributes := append(key.attributes(u), urlKey.String(n.url), scenarioAttribute.String(n.request.Scenario.Name))
		attributes = append(attributes, t.trace.run...)
		if n.retries > 0 {
			attributes = append(attributes, resendKey.Int(n.retries))
		}
		span.SetAttributes(attributes...)
		if key.failure != "" {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}

func (t *transport) began() int64 {
	n := t.inFlight.Add(1)
	for {
		peak := t.peak.Load()
		if n <= peak || t.peak.CompareAndSwap(peak, n) {
			return n
		}
	}
}

// body is a response body. Close ends its attempt, and the request after the last attempt.
type body struct {
	io.ReadCloser
	run       context.Context
	note      *note
	err       error
	attempted func(error)
	done      func() // nil: not the last attempt
}

// Read notes whether the end of the run cancelled the response.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.note.bytes += uint64(n)
	if err != nil && err != io.EOF {
		b.err = err
		if b.run.Err() != nil {
			b.note.cancelled = true
		}
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.attempted(b.err)
	if b.done != nil {
		b.done()
	}
	return err
}

package engine

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

// transport is between the loop, which has only request numbers, and the network. It makes the
// request of a number, sends it with retries, and learns ids from the response.
type transport struct {
	c       Config
	ctx     context.Context // of the run: requests end with it
	source  *workload.Source
	pacer   *schedule.Pacer
	trace   *tracing
	meter   *meter
	results *results
	pool    *Pool // nil: not of the network

	first    atomic.Bool // request was sent
	promises []promises  // by arm
	inFlight atomic.Int64
	peak     atomic.Int64 // of inFlight
}

// worker sends one request at a time.
type worker struct {
	*transport
	buffer  []byte // of encoded requests
	clients clients
}

func newWorker(t *transport) *worker { return &worker{transport: t, clients: clients{}} }

// request sends request seq, whose scheduled time has come.
func (w *worker) request(seq uint64) {
	n := w.results.note()
	*n = note{seq: seq, sent: time.Now()}
	defer w.results.add(n)
	pick := w.pacer.Pick(seq)
	n.number, n.scheduled, n.arm = w.c.Before+w.c.Plan.Number(seq), w.pacer.ScheduledAt(seq), pick.Arm
	q, err := w.source.Request(seq, pick)
	if err != nil {
		n.err = err
		return
	}
	n.base = q.At(w.c.arms[pick.Arm])
	var u *url.URL // unless it is fast
	fast := w.pool != nil && w.pool.fast(n.base, q)
	if fast {
		w.buffer, err = begin(w.buffer[:0], q, n.base)
	} else {
		u, err = q.URL(n.base)
	}
	if err != nil {
		n.err = err
		return
	}
	n.request = q
	if w.c.Recorder != nil {
		w.c.Recorder.Add(seq, n.start().Sub(w.pacer.Began()), q)
	}
	if w.c.FirstSent != nil && w.first.CompareAndSwap(false, true) {
		go w.c.FirstSent(n.start().Sub(w.pacer.Began()), n.sent)
	}
	n.full = w.began() >= int64(w.c.MaxWorkers)
	w.deliver(n, u)
	w.inFlight.Add(-1)
	n.took = time.Since(n.sent)
	if n.err != nil {
		n.cancelled = w.ctx.Err() != nil && n.took < w.c.Timeout
		return
	}
	if q.Learns() != "" {
		w.source.Learn(n.arm, n.base, q, n.status, n.header)
	}
}

// deliver sends the request with retries: as it is in the buffer, or to a URL. With a retry policy, the
// attempts are children of one span.
func (w *worker) deliver(n *note, u *url.URL) {
	ctx := w.ctx
	if w.trace.tracer != nil {
		ctx = &numbered{ctx, n.number}
		if w.c.Retry.on() {
			var span trace.Span
			ctx, _, span = w.trace.begin(ctx, n, n.request.Operation(), trace.SpanKindInternal)
			defer span.End()
			if span.IsRecording() {
				span.SetAttributes(w.trace.run...)
				span.SetAttributes(scenarioAttribute.String(n.request.Scenario.Name))
			}
		}
	}
	deadline := n.sent.Add(w.c.Timeout)
	head := len(w.buffer)
	for attempt := 0; ; attempt++ {
		n.retries = attempt
		tests := w.promises[n.arm].take()
		w.buffer = w.buffer[:head]
		r := w.attempt(ctx, n, u, deadline)
		n.status, n.header, n.bytes, n.err = r.status, r.header, r.bytes, r.err
		promised := time.Duration(0)
		if measure.IsShed(r.status) {
			promised = retryAfter(r.header)
		}
		w.promised(n, tests, promised)
		wait, retry := w.c.Retry.next(r.status, promised, attempt)
		if !retry || time.Until(deadline) <= wait || w.ctx.Err() != nil {
			return
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-w.ctx.Done():
			}
		}
	}
}

// promised counts what an attempt says about promises: it tested some, and may have got one.
func (w *worker) promised(n *note, tests int, promised time.Duration) {
	switch {
	case n.request.Expects(n.status):
		n.promises.Kept += tests
	case measure.IsShed(n.status):
		n.promises.Broken += tests
		if promised > 0 && n.start().Sub(w.pacer.Began()) >= w.c.WarmUp { // Retry-After is not counted in the warm-up
			n.promises.Given++
			w.promises[n.arm].add(time.Now().Add(promised))
		}
	}
}

// attempt sends the request once and reads the response. Its span ends with the response body.
func (w *worker) attempt(ctx context.Context, n *note, u *url.URL, deadline time.Time) reply {
	ctx, sc, span := w.trace.begin(ctx, n, n.request.Operation(), trace.SpanKindClient)
	n.ctx, n.span, n.timing = ctx, sc, timing{}
	start := time.Now()
	var r reply
	if u == nil {
		w.buffer = end(w.trace.inject(ctx, w.buffer, n.span), n.request)
		r = w.pool.wire.exchange(ctx, address(n.base), n.request.Method, w.buffer, isSafe(n.request.Method), deadline, &n.timing, func(status int) bool { return w.needsHeader(n, status) })
	} else {
		r = w.standard(ctx, n, u, deadline)
	}
	w.attempted(ctx, n, span, r, time.Since(start))
	return r
}

// needsHeader reports whether the header of a response is needed.
func (w *worker) needsHeader(n *note, status int) bool {
	return w.c.Folder != nil || measure.IsShed(status) || n.request.Learns() != ""
}

// standard is an attempt by the sender, as an http.Request.
func (w *worker) standard(ctx context.Context, n *note, u *url.URL, deadline time.Time) reply {
	req := httpRequest(n.request, u)
	w.trace.propagator.Inject(ctx, propagation.HeaderCarrier(req.Header))
	resp, err := w.c.sender.send(ctx, req, deadline, &n.timing)
	if err != nil {
		return reply{err: err}
	}
	r := reply{status: resp.StatusCode, header: resp.Header}
	r.bytes, r.err = discard(resp.Body)
	return r
}

func httpRequest(q *workload.Request, u *url.URL) *http.Request {
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
	return req
}

// attempted records the end of an attempt.
func (w *worker) attempted(ctx context.Context, n *note, span trace.Span, r reply, took time.Duration) {
	if r.err != nil {
		r.status = 0
	}
	if span == nil && !w.meter.on {
		return
	}
	key := keyOf(n.request.Method, n.base, r.status, r.err)
	w.meter.duration.Record(ctx, took.Seconds(), w.clients.options(key, n.base)...)
	if span == nil {
		return
	}
	if span.IsRecording() {
		attributes := append(key.attributes(n.base), urlKey.String(n.request.Redacted(n.base)), scenarioAttribute.String(n.request.Scenario.Name))
		attributes = append(attributes, w.trace.run...)
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

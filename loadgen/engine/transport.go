package engine

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/http1"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/retry"
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

	users users // of a flow

	first     atomic.Bool      // request was sent
	firstSent sync.WaitGroup   // calls of Config.FirstSent
	promises  []retry.Promises // by arm
	inFlight  atomic.Int64
	peak      atomic.Int64 // of inFlight
}

// worker sends one request at a time.
type worker struct {
	*transport
	buffer     []byte // of encoded requests
	clients    clients
	attributes []attribute.KeyValue // of a span, before it has them
	jar        http.CookieJar       // of a flow's user; nil: that of the pool
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
	w.send(n, q)
}

// send sends a request.
func (w *worker) send(n *note, q *workload.Request) {
	var err error
	n.base = q.At(w.c.arms[n.arm])
	var u *url.URL // unless it is fast
	fast := w.pool != nil && w.jar == nil && w.pool.fast(n.base, q)
	if fast {
		w.buffer, err = begin(w.buffer[:0], q, n.base, w.trace.headers)
	} else {
		u, err = q.URL(n.base)
	}
	if err != nil {
		n.err = err
		return
	}
	n.request = q
	if w.c.Recorder != nil {
		w.c.Recorder.Add(n.seq, n.start().Sub(w.pacer.Began()), q)
	}
	if w.c.FirstSent != nil && w.first.CompareAndSwap(false, true) {
		scheduled, sent := time.Duration(0), n.sent // of a user who is there from the start, in the closed model
		if !n.scheduled.IsZero() {
			scheduled = n.scheduled.Sub(w.pacer.Began())
		}
		w.firstSent.Go(func() { w.c.FirstSent(scheduled, sent) })
	}
	n.full = w.began() >= int64(w.c.MaxWorkers) || n.full
	w.deliver(n, u)
	w.inFlight.Add(-1)
	if n.err != nil {
		n.cancelled = w.ctx.Err() != nil && n.took < w.c.Timeout
	}
}

// deliver sends the request with retries: as it is in the buffer, or to a URL. With a retry policy or redirects,
// the attempts are children of one span.
func (w *worker) deliver(n *note, u *url.URL) {
	ctx := w.ctx
	if n.session != nil {
		ctx = n.session.ctx
	} else if w.trace.tracer != nil {
		ctx = &numbered{ctx, n.number}
		if parent := n.request.Parent; parent != nil {
			ctx = trace.ContextWithRemoteSpanContext(ctx, *parent)
		}
	}
	if w.trace.tracer != nil {
		if w.c.Retry.On() || w.c.Connect.Redirects > 0 {
			var span trace.Span
			ctx, n.top, span = w.trace.begin(ctx, n, n.request.Operation(), trace.SpanKindInternal)
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
		tests := w.promises[n.arm].Take()
		w.buffer = w.buffer[:head]
		r := w.follow(ctx, n, u, deadline)
		n.status, n.protocol, n.header, n.bytes, n.err = r.Status, r.Proto, r.Header, r.Bytes, r.Err
		promised := time.Duration(0)
		if measure.IsShed(r.Status) {
			promised = retry.After(r.Header)
		}
		w.promised(n, tests, promised)
		wait, retry := w.c.Retry.Next(r.Status, promised, attempt)
		good := n.err == nil && n.failure == nil && n.request.Expects(n.status) // for instance a 503 that -expect has
		if !retry || good || time.Until(deadline) <= wait || w.ctx.Err() != nil {
			return
		}
		n.resends++
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
			w.promises[n.arm].Add(time.Now().Add(promised))
		}
	}
}

// attempt sends a hop once, or without a hop the request in the buffer, and reads the response. Its span ends with the
// response body.
func (w *worker) attempt(ctx context.Context, n *note, h *hop, deadline time.Time) http1.Reply {
	ctx, sc, span := w.trace.begin(ctx, n, n.request.Operation(), trace.SpanKindClient)
	n.ctx, n.span, n.timing = ctx, sc, connect.Times{}
	if !n.top.IsValid() {
		n.top = sc
	}
	start, resent := time.Now(), n.resends
	var r http1.Reply
	if h == nil {
		w.buffer = end(w.trace.inject(ctx, w.buffer, n.span), n.request)
		r = w.pool.http1.Exchange(ctx, http1.Address(n.base), n.request.Method, w.buffer, connect.Safe(n.request.Method), deadline, &n.timing, func(status int) http1.Needs { return w.needs(n, status) })
	} else {
		r = w.standard(ctx, n, h, deadline)
	}
	now := time.Now()
	took := now.Sub(start)
	n.took, n.failure = now.Sub(n.sent), nil // without the checks
	if r.Err == nil && (w.c.Connect.Redirects == 0 || !isRedirect(r)) {
		from := n.base
		if h != nil {
			from = h.url
		}
		n.failure = w.source.Respond(n.arm, n.base, n.request, workload.Response{URL: from, Status: r.Status, Header: r.Header, Body: r.Body, Size: r.Bytes})
	}
	n.body = 0
	if n.timing.FirstByte > 0 {
		n.body = took - n.timing.FirstByte
	}
	w.attempted(ctx, n, span, h, resent, r, took)
	return r
}

// needs returns what is kept of a response with a status.
func (w *worker) needs(n *note, status int) http1.Needs {
	reads := n.request.Reads
	return http1.Needs{Header: w.c.Folder != nil || measure.IsShed(status) || reads.Header || reads.Body > 0, Body: reads.Body}
}

// standard sends a hop by the sender, as an http.Request.
func (w *worker) standard(ctx context.Context, n *note, h *hop, deadline time.Time) http1.Reply {
	req := h.request()
	w.trace.set(ctx, req.Header, n.span)
	jar := w.jar
	if jar == nil && w.pool != nil {
		jar = w.pool.jar
	}
	if jar != nil {
		for _, c := range jar.Cookies(req.URL) {
			req.AddCookie(c)
		}
	}
	resp, err := w.c.sender.send(ctx, req, deadline, &n.timing)
	if err != nil {
		return http1.Reply{Err: err}
	}
	if jar != nil {
		if list := resp.Cookies(); len(list) > 0 {
			jar.SetCookies(req.URL, list)
		}
	}
	r := http1.Reply{Status: resp.StatusCode, Proto: http1.Protocol(resp.Proto), Header: resp.Header}
	r.Body, r.Bytes, r.Err = http1.ReadBody(resp.Body, n.request.Reads.Body)
	return r
}

// attempted records the end of an attempt.
func (w *worker) attempted(ctx context.Context, n *note, span trace.Span, h *hop, resent int, r http1.Reply, took time.Duration) {
	if r.Err != nil {
		r.Status = 0
	}
	if span == nil && !w.meter.on {
		return
	}
	method, u := n.request.Method, n.base
	if h != nil {
		method, u = h.method, h.url
	}
	key := keyOf(method, u, r.Status, r.Err)
	if n.failure != nil && key.failure == "" {
		key.failure = checkFailed
	}
	c := w.clients.of(key, u)
	w.meter.duration.Record(ctx, took.Seconds(), c.options...)
	if span == nil {
		return
	}
	if span.IsRecording() {
		var text string
		if h != nil {
			text = h.text
		} else {
			text = n.request.Plain(u)
		}
		attributes := append(w.attributes[:0], c.attributes...)
		attributes = append(attributes, urlKey.String(text), scenarioAttribute.String(n.request.Scenario.Name))
		attributes = append(attributes, w.trace.run...)
		if template := n.request.Scenario.Template; template != "" {
			attributes = append(attributes, templateKey.String(template))
		}
		if resent > 0 {
			attributes = append(attributes, resendKey.Int(resent))
		}
		span.SetAttributes(attributes...) // copies them
		w.attributes = attributes
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

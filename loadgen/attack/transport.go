package attack

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/httpheader"
)

// seqHeader is where vegeta says a request's number. It does not go out.
const seqHeader = "X-Vegeta-Seq"

// transport stands between vegeta, which knows only numbers, and the network. It makes
// the request of a number, sends it, perhaps more than once, and learns from the answer.
type transport struct {
	c      Config
	ctx    context.Context // of the attack: requests end with it
	send   sender
	makers []*maker   // by arm; none: requests are not made up
	urls   []*url.URL // of own targets
	pacer  *pacer
	trace  *tracing
	meter  *meter

	notes    *notes
	promises []promises // by arm
	inFlight atomic.Int64
	peak     atomic.Int64 // of inFlight
}

// draft returns what request seq of this process is.
func (t *transport) draft(seq uint64, p pick) (*scenario, *draft, error) {
	switch {
	case t.c.Plan.Replay != nil:
		e := &t.pacer.entries[seq%maxDue]
		return scenarioOf(e.Scenario), e.draft(seq), nil
	case len(t.c.Targets) > 0:
		return ownTarget, inTurn(t.c.Targets, t.urls, p.n), nil
	default:
		return t.makers[p.arm].make(p.n)
	}
}

// locate returns the URL of a draft.
func (t *transport) locate(s *scenario, d *draft, arm int) (*url.URL, error) {
	base := t.c.arms[arm]
	switch {
	case d.url != nil:
		return d.url, nil
	case s == ownTarget:
		return url.Parse(d.path)
	case base.RawPath != "" || strings.ContainsAny(d.path, "?%#"):
		return url.Parse(base.String() + d.path)
	}
	u := *base
	u.Path += d.path
	return &u, nil
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(r.Header.Get(seqHeader), 10, 64)
	if err != nil {
		return nil, err
	}
	pick := t.pacer.pick(seq)
	n := &note{seq: seq, number: t.c.Before + seq, due: t.pacer.dueAt(seq), arm: pick.arm}
	s, d, err := t.draft(seq, pick)
	if err != nil {
		return nil, err
	}
	u, err := t.locate(s, d, n.arm)
	if err != nil {
		return nil, err
	}
	n.scenario, n.want, n.method, n.url, n.bytesOut, n.sent = s, d.want, d.method, u.Redacted(), uint64(len(d.body)), time.Now()
	if t.c.Recorder != nil {
		t.c.Recorder.add(seq, entry{n.start().Sub(t.pacer.began), s.name, d.want, d.method, d.path, d.header, d.body})
	}
	t.notes.put(n)
	n.full = t.began() >= int64(t.c.MaxWorkers)
	resp, err := t.deliver(n, d, u)
	if err != nil {
		n.err, n.cutOff = err, t.ctx.Err() != nil && time.Since(n.sent) < t.c.Timeout
		return nil, err
	}
	t.learn(n, resp)
	return resp, nil
}

// learn takes in what an answer says of the requests to come.
func (t *transport) learn(n *note, resp *http.Response) {
	if len(t.makers) == 0 {
		return
	}
	m := t.makers[n.arm]
	switch {
	case resp.StatusCode == http.StatusCreated && n.scenario.name == "create":
		m.ids.add(resp.Header.Get("Location"))
	case resp.StatusCode == http.StatusOK && n.scenario.name == "page":
		if next := httpheader.NextPage(resp.Header); next != "" {
			// Behind the service's URL, which may have a path.
			if page := strings.TrimPrefix(next, t.c.arms[n.arm].Path); isPath(page) {
				m.pages.add(page)
			}
		}
	}
}

func isPath(s string) bool {
	_, err := url.Parse(s)
	return err == nil && strings.HasPrefix(s, "/")
}

// deliver sends the request until it is served, or is not to be sent again. If it can
// be sent more than once, its tries are the children of one span.
func (t *transport) deliver(n *note, d *draft, u *url.URL) (*http.Response, error) {
	ctx := context.WithValue(t.ctx, noteKey{}, n)
	var span trace.Span
	if t.c.Retry.on() && t.trace.tracer != nil {
		ctx, span = t.trace.begin(ctx, n, n.name(), trace.SpanKindInternal)
		if span.IsRecording() {
			span.SetAttributes(t.trace.run, scenarioAttribute.String(n.scenario.name))
		}
	}
	end := func() {
		t.inFlight.Add(-1)
		if span != nil {
			span.End()
		}
	}
	deadline := n.sent.Add(t.c.Timeout)
	warming := n.start().Sub(t.pacer.began) < t.c.WarmUp // what is promised then does not count
	for try := 0; ; try++ {
		n.retries = try
		promises := &t.promises[n.arm]
		tests := promises.take(time.Now())
		resp, b, err := t.try(ctx, n, d, u, deadline)
		status, promised := 0, time.Duration(0)
		if err == nil {
			status, promised = resp.StatusCode, retryAfter(resp.Header)
		}
		switch {
		case n.scenario.expects(n.want, status):
			n.promises.Kept += tests
		case isShed(status):
			n.promises.Broken += tests
			if promised > 0 && !warming {
				n.promises.Given++
				promises.add(time.Now().Add(promised))
			}
		}
		wait, again := t.c.Retry.retry(status, promised, try)
		switch {
		case again && time.Until(deadline) > wait && t.ctx.Err() == nil:
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

// try sends the request once. Its span ends with the answer's body.
func (t *transport) try(ctx context.Context, n *note, d *draft, u *url.URL, deadline time.Time) (*http.Response, *body, error) {
	ctx, span := t.trace.begin(ctx, n, n.name(), trace.SpanKindClient)
	n.span = trace.SpanContextFromContext(ctx)
	n.timing = timing{}
	req := &http.Request{Method: d.method, URL: u, Host: u.Host, Header: d.header.Clone(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	if password, ok := u.User.Password(); ok && req.Header.Get("Authorization") == "" {
		req.SetBasicAuth(u.User.Username(), password)
	}
	if len(d.body) > 0 {
		req.ContentLength = int64(len(d.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(d.body)), nil }
		req.Body, _ = req.GetBody()
	}
	t.trace.propagator.Inject(ctx, propagation.HeaderCarrier(req.Header))
	begun := time.Now()
	resp, err := t.send.send(ctx, req, deadline, &n.timing)
	if err != nil {
		t.tried(ctx, n, span, u, 0, err, time.Since(begun))
		return nil, nil, err
	}
	b := &body{ReadCloser: resp.Body, attack: t.ctx, note: n}
	b.tried = func(err error) { t.tried(ctx, n, span, u, resp.StatusCode, err, time.Since(begun)) }
	resp.Body = b
	return resp, b, nil
}

// tried tells of a try that has ended.
func (t *transport) tried(ctx context.Context, n *note, span trace.Span, u *url.URL, status int, err error, took time.Duration) {
	if err != nil {
		status = 0
	}
	key := keyOf(n.method, u, status, err)
	t.meter.client(ctx, key, u, took)
	if span == nil {
		return
	}
	if span.IsRecording() {
		attributes := append(key.attributes(u), urlKey.String(n.url), t.trace.run, scenarioAttribute.String(n.scenario.name))
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

// body is of an answer. It ends its try when it is closed, and the request if that was
// the last one.
type body struct {
	io.ReadCloser
	attack context.Context
	note   *note
	err    error
	tried  func(error)
	done   func() // nil: the request goes on
}

// Read notes whether the end of the attack cut the answer off.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.note.bytes += uint64(n)
	if err != nil && err != io.EOF {
		b.err = err
		if b.attack.Err() != nil {
			b.note.cutOff = true
		}
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.tried(b.err)
	if b.done != nil {
		b.done()
	}
	return err
}

package attack

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Headers between the targeter, vegeta and the transport. None goes out.
const (
	seqHeader      = "X-Vegeta-Seq"
	attackHeader   = "X-Vegeta-Attack"
	scenarioHeader = "X-Soundcheck-Scenario"
	wantHeader     = "X-Soundcheck-Want" // a status other than the scenario's
)

// note is what vegeta's result does not tell of a request. It is written by the
// worker that sends the request, before the result, and read after it.
type note struct {
	scenario   *scenario
	want       int               // status
	due        time.Time         // zero: when a worker was free
	span       trace.SpanContext // that the request is sent with; none if it is not sampled
	full       bool              // all workers were busy when it was sent
	cutOff     bool              // by the end of the attack
	retryAfter bool              // the answer says when to come again
}

// traceID is "" if the trace is not sampled: nobody could look it up.
func (n *note) traceID() string {
	if !n.span.IsValid() {
		return ""
	}
	return n.span.TraceID().String()
}

type noteKey struct{}

func noteOf(ctx context.Context) *note { return ctx.Value(noteKey{}).(*note) }

// transport knows a request by its number, gives it a deadline, and learns the
// ids of created albums.
type transport struct {
	ctx     context.Context // of the attack: requests end with it
	timeout time.Duration
	next    http.RoundTripper
	ids     *ids
	pages   *pages
	pacer   *pacer
	max     int64 // workers

	notes    sync.Map // number → *note, from the request to its result
	inFlight atomic.Int64
	peak     atomic.Int64 // of inFlight
}

// take returns the note of a request, and forgets it. It is nil if the request
// did not get as far as the transport.
func (t *transport) take(seq uint64) *note {
	n, ok := t.notes.LoadAndDelete(seq)
	if !ok {
		return nil
	}
	return n.(*note)
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(req.Header.Get(seqHeader), 10, 64)
	if err != nil {
		return nil, err
	}
	n := &note{scenario: scenarioOf(req.Header.Get(scenarioHeader)), due: t.pacer.dueAt(seq)}
	n.want = n.scenario.want
	if want := req.Header.Get(wantHeader); want != "" {
		if n.want, err = strconv.Atoi(want); err != nil {
			return nil, err
		}
	}
	t.notes.Store(seq, n)
	n.full = t.began() >= t.max
	ctx, cancel := context.WithTimeout(context.WithValue(t.ctx, noteKey{}, n), t.timeout)
	done := sync.OnceFunc(func() { cancel(); t.inFlight.Add(-1) })
	req = req.Clone(ctx)
	for _, name := range []string{seqHeader, attackHeader, scenarioHeader, wantHeader} {
		req.Header.Del(name)
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		n.cutOff = t.ctx.Err() != nil && ctx.Err() != context.DeadlineExceeded
		done()
		return nil, err
	}
	n.retryAfter = resp.Header.Get("Retry-After") != ""
	switch {
	case resp.StatusCode == http.StatusCreated && n.scenario.name == "create":
		t.ids.add(resp.Header.Get("Location"))
	case resp.StatusCode == http.StatusOK && n.scenario.name == "page":
		if m := nextPage.FindStringSubmatch(resp.Header.Get("Link")); m != nil {
			t.pages.add(m[1])
		}
	}
	resp.Body = &body{resp.Body, t.ctx, n, done}
	return resp, nil
}

// nextPage is the page that a Link header (RFC 8288) names as the next one.
var nextPage = regexp.MustCompile(`<(/[^>]*)>\s*;\s*rel="?next"?`)

func (t *transport) began() int64 {
	n := t.inFlight.Add(1)
	for {
		peak := t.peak.Load()
		if n <= peak || t.peak.CompareAndSwap(peak, n) {
			return n
		}
	}
}

// body ends the request when it is closed.
type body struct {
	io.ReadCloser
	attack context.Context
	note   *note
	done   func()
}

// Read notes whether the end of the attack cut the answer off.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.attack.Err() != nil {
		b.note.cutOff = true
	}
	return n, err
}

func (b *body) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

// noteTrace stands behind the tracing transport and notes the trace that the
// request is sent with, so that it is known also if no answer comes.
type noteTrace struct{ next http.RoundTripper }

func (t noteTrace) RoundTrip(req *http.Request) (*http.Response, error) {
	if sc := trace.SpanContextFromContext(req.Context()); sc.IsSampled() {
		noteOf(req.Context()).span = sc
	}
	return t.next.RoundTrip(req)
}

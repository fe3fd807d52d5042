package engine

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/report"
	"soundcheck/loadgen/workload"
)

// note is what vegeta's result does not tell of a request. It is written by the
// worker that sends the request, before the result, and read after it.
type note struct {
	seq      uint64
	number   uint64 // in the run, which can have more than one call of Run
	arm      int
	request  *workload.Request
	url      string    // without a password
	due      time.Time // zero: when a worker was free
	sent     time.Time
	timing   timing            // of the last attempt
	bytes    uint64            // of the answer's body
	retries  int               // attempts after the first
	span     trace.SpanContext // that the request is sent with
	full     bool              // all workers were busy when it was sent
	err      error             // why no answer came
	cutOff   bool              // by the end of the run
	promises report.RetryAfter // that its answers gave, and that it was the first to be sent after
}

// traceID is "" if the trace is not sampled: nobody could look it up.
func (n *note) traceID() string {
	if !n.span.IsSampled() {
		return ""
	}
	return n.span.TraceID().String()
}

type noteKey struct{}

// notes are by number, from the request to its result.
type notes struct{ byNumber sync.Map }

func (t *notes) put(n *note) { t.byNumber.Store(n.seq, n) }

// take returns the note of a request, and forgets it. It is nil if the request
// did not get as far as the transport.
func (t *notes) take(seq uint64) *note {
	v, _ := t.byNumber.LoadAndDelete(seq)
	n, _ := v.(*note)
	return n
}

// start is when the request was due; in the closed model, when it was sent.
func (n *note) start() time.Time {
	if n.due.IsZero() {
		return n.sent
	}
	return n.due
}

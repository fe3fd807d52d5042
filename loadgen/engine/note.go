package engine

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/report"
	"soundcheck/loadgen/workload"
)

// note has the data of a request that vegeta's result has no field for. The worker writes it
// before the result, the collector reads it after the result.
type note struct {
	seq       uint64
	number    uint64 // in the run, over all shards and calls of Run
	arm       int
	request   *workload.Request
	url       string    // without a password
	scheduled time.Time // zero in the closed model
	sent      time.Time
	timing    timing            // of the last attempt
	bytes     uint64            // of the response body
	retries   int               // attempts after the first, by the retry policy
	resends   int               // all requests after the first: retries and redirects
	span      trace.SpanContext // sent with the last attempt
	full      bool              // all workers were busy at its send time
	err       error             // why there is no response, or no complete one
	cancelled bool              // by the end of the run
	promises  report.RetryAfter // Retry-After times of its responses, and those that it tested
}

// traceID returns the trace id; "": not sampled, so that no backend has the trace.
func (n *note) traceID() string {
	if !n.span.IsSampled() {
		return ""
	}
	return n.span.TraceID().String()
}

type noteKey struct{}

// notes are the notes of requests in flight, by number.
type notes struct{ byNumber sync.Map }

func (t *notes) put(n *note) { t.byNumber.Store(n.seq, n) }

// take removes and returns the note of a request; nil: the request did not reach the
// transport.
func (t *notes) take(seq uint64) *note {
	v, _ := t.byNumber.LoadAndDelete(seq)
	n, _ := v.(*note)
	return n
}

// start returns the scheduled time; in the closed model the send time.
func (n *note) start() time.Time {
	if n.scheduled.IsZero() {
		return n.sent
	}
	return n.scheduled
}

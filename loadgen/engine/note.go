package engine

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/workload"
)

// note has the data of a request. The worker writes it before its result is taken, the collector reads it
// after that.
type note struct {
	seq       uint64
	number    uint64 // in the run, over all shards and calls of Run
	arm       int
	request   *workload.Request // nil: it could not be made
	base      *url.URL          // of the service; of a target its own URL
	scheduled time.Time         // zero in the closed model
	sent      time.Time
	took      time.Duration     // from sent to the end of the response
	status    int               // of the last attempt; with an error, the response is not complete
	protocol  string            // of the same response, as in HTTP/1.1
	header    http.Header       // of the last response, if it was needed
	bytes     uint64            // of the response body
	err       error             // why there is no response, or no request
	failure   *workload.Failure // of a check of the last response; nil: none
	timing    connect.Times     // of the last attempt
	body      time.Duration     // from the first byte to the end of the response, of the last attempt
	retries   int               // attempts after the first, by the retry policy
	resends   int               // all requests after the first: retries and redirects
	span      trace.SpanContext // sent with the last attempt
	ctx       context.Context   // of the last attempt
	full      bool              // all workers were busy at its send time
	cancelled bool              // by the end of the run
	top       trace.SpanContext // of the request's topmost span
	session   *session          // of a flow; nil: none
	step      string            // of a flow
	promises  report.RetryAfter // Retry-After times of its responses, and those that it tested
}

// traceID returns the trace id; "": not sampled, so that no backend has the trace.
func (n *note) traceID() string {
	if !n.span.IsSampled() {
		return ""
	}
	return n.span.TraceID().String()
}

// numbered is a context with the number of a request, for IDs.
type numbered struct {
	context.Context
	number uint64
}

// numberKey is the key of the number.
type numberKey struct{}

// Value implements context.Context.
func (c *numbered) Value(key any) any {
	if key == (numberKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// start returns the scheduled time; in the closed model the send time.
func (n *note) start() time.Time {
	if n.scheduled.IsZero() {
		return n.sent
	}
	return n.scheduled
}

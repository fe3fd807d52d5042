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
	retries  int               // how often it was sent again
	span     trace.SpanContext // that the request is sent with
	full     bool              // all workers were busy when it was sent
	err      error             // why no answer came
	cutOff   bool              // by the end of the attack
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
type notes [64]struct {
	mu sync.Mutex
	m  map[uint64]*note
}

func newNotes() *notes {
	t := new(notes)
	for i := range t {
		t[i].m = map[uint64]*note{}
	}
	return t
}

func (t *notes) put(n *note) {
	s := &t[n.seq%uint64(len(t))]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[n.seq] = n
}

// take returns the note of a request, and forgets it. It is nil if the request
// did not get as far as the transport.
func (t *notes) take(seq uint64) *note {
	s := &t[seq%uint64(len(t))]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.m[seq]
	delete(s.m, seq)
	return n
}

// start is when the request was due; in the closed model, when it was sent.
func (n *note) start() time.Time {
	if n.due.IsZero() {
		return n.sent
	}
	return n.due
}

package attack

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Headers between the targeter, vegeta and the transport. None goes out.
const (
	seqHeader      = "X-Vegeta-Seq"
	attackHeader   = "X-Vegeta-Attack"
	scenarioHeader = "X-Soundcheck-Scenario"
)

// note is what vegeta's result does not tell of a request.
type note struct {
	scenario *scenario
	traceID  string
}

type noteKey struct{}

func noteOf(ctx context.Context) *note { return ctx.Value(noteKey{}).(*note) }

// transport makes a request known by its sequence number, gives it a deadline,
// and learns the ids of created albums.
type transport struct {
	ctx     context.Context // of the attack
	timeout time.Duration
	next    http.RoundTripper
	ids     *ids
	notes   sync.Map // seq → *note, from the request to its result
}

// take returns the note of a request, and forgets it.
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
	n := &note{scenario: scenarios[req.Header.Get(scenarioHeader)]}
	t.notes.Store(seq, n)
	ctx, cancel := context.WithTimeout(context.WithValue(t.ctx, noteKey{}, n), t.timeout)
	req = req.Clone(ctx)
	for _, name := range []string{seqHeader, attackHeader, scenarioHeader} {
		req.Header.Del(name)
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.StatusCode == http.StatusCreated {
		t.ids.add(resp.Header.Get("Location"))
	}
	resp.Body = &body{resp.Body, cancel}
	return resp, nil
}

// body ends the request's deadline when it is closed.
type body struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// noteTrace stands behind the tracing transport and notes the trace that the
// request is sent with, so that it is known also if no answer comes.
type noteTrace struct{ next http.RoundTripper }

func (t noteTrace) RoundTrip(req *http.Request) (*http.Response, error) {
	if sc := trace.SpanContextFromContext(req.Context()); sc.HasTraceID() {
		noteOf(req.Context()).traceID = sc.TraceID().String()
	}
	return t.next.RoundTrip(req)
}

// ids are albums that exist: the seeded ones, and the last that were created.
type ids struct {
	mu   sync.Mutex
	rng  rng
	list []int64
	next int
}

const maxIDs = 1 << 16

func (s *ids) add(location string) {
	id, err := strconv.ParseInt(strings.TrimPrefix(location, "/albums/"), 10, 64)
	if err != nil {
		return // the answer counts as wrong elsewhere
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < maxIDs {
		s.list = append(s.list, id)
		return
	}
	s.list[s.next] = id
	s.next = (s.next + 1) % maxIDs
}

func (s *ids) pick() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list[s.rng.IntN(len(s.list))]
}

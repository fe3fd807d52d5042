package upstream

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"go.opentelemetry.io/otel/attribute"

	"soundcheck/internal/httpheader"
)

// When a breaker opens and closes: when breakerFailures of the last breakerCalls
// failed, by number and not by time, because a server that fails quickly is asked
// often; for breakerDelay, more or less; until breakerProbes in a row did not fail.
const (
	breakerFailures = 10
	breakerCalls    = 20
	breakerDelay    = 500 * time.Millisecond
	breakerJitter   = 0.1
	breakerProbes   = 3
)

// server is one of those that can be asked.
type server struct {
	base       string // its URL without a slash at the end
	attributes attribute.Set
	breaker    circuitbreaker.CircuitBreaker[any] // nil: it is never left alone
	generation atomic.Int64                       // counts the breaker's changes of state
	inFlight   atomic.Int64
	unheard    atomic.Int64              // attempts since its last response whose callers left without one
	watched    atomic.Bool               // a witness is in flight
	spare      atomic.Pointer[time.Time] // until then others are asked: see drains
	http       *http.Client
	idle       func() // closes the connections that are not in use
}

func newServer(base string, o Options) (*server, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	n, _ := strconv.Atoi(port) // url.Parse has checked it
	s := &server{base: base, attributes: attribute.NewSet(attribute.String("server.address", host), attribute.Int("server.port", n))}
	if o.Breaker {
		s.breaker = circuitbreaker.NewBuilder[any]().
			WithFailureThresholdRatio(breakerFailures, breakerCalls).
			WithDelay(breakerDelay).WithJitterFactor(breakerJitter).
			WithSuccessThreshold(breakerProbes).
			OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
				s.generation.Add(1)
				level := slog.LevelWarn
				if e.NewState == circuitbreaker.ClosedState {
					level = slog.LevelInfo
				}
				o.Logger.Log(context.Background(), level, "circuit breaker state changed", slog.String("state", e.NewState.String()),
					slog.String("server", net.JoinHostPort(host, port)))
			}).Build()
	}
	return s, nil
}

// sparedFor is how long other servers are called instead of a draining one, and dialing how
// long a connection to it may take that was begun before.
const (
	sparedFor = 2 * time.Second
	dialing   = 200 * time.Millisecond
)

// draining reports whether a response comes from a server that is shutting down. Over
// HTTP/1.1 its connection is closed too: else the header was passed on by something in
// between, which does not shut down.
func draining(resp *http.Response) bool {
	return resp.Header.Get(httpheader.Draining) != "" && (resp.Close || resp.ProtoMajor >= 2)
}

// drains notes that the server is shutting down. A request sent to it when it ends is lost,
// and often must not be sent again. If it does not end, it is called again soon. Its idle
// connections are closed: one that has not been used yet looks to the server as if it would
// be now, and the server would not end for seconds.
func (s *server) drains() {
	until := time.Now().Add(sparedFor)
	if before := s.spare.Swap(&until); before == nil || before.Before(time.Now()) {
		s.idle()
		time.AfterFunc(dialing, s.idle)
	}
}

func (s *server) draining() bool {
	until := s.spare.Load()
	return until != nil && time.Now().Before(*until)
}

// wait is how long the server is still left alone.
func (s *server) wait() time.Duration {
	if s.breaker == nil {
		return 0
	}
	return s.breaker.RemainingDelay()
}

// lease is the right to ask a server once. Who has it calls judge when it knows, again
// if an answer that began well breaks off, and leave once.
type lease struct {
	*server
	generation int64
	probe      bool // the breaker is half-open: it waits for what comes of this
	witness    bool // its outcome stands for those whose callers left: see watch
}

// take returns a lease if the server may be asked now.
func (s *server) take() (lease, bool) {
	l := lease{server: s}
	if s.breaker != nil {
		if !s.breaker.TryAcquirePermit() {
			return l, false
		}
		l.generation, l.probe = s.generation.Load(), s.breaker.IsHalfOpen()
	}
	s.inFlight.Add(1)
	return l, true
}

// watch reports whether the next attempt is to be a witness, which goes on when its caller
// leaves. Callers that leave, or have a hedge that was faster, say nothing about a server: it
// may only be slower than they are patient. A server that hangs would never be found out if
// all its callers left before -try-timeout. So after one has left without a response, one
// attempt at a time is kept until its own end.
func (s *server) watch() bool {
	return s.breaker != nil && s.unheard.Load() > 0 && s.watched.CompareAndSwap(false, true)
}

// heard notes a response, whatever it says: the server does not hang.
func (s *server) heard() { s.unheard.Store(0) }

// outcome is what a try says about its server.
type outcome int

const (
	unknown outcome = iota // the caller left, or has less patience than we
	well
	failed
)

// judge tells the breaker. What began before its last change of state says nothing
// about how the server is now. A witness that fails has shown that the attempts whose callers
// left would have failed too.
func (l lease) judge(o outcome) {
	if l.witness && o == failed {
		for range min(l.unheard.Swap(0), breakerCalls) {
			l.record(failed)
		}
	}
	l.record(o)
}

func (l lease) record(o outcome) {
	switch {
	case l.breaker == nil || l.generation != l.server.generation.Load():
	case o == well:
		l.breaker.RecordSuccess()
	case o == failed, l.probe: // of a stream, whose probe ends with its caller: probe again, later
		l.breaker.RecordFailure()
	}
}

func (l lease) leave() {
	l.inFlight.Add(-1)
	if l.witness {
		l.watched.Store(false)
	}
}

// other reports whether there is another server that may be asked.
func (p *Pool) other(than *server) bool {
	for _, s := range p.servers {
		if s != than && s.wait() == 0 {
			return true
		}
	}
	return false
}

// pick returns the less busy of two servers that chance names, but not the last one
// if there is another. Servers whose breaker is open are not among them, and draining ones
// only if there is no other.
func (p *Pool) pick(last *server) (lease, error) {
	var some, others [8]*server
	able, draining, wait := some[:0], others[:0], time.Duration(0)
	for _, s := range p.servers {
		switch w := s.wait(); {
		case w > 0:
			if wait == 0 || w < wait {
				wait = w
			}
		case s.draining():
			draining = append(draining, s)
		default:
			able = append(able, s)
		}
	}
	if len(able) == 0 {
		able = draining
	}
	rand.Shuffle(len(able), func(i, j int) { able[i], able[j] = able[j], able[i] })
	if n := len(able); n > 1 {
		for i, s := range able {
			if s == last { // at the end
				able[i], able[n-1] = able[n-1], able[i]
				n--
				break
			}
		}
		if n > 1 && able[1].inFlight.Load() < able[0].inFlight.Load() {
			able[0], able[1] = able[1], able[0]
		}
	}
	for _, s := range able {
		if l, ok := s.take(); ok {
			return l, nil
		}
	}
	return lease{}, &Unasked{ErrOpen, max(httpheader.WholeSeconds(wait), time.Second)}
}

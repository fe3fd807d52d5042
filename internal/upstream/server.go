package upstream

import (
	"context"
	"encoding/base64"
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

// A breaker opens when breakerFailures of the last breakerCalls failed, and stays open for
// breakerDelay ± breakerJitter. It closes after breakerProbes successes in a row. It counts
// calls and not time, because a server that fails fast gets many calls.
const (
	breakerFailures = 10
	breakerCalls    = 20
	breakerDelay    = 500 * time.Millisecond
	breakerJitter   = 0.1
	breakerProbes   = 3
)

// server is one server of the pool.
type server struct {
	base          string // its URL without a trailing slash
	scheme, host  string
	port          string // empty: the default of the scheme
	attributes    attribute.Set
	breaker       circuitbreaker.CircuitBreaker[any] // nil: none
	generation    atomic.Int64                       // number of state changes of the breaker
	inFlight      atomic.Int64
	abandoned     atomic.Int64              // attempts since its last response whose callers left before one
	witnessing    atomic.Bool               // a witness is in flight
	drainingUntil atomic.Pointer[time.Time] // other servers are preferred until then: see markDraining
	transport     http.RoundTripper
	authorization string // of the URL's user; empty: none
	idle          func() // closes idle connections
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
	s := &server{base: base, scheme: u.Scheme, host: host, port: u.Port(), attributes: attribute.NewSet(attribute.String("server.address", host), attribute.Int("server.port", n))}
	if u.User != nil {
		password, _ := u.User.Password()
		s.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
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

// drainingFor is how long the pool prefers other servers to a draining one. dialGrace is the time
// for connections to it that are being opened.
const (
	drainingFor = 2 * time.Second
	dialGrace   = 200 * time.Millisecond
)

// draining reports whether a response comes from a server that is shutting down. Over
// HTTP/1.1 the server closes the connection too. If not, a proxy in between has passed on the
// header, and the proxy does not shut down.
func draining(resp *http.Response) bool {
	return resp.Header.Get(httpheader.Draining) != "" && (resp.Close || resp.ProtoMajor >= 2)
}

// markDraining records that the server is shutting down. A request that is in flight when it
// exits is lost, and often not retryable. After drainingFor the server gets calls again. Idle
// connections are closed: the server would wait for a request on a connection that was never
// used, and delay its shutdown by seconds.
func (s *server) markDraining() {
	until := time.Now().Add(drainingFor)
	if before := s.drainingUntil.Swap(&until); before == nil || before.Before(time.Now()) {
		s.idle()
		time.AfterFunc(dialGrace, s.idle)
	}
}

func (s *server) draining() bool {
	until := s.drainingUntil.Load()
	return until != nil && time.Now().Before(*until)
}

// wait is the time until the breaker lets a probe through; 0 if it is not open.
func (s *server) wait() time.Duration {
	if s.breaker == nil {
		return 0
	}
	return s.breaker.RemainingDelay()
}

// lease is the permission for one attempt. Its holder calls report with the outcome, a second
// time if a streamed response breaks off, and release once.
type lease struct {
	*server
	generation int64
	probe      bool // the breaker is half-open and needs the outcome
	witness    bool // its outcome also counts for abandoned attempts: see startWitness
}

// take returns a lease, unless the breaker is open.
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

// startWitness reports whether the next attempt is a witness, which continues after its caller
// leaves. Callers that leave, or whose hedge was faster, say nothing about a server: it may just be
// slower than their timeout. If all callers left before -try-timeout, a server that hangs would
// never be detected. So after an abandoned attempt, one attempt at a time is completed.
func (s *server) startWitness() bool {
	return s.breaker != nil && s.abandoned.Load() > 0 && s.witnessing.CompareAndSwap(false, true)
}

// responded records a response of any status: the server does not hang.
func (s *server) responded() { s.abandoned.Store(0) }

// outcome is the result of an attempt for the breaker.
type outcome int

const (
	unknown outcome = iota // the caller left before our timeout
	succeeded
	failed
)

// report records an outcome in the breaker. Attempts that began before its last state change do
// not count. A witness that fails shows that the abandoned attempts would have failed too.
func (l lease) report(o outcome) {
	if l.witness && o == failed {
		for range min(l.abandoned.Swap(0), breakerCalls) {
			l.recordBreaker(failed)
		}
	}
	l.recordBreaker(o)
}

func (l lease) recordBreaker(o outcome) {
	switch {
	case l.breaker == nil || l.generation != l.server.generation.Load():
	case o == succeeded:
		l.breaker.RecordSuccess()
	case o == failed, l.probe: // a streamed probe whose caller left: probe again later
		l.breaker.RecordFailure()
	}
}

func (l lease) release() {
	l.inFlight.Add(-1)
	if l.witness {
		l.witnessing.Store(false)
	}
}

// other reports whether another server can be called.
func (p *Pool) other(than *server) bool {
	for _, s := range p.servers {
		if s != than && s.wait() == 0 {
			return true
		}
	}
	return false
}

// pick returns the server with fewer calls in flight of two picked at random, but not the last
// one if there is another. It skips servers whose breaker is open, and draining ones if there is
// another.
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
	return lease{}, &ShedError{ErrCircuitOpen, max(httpheader.WholeSeconds(wait), time.Second)}
}

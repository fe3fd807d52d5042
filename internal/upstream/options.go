package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/cli"
)

// Options configure a Pool. The zero value of a field disables its feature.
type Options struct {
	URLs           []string      // base URLs of the servers, see cli.ParseURLs
	Timeout        time.Duration // of a call, with all its attempts and the waits between them
	AttemptTimeout time.Duration // of one attempt of a retryable request; 0: none

	Retries   int           // attempts after the first; 0: none
	RetryWait time.Duration // max wait before a retry; a longer Retry-After is not retried
	Budget    float64       // retries and hedges, as a share of all calls

	Breaker    bool
	HedgeAfter Hedge // delay of the second attempt of a read

	H2C   bool // HTTP/2 without TLS, instead of HTTP/1.1
	Conns int  // max idle connections per server

	urls string // as given, not parsed yet

	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator
	Logger         *slog.Logger
	// Wrap, if not nil, wraps the transport: each attempt goes through it.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Hedge is the delay before a read is sent a second time: a duration, or a quantile of the
// latency of previous reads. The zero value disables hedges. It is a flag.Value.
type Hedge struct {
	After    time.Duration
	Quantile float64
}

// String implements flag.Value.
func (h Hedge) String() string {
	switch {
	case h.Quantile > 0:
		return "p" + strconv.FormatFloat(100*h.Quantile, 'f', -1, 64)
	case h.After > 0:
		return h.After.String()
	default:
		return "off"
	}
}

// Set implements flag.Value.
func (h *Hedge) Set(s string) error {
	errHedge := errors.New("must be off, a duration from 1ms to 1m, or a percentile from p50 to p99.9")
	if s == "off" {
		*h = Hedge{}
		return nil
	}
	if percent, ok := strings.CutPrefix(s, "p"); ok {
		n, err := strconv.ParseFloat(percent, 64)
		if err != nil || !(n >= 50 && n <= 99.9) {
			return errHedge
		}
		*h = Hedge{Quantile: n / 100}
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Millisecond || d > time.Minute {
		return errHedge
	}
	*h = Hedge{After: d}
	return nil
}

// HTTP/2 pings: sent after pingAfter without a frame; the connection is closed after
// pingTimeout without a response.
const (
	pingAfter   = 5 * time.Second
	pingTimeout = 2 * time.Second
)

// flagConns is the maximum number of idle connections per server: above the peak number of
// requests in flight, so that connections are reused.
const flagConns = 2048

// maxTimeout leaves time to respond before the server's write timeout closes the connection.
const maxTimeout = 50 * time.Second

// Flags adds the flags of the returned Options to f. Name is the servers' name, such as
// "store". Call Check after f is parsed.
func Flags(f *cli.Flags, name, url string) *Options {
	o := &Options{Conns: flagConns}
	f.StringVar(&o.urls, name, url, "`URL` of the album "+name+"; or several, separated by commas, that share one database")
	f.DurationVar(&o.Timeout, name+"-timeout", 10*time.Second, "`timeout` per call to the "+name+", retries included; then respond 504 (1ms to 50s)")
	f.DurationVar(&o.AttemptTimeout, "try-timeout", 3*time.Second, "`timeout` per attempt, for idempotent requests (1ms to 50s)")
	f.IntVar(&o.Retries, "retries", 2, "max `retries` of idempotent requests, and of any whose connection failed (0 to 10)")
	f.DurationVar(&o.RetryWait, "retry-wait", 250*time.Millisecond, "max `wait` before a retry; a longer Retry-After goes to the client (1ms to 10s)")
	f.Float64Var(&o.Budget, "retry-budget", 0.1, "max `share` of calls that retries and hedges may add (0 to 1; 0: none)")
	f.BoolVar(&o.Breaker, "breaker", true, "circuit breaker: stop calling a failing "+name+" for "+breakerDelay.String()+", and respond 503")
	f.Var(&o.HedgeAfter, "hedge-after", "send a second GET after this `time` or percentile, such as 20ms or p95; default: off")
	f.BoolVar(&o.H2C, "h2c", false, "use HTTP/2 without TLS to the "+name+", instead of HTTP/1.1")
	return o
}

// Check returns a usage error that names the flag whose value is invalid. It sets the URLs.
func (o *Options) Check(f *cli.Flags, name string) error {
	switch {
	case o.Timeout < time.Millisecond || o.Timeout > maxTimeout:
		return f.Errorf("-%s-timeout %s is out of range: 1ms to 50s", name, o.Timeout)
	case o.AttemptTimeout < time.Millisecond || o.AttemptTimeout > maxTimeout:
		return f.Errorf("-try-timeout %s is out of range: 1ms to 50s", o.AttemptTimeout)
	case o.Retries < 0 || o.Retries > 10:
		return f.Errorf("-retries %d is out of range: 0 to 10", o.Retries)
	case o.RetryWait < time.Millisecond || o.RetryWait > 10*time.Second:
		return f.Errorf("-retry-wait %s is out of range: 1ms to 10s", o.RetryWait)
	case !(o.Budget >= 0 && o.Budget <= 1):
		return f.Errorf("-retry-budget %g is out of range: 0 to 1", o.Budget)
	}
	var err error
	if o.URLs, err = cli.ParseURLs(o.urls); err != nil {
		return f.Errorf("-%s: %v", name, err)
	}
	return nil
}

// New returns a Pool. It opens no connections.
func New(o Options) (*Pool, error) {
	if len(o.URLs) == 0 {
		return nil, errors.New("no server")
	}
	o.setDefaults()
	if o.Budget == 0 {
		o.Retries, o.HedgeAfter = 0, Hedge{}
	}
	p := &Pool{o: o, budget: newBudget(o.Budget)}
	for _, u := range o.URLs {
		s, err := newServer(u, o)
		if err != nil {
			return nil, err
		}
		p.servers = append(p.servers, s)
	}
	if err := p.instrument(); err != nil {
		return nil, fmt.Errorf("create upstream metrics: %w", err)
	}
	p.plain = failsafe.With[*Response](p.retryPolicy(p.retryable))
	p.unreachable = failsafe.With[*Response](p.retryPolicy(unreachable))
	if o.HedgeAfter != (Hedge{}) {
		p.hedged = failsafe.With[*Response](p.retryPolicy(p.retryable), p.hedgePolicy())
	}
	duration, err := newDuration(o.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("create upstream metrics: %w", err)
	}
	for _, s := range p.servers {
		s.transport, s.idle = newTransport(o, duration, s)
	}
	return p, nil
}

// newTransport returns the transport of one server, and a function that closes its idle
// connections. Duration is newDuration's histogram: all servers share it. There is no http.Client: a
// service never redirects and sets no cookies, and a redirect comes from something else.
func newTransport(o Options, duration metric.Float64Histogram, s *server) (_ http.RoundTripper, closeIdle func()) {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.MaxIdleConns, tr.MaxIdleConnsPerHost = 0, o.Conns
	if o.H2C {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
		tr.Protocols.SetHTTP2(true) // with TLS
	}
	// Pings detect a connection whose server vanished without closing it.
	tr.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}
	var rt http.RoundTripper = tr
	if o.Wrap != nil {
		rt = o.Wrap(rt)
	}
	return newInstrumented(rt, o, duration, s.host, s.port, s.scheme), tr.CloseIdleConnections
}

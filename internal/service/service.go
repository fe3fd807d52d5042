// Package service is the common part of the store's and the proxy's main: flags, telemetry, the
// server, and the order of the shutdown.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/apidocs"
	"soundcheck/internal/cli"
	"soundcheck/internal/fault"
	"soundcheck/internal/gc"
	"soundcheck/internal/httpserver"
	"soundcheck/internal/overload"
	"soundcheck/internal/telemetry"
	"soundcheck/internal/version"
)

// Common are the flags of both services.
type Common struct {
	Addr         string
	MaxBody      int64
	DrainDelay   time.Duration
	DrainTimeout time.Duration
	FlushTimeout time.Duration
	Overload     *overload.Options // nil: no limits
	Faults       *fault.Set        // set by Check; nil: none

	instrumentation string

	faults    string
	faultSeed uint64
	hidden    bool
	kinds     []fault.Kind
	adminAddr string
}

// Libraries for -instrumentation. Both record the same: see httptelemetry.
const (
	lean    = "lean"
	otelgin = "otelgin"
)

// CommonFlags adds the common flags to f. Kinds are the faults that the service supports.
func CommonFlags(f *cli.Flags, addr string, kinds ...fault.Kind) *Common {
	c := &Common{kinds: kinds, Overload: overload.Flags(f)}
	f.StringVar(&c.Addr, "addr", addr, "listen address `host:port`; port 0 picks a free port")
	f.Int64Var(&c.MaxBody, "max-body", albumhttp.DefaultMaxBody, "max request body size in `bytes`, except for batches (1024 to 1073741824)")
	f.DurationVar(&c.DrainDelay, "drain-delay", 0, "shutdown: `time` to keep accepting requests, so that load balancers notice first (0s to 10m)")
	f.DurationVar(&c.DrainTimeout, "drain-timeout", 15*time.Second, "shutdown: max `time` for requests and operations in flight, after -drain-delay (0s to 10m)")
	f.DurationVar(&c.FlushTimeout, "flush-timeout", 5*time.Second, "shutdown: max `time` to flush telemetry, after -drain-timeout (0s to 10m)")
	f.StringVar(&c.faults, "fault", "", "inject `faults`, separated by commas; default: none; examples: "+examples(kinds))
	f.Uint64Var(&c.faultSeed, "fault-seed", 1, "random `seed` that selects the requests that a fault affects")
	f.StringVar(&c.instrumentation, "instrumentation", lean, "`library` for server spans and metrics: lean, or otelgin, which costs more")
	f.BoolVar(&c.hidden, "fault-hidden", false, "hide faults from telemetry, log and -admin-addr, as in an exercise")
	f.StringVar(&c.adminAddr, "admin-addr", "", "`host:port` of /admin/faults, which shows and sets faults, and of /debug/pprof; loopback only; default: off")
	return c
}

func examples(kinds []fault.Kind) string {
	of := map[fault.Kind]string{fault.DBDelay: "db-delay=20ms", fault.Latency: "latency=50ms@10%", fault.Error: "error=500@1%",
		fault.Stall: "stall=10s@1m", fault.Slots: "slots=16", fault.Drop: "drop=1%", fault.ConnLeak: "conn-leak=1%", fault.DBLock: "db-lock=400ms@1s", fault.NPlusOne: "n-plus-one=100%"}
	list := make([]string, len(kinds))
	for i, k := range kinds {
		list[i] = of[k]
	}
	return strings.Join(list, ", ")
}

// Check returns a usage error that names the flag whose value is invalid.
func (c *Common) Check(f *cli.Flags) error {
	_, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return f.Errorf("-addr %q is not host:port", c.Addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return f.Errorf("-addr %q: the port must be a number from 0 to 65535", c.Addr)
	}
	if c.MaxBody < 1<<10 || c.MaxBody > 1<<30 {
		return f.Errorf("-max-body %d is out of range: 1024 to 1073741824", c.MaxBody)
	}
	for name, d := range map[string]time.Duration{"drain-delay": c.DrainDelay, "drain-timeout": c.DrainTimeout, "flush-timeout": c.FlushTimeout} {
		if d < 0 || d > 10*time.Minute {
			return f.Errorf("-%s %s is out of range: 0s to 10m", name, d)
		}
	}
	if err := c.Overload.Check(f); err != nil {
		return err
	}
	c.Faults = fault.New(c.faultSeed, c.kinds...)
	if c.hidden {
		c.Faults.Hide()
	}
	if c.faults != "" {
		if err := c.Faults.Replace(context.Background(), c.faults); err != nil {
			return f.Errorf("-fault: %v", err)
		}
	}
	if c.instrumentation != lean && c.instrumentation != otelgin {
		return f.Errorf("-instrumentation %q is not lean or otelgin", c.instrumentation)
	}
	if err := checkAdmin(c.adminAddr); err != nil {
		return f.Errorf("-admin-addr %q: %v", c.adminAddr, err)
	}
	return f.NoArgs()
}

// Backend is the album.Service of a service.
type Backend struct {
	album.Service
	Ready func(context.Context) error // nil: always
	Close func(context.Context) error // returns when the context ends, at the latest; nil: nothing to close
	Proxy bool                        // the Service is a client of a store
}

// Run serves the Backend of open until ctx ends. The shutdown drains HTTP, closes the Backend, and
// then flushes telemetry, because the last requests have spans too. It takes no longer than the
// drain delay plus the drain timeout plus the flush timeout, from the end of ctx.
func Run(ctx context.Context, name string, c *Common, stdout io.Writer, open func(albumapi.Telemetry) (Backend, error)) (err error) {
	t, err := telemetry.Setup(ctx, telemetry.Config{Name: name, Logs: stdout})
	if err != nil {
		return err
	}
	end := newEnding(ctx)
	defer func() {
		flush, cancel := context.WithDeadline(context.WithoutCancel(ctx), end.after(c.DrainDelay+c.DrainTimeout+c.FlushTimeout))
		defer cancel()
		flush, cancel = context.WithTimeout(flush, c.FlushTimeout)
		defer cancel()
		if e := t.Shutdown(flush); e != nil {
			// The service did its work: an unavailable Collector is no failure of it.
			t.Errors.Handle(fmt.Errorf("flush telemetry: %w", e))
		}
	}()
	signals := signalsOf(t)
	gc.Pace()
	b, err := open(signals)
	if err != nil {
		return err
	}
	if b.Close != nil {
		defer func() {
			drain, cancel := context.WithDeadline(context.WithoutCancel(ctx), end.after(c.DrainDelay+c.DrainTimeout))
			defer cancel()
			err = errors.Join(err, b.Close(drain))
		}()
	}
	handler, err := newHandler(name, c, b, signals)
	if err != nil {
		return err
	}
	if c.adminAddr != "" {
		stop, err := serveAdmin(ctx, c.adminAddr, c.admin(), t.Logger)
		if err != nil {
			return err
		}
		defer stop()
	}
	err = httpserver.Run(ctx, httpserver.Config{
		Name: name, Version: version.String(), Addr: c.Addr,
		Handler:      handler,
		Metrics:      t.Metrics,
		Ready:        b.Ready,
		Logger:       t.Logger,
		DrainDelay:   c.DrainDelay,
		DrainTimeout: c.DrainTimeout,
	})
	if err == nil {
		t.Logger.InfoContext(ctx, "stopped", slog.String("cause", context.Cause(ctx).Error()))
	}
	return err
}

// signalsOf returns the providers of t, or only its logger if telemetry is disabled.
func signalsOf(t *telemetry.Telemetry) albumapi.Telemetry {
	if t.Disabled {
		return albumapi.Telemetry{Logger: t.Logger}
	}
	return albumapi.Telemetry{TracerProvider: t.TracerProvider, MeterProvider: t.MeterProvider, Propagator: t.Propagator, Logger: t.Logger}
}

// newHandler returns the handler of a service, with overload control and faults.
func newHandler(name string, c *Common, b Backend, signals albumapi.Telemetry) (_ http.Handler, err error) {
	var control *overload.Control
	if c.Overload != nil {
		if control, err = overload.New(*c.Overload, signals.MeterProvider); err != nil {
			return nil, err
		}
	}
	if c.Faults != nil {
		if err := c.Faults.Instrument(signals.TracerProvider, signals.MeterProvider, signals.Logger); err != nil {
			return nil, err
		}
	}
	return albumhttp.Handler(b.Service, albumhttp.HandlerOptions{Service: name, MaxBody: c.MaxBody, Proxy: b.Proxy,
		Docs: apidocs.Handler(), Overload: control, Faults: c.Faults, Telemetry: signals, Otelgin: c.instrumentation == otelgin}), nil
}

// ending is the start of the shutdown. Every step has a deadline from there: separate timeouts
// would add up to more than a supervisor waits.
type ending struct{ begun atomic.Int64 } // as in UnixNano; 0: not yet

func newEnding(ctx context.Context) *ending {
	e := &ending{}
	context.AfterFunc(ctx, func() { e.after(0) })
	return e
}

// after returns the start of the shutdown plus d. The first call starts the shutdown.
func (e *ending) after(d time.Duration) time.Time {
	e.begun.CompareAndSwap(0, time.Now().UnixNano())
	return time.Unix(0, e.begun.Load()).Add(d)
}

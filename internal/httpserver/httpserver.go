// Package httpserver is the HTTP server of the services: it listens, serves, drains, and has the
// probes:
//
//	GET /healthz  200 while the process lives
//	GET /readyz   200 while it accepts requests, 503 while it drains or a dependency is unavailable
//	GET /status   200 with name, version, start time and uptime
//	GET /metrics  the program's metrics in Prometheus' text format
//
// Probes are not traced, logged or limited.
package httpserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"soundcheck/internal/httpheader"
)

// Config configures Run.
type Config struct {
	Name    string // service.name
	Version string
	Addr    string // host:port; port 0 picks a free port
	Handler http.Handler
	Metrics http.Handler
	// Ready, if not nil, returns an error if a dependency is unavailable.
	Ready  func(context.Context) error
	Logger *slog.Logger
	// DrainDelay is how long the server keeps accepting requests at shutdown, before it drains: a load balancer
	// sends them until it has noticed. Each response tells the client to close its connection.
	DrainDelay time.Duration
	// DrainTimeout is the maximum time for requests in flight at shutdown, and for the whole
	// shutdown of the server after DrainDelay.
	DrainTimeout time.Duration

	// Linger is how long a draining server serves open connections; 0: lingerTime. It is longer in tests.
	Linger time.Duration
}

// Timeouts of a connection.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// lingerTime is how long a draining server continues to serve open connections, with one more
// response each that tells the client to close it. If the server closed them at once, it would
// cut off a request that a client is sending, and the client could not know whether the server
// received it. The server stops earlier if there has been no connection for quietTime, which can
// begin before the drain, and after minPolls polls.
const (
	lingerTime = time.Second
	quietTime  = 200 * time.Millisecond
	pollTime   = 5 * time.Millisecond
	minPolls   = 3
)

// connections counts open connections.
type connections struct {
	open    atomic.Int64
	changed atomic.Int64 // when a connection was last opened or closed, in nanoseconds since 1970; 0: never
}

func (c *connections) note(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.changed.Store(time.Now().UnixNano())
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.changed.Store(time.Now().UnixNano())
		c.open.Add(-1)
	}
}

// wait returns when all clients have left, or after most. If the process did not run for a while, connections in the
// listener's backlog are not counted yet: closing the listener would reset them.
func (c *connections) wait(most time.Duration) {
	begun := time.Now()
	quiet := quietness{last: begun}
	for now := begun; now.Sub(begun) < most && !quiet.enough(now, c.open.Load(), time.Unix(0, c.changed.Load())); now = time.Now() {
		time.Sleep(pollTime)
	}
}

// quietness is how long there has been no connection.
type quietness struct {
	last  time.Time // time of the last poll
	since time.Time // time of the last poll that was late or saw an open connection
	polls int
}

// enough reports whether quietTime has passed. A poll 50 ms late or more restarts it.
func (q *quietness) enough(now time.Time, open int64, changed time.Time) bool {
	if open > 0 || now.Sub(q.last) >= pollTime+quietTime/4 {
		q.since = now
	}
	q.last = now
	q.polls++
	return q.polls > minPolls && now.Sub(q.since) >= quietTime && now.Sub(changed) >= quietTime
}

// Run serves until ctx ends, then drains requests in flight. It returns nil after a clean drain.
// It accepts HTTP/1.1 and cleartext HTTP/2.
func Run(ctx context.Context, c Config) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("listen %s: %w", c.Addr, unwrapListen(err))
	}
	var draining atomic.Bool
	var conns connections
	srv := &http.Server{
		ConnState:         conns.note,
		Handler:           withProbes(c, &draining),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	c.Logger.InfoContext(ctx, "listening", slog.String("address", l.Addr().String()), slog.String("service.version", c.Version))
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", c.Addr, err)
	case <-ctx.Done():
	}
	draining.Store(true)
	c.Logger.InfoContext(ctx, "draining", slog.Duration("delay", c.DrainDelay), slog.Duration("timeout", c.DrainTimeout))
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", c.Addr, err)
	case <-time.After(c.DrainDelay):
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.DrainTimeout)
	defer cancel()
	conns.wait(min(cmp.Or(c.Linger, lingerTime), c.DrainTimeout))
	if err := srv.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("requests in flight after the drain timeout of %s: %w", c.DrainTimeout, err), srv.Close())
	}
	return nil
}

// unwrapListen removes the address, which the message has already.
func unwrapListen(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func withProbes(c Config, draining *atomic.Bool) http.Handler {
	start := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if draining.Load() {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "draining"})
			return
		}
		if c.Ready != nil {
			if err := c.Ready(r.Context()); err != nil {
				c.Logger.WarnContext(r.Context(), "not ready", slog.String("error", err.Error()))
				writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready"})
				return
			}
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"service": c.Name, "version": c.Version, "status": "ok",
			"started_at":     start.UTC().Format(time.RFC3339),
			"uptime_seconds": int64(time.Since(start).Seconds()),
		})
	})
	mux.Handle("GET /metrics", c.Metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if draining.Load() {
			w.Header().Set("Connection", "close")
			w.Header().Set(httpheader.Draining, "true")
		}
		switch r.URL.Path { // not the mux: the handler has a router of its own
		case "/healthz", "/readyz", "/status", "/metrics":
			mux.ServeHTTP(w, r)
		default:
			c.Handler.ServeHTTP(w, r)
		}
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only if the client has left
}

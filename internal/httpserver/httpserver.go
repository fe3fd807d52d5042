// Package httpserver listens, serves and drains the way every service of the
// lab does, and answers the probes that belong to no API:
//
//	GET /healthz  200 while the process lives
//	GET /readyz   200 while it takes requests, 503 once it drains or what it needs is away
//	GET /status   200 with name, version, start time and uptime, for people
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

// Config is what a service serves.
type Config struct {
	Name    string // service.name
	Version string
	Addr    string // host:port; port 0 takes a free one
	Handler http.Handler
	Metrics http.Handler
	// Ready, if not nil, tells whether what the service needs is there.
	Ready  func(context.Context) error
	Logger *slog.Logger
	// DrainTimeout is how long requests that run at the end may take to finish. The whole
	// shutdown of the server takes no longer.
	DrainTimeout time.Duration

	farewell time.Duration // tests have more of it
}

// Time limits of a connection. A client that is slower than this holds a
// connection for nothing.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// farewell is how long a server that is to end goes on with the connections that there
// are, one more answer each, which tells the client not to use it again. If it closed them
// at once, it would cut off the request that a client is just sending on one, and the
// client could not know whether it was taken. It ends before that if for so long as quiet
// there is no connection, and none came or went: then no client is about to make one.
const (
	farewell = time.Second
	quiet    = 200 * time.Millisecond
)

// connections counts those that are open.
type connections struct {
	open    atomic.Int64
	changed atomic.Int64 // when one came or went, as in UnixNano
}

func (c *connections) note(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	default:
		return
	}
	c.changed.Store(time.Now().UnixNano())
}

// end returns when clients have left, or after so long.
func (c *connections) end(most time.Duration) {
	for begun := time.Now(); time.Since(begun) < most; time.Sleep(5 * time.Millisecond) {
		if c.open.Load() == 0 && time.Since(time.Unix(0, c.changed.Load())) >= quiet {
			return
		}
	}
}

// Run serves until ctx ends, then lets running requests finish. It returns nil
// after a clean drain. HTTP/1.1 and cleartext HTTP/2 are accepted.
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
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.DrainTimeout)
	defer cancel()
	draining.Store(true)
	c.Logger.InfoContext(ctx, "draining", slog.Duration("timeout", c.DrainTimeout))
	conns.end(min(cmp.Or(c.farewell, farewell), c.DrainTimeout))
	if err := srv.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("requests still ran after the drain timeout of %s: %w", c.DrainTimeout, err), srv.Close())
	}
	return nil
}

// unwrapListen drops the address that the message says already.
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
	_ = json.NewEncoder(w).Encode(v) // the prober has left: nobody to tell
}

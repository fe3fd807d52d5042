package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"soundcheck/internal/profiling"
)

const adminTimeout = 5 * time.Second

// checkAdmin accepts loopback addresses.
func checkAdmin(addr string) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("not host:port")
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return errors.New("the host must be 127.0.0.1 or ::1: any client of this address can inject faults")
	}
	return nil
}

// admin is the handler of the admin address. Stacks in profiles would show hidden faults.
func (c *Common) admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", c.Faults.Admin())
	if !c.hidden {
		mux.Handle("/debug/pprof/", profiling.Handler())
	} else {
		mux.HandleFunc("/debug/pprof/", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "profiles would show the faults of the exercise: lab exercise stop ends it", http.StatusConflict)
		})
	}
	return mux
}

// serveAdmin serves h at addr until stop is called.
func serveAdmin(ctx context.Context, addr string, h http.Handler, log *slog.Logger) (stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	srv := &http.Server{Handler: h, ReadTimeout: adminTimeout, WriteTimeout: adminTimeout, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	log.InfoContext(ctx, "admin listening", slog.String("address", l.Addr().String()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ends with stop
	}()
	return func() {
		_ = srv.Close()
		<-done
	}, nil
}

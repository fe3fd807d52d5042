// Package profiling serves the profiles of a process as net/http/pprof does, and labels CPU samples while a
// CPU profile is taken.
package profiling

import (
	"context"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	runtimepprof "runtime/pprof"
)

// Labels of CPU samples. A sample without them is of work outside requests, such as garbage collection.
const (
	TraceID = "trace_id"
	SpanID  = "span_id" // of the server span
	Route   = "route"   // as in GET /albums/:id
)

// Handler serves, without the command line:
//
//	GET /debug/pprof/                     the profiles that there are
//	GET /debug/pprof/profile?seconds=30   CPU profile
//	GET /debug/pprof/trace?seconds=1      execution trace
//	GET /debug/pprof/NAME                 heap, goroutine, mutex, block, allocs, threadcreate
//
// Requests need a loopback Host header: that prevents DNS rebinding from a web page. Other web pages can link here, but
// request nothing, such as a profile of an hour.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", http.NotFound)
	mux.HandleFunc("GET /debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		active.Add(1)
		defer active.Add(-1)
		pprof.Profile(w, r)
	})
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.Host) {
			http.Error(w, "the Host header must be 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			http.Error(w, "other web pages cannot request profiles", http.StatusForbidden)
			return
		}
		// The read timeout of the server would end the request's context, and so the profile.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a recorder in a test has none
		mux.ServeHTTP(w, r)
	})
}

func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// active is the number of CPU profiles that are requested.
var active atomic.Int32

// Active reports whether a CPU profile is being taken. Without one, labels are not worth their cost.
func Active() bool { return active.Load() > 0 }

// Label calls do with labels, which goroutines that do starts inherit: names and values in turn.
func Label(ctx context.Context, do func(context.Context), labels ...string) {
	runtimepprof.Do(ctx, runtimepprof.Labels(labels...), do)
}

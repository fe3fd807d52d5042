// Package server is what the console answers: its pages, and what these ask for.
//
//	/, /dashboards, /d/UID, /traces, /trace/ID, …  pages: one document, whose modules show the address
//	/assets/HASH/               modules, styles, uPlot (which vegeta brings along); a browser keeps them
//	/api/                       Jaeger's query API
//	/-/prometheus/api/v1/       Prometheus' query API
//	/-/dashboards, /-/dashboards/UID  the dashboards: list, file
//	/-/traces, /-/map           what lists of traces and the service map show of Jaeger's traces
//	/-/lab                      which programs run: what the supervisor, or each container, says
//	/-/faults                   the faults that are on; DELETE clears them
//	/-/logs                     lines of the programs' logs
//	/-/runs, /-/runs/ID, …      loadgen's runs, their files, and two compared
//
// Everything is read only, but that faults can be cleared. The server is for the machine it runs on: it answers requests
// for an address of that machine, so that no page from elsewhere can read it by a name of
// its own (DNS rebinding).
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzhttp"

	"soundcheck/console/traces"
	"soundcheck/dashboards"
)

// Config is what a server shows.
type Config struct {
	Prometheus, Jaeger *url.URL
	State              string // folder of the lab
	// Containers are the programs of a lab in containers, in order of need. None: a lab
	// with a supervisor.
	Containers []Container
	PortOffset int // of the containers' published ports; a supervisor knows its own
}

// policy allows what the server itself sends, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// New returns the server.
func New(c Config) http.Handler {
	mux := http.NewServeMux()
	files := readAssets()
	mux.HandleFunc("GET /assets/", files.asset)
	mux.Handle("GET /api/", passOn(c.Jaeger, "", "/api/", "Jaeger"))
	mux.Handle("GET /-/prometheus/api/v1/", passOn(c.Prometheus, "/-/prometheus", "/api/v1/", "Prometheus", "query", "query_range", "query_exemplars",
		"series", "labels", "label/", "metadata", "alerts", "rules", "status/buildinfo", "status/tsdb", "targets"))
	boards := readDashboards(dashboards.FS())
	mux.HandleFunc("GET /-/dashboards", answer(boards.listDashboards))
	mux.HandleFunc("GET /-/dashboards/{uid}", boards.dashboard)
	jaeger := traces.Jaeger{URL: c.Jaeger, Client: &http.Client{Transport: toBackends}}
	mux.HandleFunc("GET /-/traces", answer(searchTraces(jaeger)))
	mux.HandleFunc("GET /-/map", answer(serviceMap(jaeger)))
	mux.HandleFunc("GET /-/lab", answer(lab(c)))
	mux.HandleFunc("GET "+faultsPath, answer(listFaults(c)))
	mux.HandleFunc("DELETE "+faultsPath, answer(clearFaults(c)))
	mux.HandleFunc("GET /-/logs", answer(readLogs(c.State)))
	kept := newRuns(c)
	mux.HandleFunc("GET /-/runs", answer(kept.list))
	mux.HandleFunc("GET /-/runs/compare", answer(kept.compare))
	mux.HandleFunc("GET /-/runs/{id}", answer(kept.report))
	mux.HandleFunc("GET /-/runs/{id}/{file}", kept.file)
	mux.HandleFunc("GET /-/", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, "no such resource") })
	mux.HandleFunc("GET /", files.page)
	return secure(compress(mux))
}

// Leading makes a server show the page of a path first.
func Leading(next http.Handler, first string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && local(r.Host) {
			http.Redirect(w, r, first, http.StatusFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// compress sends texts of some size in gzip to who takes that; what a backend has compressed
// already is passed on as it is.
var compress = func() func(http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false))
	if err != nil {
		panic(err) // of constants
	}
	return wrap
}()

// secure is around every answer.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !local(r.Host) {
			fail(w, http.StatusMisdirectedRequest, "the console answers for 127.0.0.1 and localhost only")
			return
		}
		if allowed := allow(r.URL.Path); !slices.Contains(allowed, r.Method) {
			h.Set("Allow", strings.Join(allowed, ", "))
			fail(w, http.StatusMethodNotAllowed, "this is read only")
			return
		}
		// A page from elsewhere may lead here, and ask for nothing. "same-site" is another
		// port of this machine.
		leads := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Method != http.MethodDelete
		if site := r.Header.Get("Sec-Fetch-Site"); (site == "cross-site" || site == "same-site") && !leads {
			fail(w, http.StatusForbidden, "only the console's own pages may ask for this")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// faultsPath is the one resource that a page may change. A browser asks before it sends a
// DELETE of a page from elsewhere (CORS), and is refused.
const faultsPath = "/-/faults"

// allow returns the methods of a path.
func allow(path string) []string {
	if path == faultsPath {
		return []string{http.MethodGet, http.MethodHead, http.MethodDelete}
	}
	return []string{http.MethodGet, http.MethodHead}
}

// local reports whether a Host header names this machine, or an IP address: a name could be
// another's that leads here.
func local(host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		host = name
	}
	host = strings.Trim(host, "[]")
	return strings.EqualFold(host, "localhost") || net.ParseIP(host) != nil
}

// problem is an error with the status of its response.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

// failure returns a problem.
func failure(status int, format string, args ...any) error {
	return &problem{status, fmt.Sprintf(format, args...)}
}

// answer responds with what find returns as JSON, or with its error: 500, if it is no
// problem. If the reader has left, nobody can be told.
func answer(find func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := find(r)
		if p, ok := errors.AsType[*problem](err); ok {
			fail(w, p.status, p.text)
		} else if err != nil && !errors.Is(err, context.Canceled) {
			fail(w, http.StatusInternalServerError, err.Error())
		} else if err == nil {
			reply(w, http.StatusOK, v)
		}
	}
}

// fail answers an error as the pages read it.
func fail(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]string{"error": text})
}

// reply answers JSON that is of this moment.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader has left: nobody to tell
}

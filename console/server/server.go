// Package server serves the console: its pages and their data.
//
//	/, /explore, /dashboards, /d/UID, /traces, /trace/ID, …  pages: one document, whose modules render the path
//	/assets/HASH/               modules, styles, uPlot (from vegeta); cached by browsers
//	/api/                       Jaeger's query API
//	/-/prometheus/api/v1/       Prometheus' query API
//	/-/metadata                 type, unit and help of metrics, from Prometheus and the services
//	/-/dashboards, /-/dashboards/UID  the dashboards: list, file
//	/-/traces, /-/map           trace lists and service map, from Jaeger's traces; POST reads a file of traces
//	/-/traces/ID                a trace with its critical path; /otlp: as OTLP JSON
//	/-/lab                      state of the components, from the supervisor or the containers
//	/-/control                  whether pages may set faults and run load tests, and the token for it
//	/-/faults                   active faults; DELETE clears them, PUT sets one; /-/faults/settings: what can be set
//	/-/load                     the load test that runs; POST starts one, DELETE stops it; /-/load/command: its command
//	/-/logs                     lines of component logs
//	/-/runs, /-/runs/ID, …      loadgen's runs, their progress, their files, comparison of two
//	/-/profiles, /-/pprof/      CPU profiles of runs: those of a moment, their pages by pprof
//
// Everything else is read only. The server accepts only requests
// whose Host is an IP address or localhost, which prevents DNS rebinding: a foreign page
// cannot read it through a DNS name.
package server

import (
	"bytes"
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

	"soundcheck/console/load"
	"soundcheck/console/traces"
	"soundcheck/dashboards"
)

// Config configures a server.
type Config struct {
	Prometheus, Jaeger *url.URL
	State              string // folder of the lab
	// Containers are the components of a lab in containers, in start order. None: a lab
	// with a supervisor.
	Containers []Container
	Kubernetes bool // the containers are in pods, not in Compose
	PortOffset int  // of the containers' published ports; a supervisor reports its own
	// Load runs load tests; nil: none can be started.
	Load *load.Runner
	// NoControl is why pages may neither set faults nor run load tests; "": they may, on this machine.
	NoControl string
	// AllowControl lets pages on other machines do it, too.
	AllowControl bool
}

// policy is the Content-Security-Policy: only files of this server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// New returns the server.
func New(c Config) http.Handler {
	mux := http.NewServeMux()
	files := readAssets()
	files.document = bytes.Replace(files.document, []byte("<html "), []byte("<html "+c.platform()), 1)
	mux.HandleFunc("GET /assets/", files.asset)
	mux.Handle("GET /api/", c.backend("Jaeger", c.Jaeger).passOn("", "/api/"))
	mux.Handle("GET /-/prometheus/api/v1/", c.backend("Prometheus", c.Prometheus).passOn("/-/prometheus", "/api/v1/", "query", "query_range", "query_exemplars",
		"series", "labels", "label/", "metadata", "features", "alerts", "rules", "status/buildinfo", "status/tsdb", "targets"))
	boards := readDashboards(dashboards.FS())
	mux.HandleFunc("GET /-/dashboards", respond(boards.listDashboards))
	mux.HandleFunc("GET /-/dashboards/{uid}", boards.dashboard)
	mux.HandleFunc("GET "+tracesPath, respond(searchTraces(c)))
	mux.HandleFunc("POST "+tracesPath, traces.LimitFiles(respond(readTraces), busyReading))
	mux.HandleFunc("GET "+tracesPath+"/{id}", respond(oneTrace(c)))
	mux.HandleFunc("GET "+tracesPath+"/{id}/otlp", otlpTrace(c))
	mux.HandleFunc("GET /-/map", respond(serviceMap(c)))
	mux.HandleFunc("GET /-/metadata", respond(metricMetadata(c)))
	mux.HandleFunc("GET /-/lab", respond(lab(c)))
	mux.HandleFunc("GET "+faultsPath, respond(listFaults(c)))
	mux.HandleFunc("DELETE "+faultsPath, respond(clearFaults(c)))
	gate := newControl(c)
	mux.HandleFunc("GET /-/control", respond(gate.state))
	mux.HandleFunc("GET /-/faults/settings", respond(faultSettings(c)))
	mux.HandleFunc("PUT "+faultsPath, guard(gate, maxControl, setFault(c)))
	mux.HandleFunc("GET "+loadPath, respond(loadStatus(c)))
	mux.HandleFunc("GET /-/load/command", respond(loadCommand(c)))
	mux.HandleFunc("POST "+loadPath, guard(gate, maxLoad, startLoad(c)))
	mux.HandleFunc("DELETE "+loadPath, guard(gate, maxControl, stopLoad(c)))
	mux.HandleFunc("GET /-/logs", respond(readLogs(c.State)))
	kept := newRuns(c)
	mux.HandleFunc("GET /-/runs", respond(kept.list))
	mux.HandleFunc("GET /-/runs/compare", respond(kept.compare))
	mux.HandleFunc("GET /-/runs/{id}", respond(kept.report))
	mux.HandleFunc("GET /-/runs/{id}/progress", respond(kept.progress))
	mux.HandleFunc("GET /-/runs/{id}/profiles", respond(kept.profiles))
	mux.HandleFunc("GET /-/runs/{id}/{file}", kept.file)
	mux.HandleFunc("GET /-/profiles", respond(kept.profilesAt))
	mux.Handle("GET "+pprofPath+"/", viewProfiles(kept.folder))
	mux.HandleFunc("GET /-/", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, "no such resource") })
	mux.HandleFunc("GET /", files.page)
	return secure(compress(mux))
}

// Leading redirects / to the page at first.
func Leading(next http.Handler, first string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && local(r.Host) {
			http.Redirect(w, r, first, http.StatusFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// compress gzips larger text responses; a response that a backend has compressed
// is forwarded unchanged.
var compress = func() func(http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false))
	if err != nil {
		panic(err) // of constants
	}
	return wrap
}()

// secure checks every request and sets security headers.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !local(r.Host) {
			fail(w, http.StatusMisdirectedRequest, "the console accepts only 127.0.0.1 and localhost as Host")
			return
		}
		if allowed := allow(r.URL.Path); !slices.Contains(allowed, r.Method) {
			h.Set("Allow", strings.Join(allowed, ", "))
			fail(w, http.StatusMethodNotAllowed, "the console has nothing to change there")
			return
		}
		// A foreign page may link here, but request nothing. "same-site" is another
		// port of this machine.
		leads := r.Header.Get("Sec-Fetch-Mode") == "navigate" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
		if site := r.Header.Get("Sec-Fetch-Site"); (site == "cross-site" || site == "same-site") && !leads {
			fail(w, http.StatusForbidden, "only the console's own pages may request this")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Resources that a page may change. A browser sends a preflight request before a PUT or DELETE, or a POST of
// JSON, from a foreign page (CORS), and the server rejects it.
const (
	faultsPath = "/-/faults"
	loadPath   = "/-/load"
)

// tracesPath also accepts files of traces, which it reads and does not store.
const tracesPath = "/-/traces"

// allow returns the methods of a path.
func allow(path string) []string {
	methods := []string{http.MethodGet, http.MethodHead}
	switch path {
	case faultsPath:
		methods = append(methods, http.MethodPut, http.MethodDelete)
	case tracesPath:
		methods = append(methods, http.MethodPost)
	case loadPath:
		methods = append(methods, http.MethodPost, http.MethodDelete)
	}
	return methods
}

// local reports whether a Host header is localhost or an IP address: another name could be
// a foreign one that resolves to this machine.
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
	flag   string // of loadgen that it is about; "": none
}

func (p *problem) Error() string { return p.text }

// failure returns a problem.
func failure(status int, format string, args ...any) error {
	return &problem{status: status, text: fmt.Sprintf(format, args...)}
}

// respond responds with the result of find as JSON, or with its error: 500, if it is not a
// problem. If the client has disconnected, it does not respond.
func respond(find func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := find(r)
		if p, ok := errors.AsType[*problem](err); ok {
			body := map[string]string{"error": p.text}
			if p.flag != "" {
				body["flag"] = p.flag
			}
			reply(w, p.status, body)
		} else if err != nil && !errors.Is(err, context.Canceled) {
			fail(w, http.StatusInternalServerError, err.Error())
		} else if err == nil {
			reply(w, http.StatusOK, v)
		}
	}
}

// fail responds with an error in the pages' format.
func fail(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]string{"error": text})
}

// reply responds with JSON that must not be cached.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has disconnected
}

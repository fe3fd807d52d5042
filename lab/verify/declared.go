package verify

import (
	"regexp"
	"slices"
	"strings"
)

// Names of the services.
const (
	proxyService = "proxy-service"
	storeService = "album-store"
	loadgenName  = "loadgen"
	datagenName  = "datagen"
)

// spanRule declares spans: the checks follow from it, and the table in docs/telemetry.md.
type spanRule struct {
	name       string         // as in the table
	pattern    *regexp.Regexp // of their names; nil: it is name
	kind       string
	services   []string // nil: any
	attributes []string // that each has
	errorFrom  int      // the HTTP status that makes it an error; 0: it is none unless a server failed
	requests   []string // in whose traces a call of the domain is
	waits      bool     // a service waited: there can be some below each span of a service
}

// workName is the root span of an operation's work.
const workName = "album.work"

// spanRules are all spans of a trace. Of several rules that match, the first one counts.
var spanRules = []spanRule{
	{name: "METHOD ROUTE", pattern: httpName, kind: "client", services: []string{loadgenName, datagenName, proxyService}, errorFrom: 400, // by the conventions
		attributes: []string{"http.request.method", "http.response.status_code", "url.full", "server.address"}},
	{name: "METHOD ROUTE", pattern: httpName, kind: "server", services: []string{proxyService, storeService}, errorFrom: 500,
		attributes: []string{"http.request.method", "http.response.status_code", "http.route", "url.path", "url.scheme", "server.address"}},

	call("album.list", []string{"GET /albums"}, "album.limit", "album.count"),
	call("album.stream", []string{"GET /albums"}, "album.count"),
	call("album.get", []string{"GET /albums/:id"}, "album.id"),
	call("album.put", []string{"PUT /albums/:id"}, "album.id"),
	call("album.delete", []string{"DELETE /albums/:id"}, "album.id"),
	call("album.create", []string{"POST /albums", "POST /albums/batch"}, "album.count"),
	call("album.submit", []string{"POST /albums", "POST /albums/batch"}, "album.count", "album.operation.id"),
	call("album.operation", []string{"GET /operations/:id"}),
	{name: workName, kind: "consumer", services: []string{storeService}, attributes: []string{"album.operation.id"}},

	{name: "BEGIN, COMMIT, ROLLBACK", pattern: regexp.MustCompile(`^(BEGIN|COMMIT|ROLLBACK)$`), kind: "client", services: []string{storeService},
		attributes: []string{"db.system.name"}},
	{name: "STATEMENT TABLE", pattern: regexp.MustCompile(``), kind: "client", services: []string{storeService},
		attributes: []string{"db.system.name", "db.query.text"}},

	{name: "overload queue", kind: "internal", waits: true},
	{name: "fault KIND", pattern: regexp.MustCompile(`^fault `), kind: "internal", waits: true},
}

var httpName = regexp.MustCompile(`^\S* /`)

// call declares the span of a call of the domain.
func call(name string, requests []string, attributes ...string) spanRule {
	return spanRule{name: name, kind: "internal", services: []string{storeService}, attributes: attributes, requests: requests}
}

// ruleOf returns what a span has to be, or nil if none such is declared.
func ruleOf(s *span) *spanRule {
	for i := range spanRules {
		r := &spanRules[i]
		named := s.OperationName == r.name
		if r.pattern != nil {
			named = r.pattern.MatchString(s.OperationName)
		}
		if named && s.kind() == r.kind && (r.services == nil || slices.Contains(r.services, s.service)) {
			return r
		}
	}
	return nil
}

// waits reports whether a span says what a service waited for.
func waits(s *span) bool { r := ruleOf(s); return r != nil && r.waits }

// calls returns the calls of the domain that a request makes, one of which is in its trace.
func calls(request string) (names []string) {
	for _, r := range spanRules {
		if slices.Contains(r.requests, request) {
			names = append(names, r.name)
		}
	}
	return names
}

// levels are the spans of a request, from the client to the statement. Each hangs on the
// one before.
var levels = []struct{ service, kind string }{
	{"", "client"}, // loadgen or datagen
	{proxyService, "server"},
	{proxyService, "client"},
	{storeService, "server"},
	{storeService, "internal"},
	{storeService, "client"},
}

// resourceAttributes are those of whoever made a span.
var resourceAttributes = []string{"service.namespace", "service.version", "service.instance.id", "telemetry.sdk.name"}

// personalAttributes are attributes that tell who a caller is or what was sent: none may be in a span.
var personalAttributes = strings.Fields(`client.address client.port network.peer.address network.peer.port net.peer.ip
	net.sock.peer.addr http.client_ip source.address enduser.id user.id http.request.body http.response.body`)

// exemplarHistograms are those whose exemplars are followed, and the services that have some.
var exemplarHistograms = map[string][]string{
	"http_server_request_duration_seconds":     {proxyService, storeService},
	"http_client_request_duration_seconds":     {proxyService, loadgenName},
	"soundcheck_loadgen_response_time_seconds": {loadgenName},
	"traces_span_metrics_duration_seconds":     {proxyService, storeService, loadgenName},
}

// optionalMetrics are metrics that exist only after what they count has happened for the first
// time, and why.
var optionalMetrics = map[string]string{
	"otelcol_exporter_enqueue_failed_spans_total":         queueFull,
	"otelcol_exporter_enqueue_failed_metric_points_total": queueFull,
	"otelcol_exporter_enqueue_failed_log_records_total":   queueFull,
	"soundcheck_fault_injected_total":                     "no fault was on yet",
	"soundcheck_upstream_retries_total":                   "the proxy had to send nothing again yet",
	"soundcheck_upstream_hedges_total":                    "the proxy sends nothing twice unless -hedge-after says so",
	"soundcheck_upstream_shed_total":                      "the proxy has shed no request yet",
	"soundcheck_overload_queue_wait_seconds":              "no request had to wait in a queue yet",
	"otelcol_deltatocumulative_datapoints_total":          "no service has sent a delta yet",
	"jaeger_storage_requests_total":                       noRead,
	"jaeger_storage_latency_seconds":                      noRead,
	"jaeger_storage_latency_seconds_count":                noRead,
	"jaeger_storage_latency_seconds_sum":                  noRead,
	"ALERTS":                                              "no alert has fired yet",
}

const (
	noRead    = "nobody has looked at a trace yet"
	queueFull = "no queue of the Collector was full yet"
)

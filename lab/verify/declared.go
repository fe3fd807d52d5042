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
	requests   []string // whose traces have this domain call
	waits      bool     // time spent waiting: can be below any span of a service
}

// workName is the root span of an asynchronous operation.
const workName = "album.work"

// spanRules declare all spans of a trace. The first rule that matches counts.
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

// call declares the span of a domain call.
func call(name string, requests []string, attributes ...string) spanRule {
	return spanRule{name: name, kind: "internal", services: []string{storeService}, attributes: attributes, requests: requests}
}

// ruleOf returns the rule for a span, or nil if it is not declared.
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

// waits reports whether a span is time spent waiting.
func waits(s *span) bool { r := ruleOf(s); return r != nil && r.waits }

// calls returns the domain calls of a request; its trace has one of them.
func calls(request string) (names []string) {
	for _, r := range spanRules {
		if slices.Contains(r.requests, request) {
			names = append(names, r.name)
		}
	}
	return names
}

// levels are the spans of a request, from the client to the statement. Each is a child of the
// one before.
var levels = []struct{ service, kind string }{
	{"", "client"}, // loadgen or datagen
	{proxyService, "server"},
	{proxyService, "client"},
	{storeService, "server"},
	{storeService, "internal"},
	{storeService, "client"},
}

// resourceAttributes are required of every span's resource.
var resourceAttributes = []string{"service.namespace", "service.version", "service.instance.id", "telemetry.sdk.name"}

// personalAttributes identify a caller or contain request data: no span may have one.
var personalAttributes = strings.Fields(`client.address client.port network.peer.address network.peer.port net.peer.ip
	net.sock.peer.addr http.client_ip source.address enduser.id user.id http.request.body http.response.body`)

// exemplarHistograms are the histograms whose exemplars are checked, and their services.
var exemplarHistograms = map[string][]string{
	"http_server_request_duration_seconds":     {proxyService, storeService},
	"http_client_request_duration_seconds":     {proxyService, loadgenName},
	"soundcheck_loadgen_response_time_seconds": {loadgenName},
	"traces_span_metrics_duration_seconds":     {proxyService, storeService, loadgenName},
}

// optionalMetrics exist only after the first event that they count;
// the value is the reason.
var optionalMetrics = map[string]string{
	"otelcol_exporter_enqueue_failed_spans_total":         queueFull,
	"otelcol_exporter_enqueue_failed_metric_points_total": queueFull,
	"otelcol_exporter_enqueue_failed_log_records_total":   queueFull,
	"otelcol_exporter_send_failed_spans_total":            noExportFailed,
	"otelcol_exporter_send_failed_metric_points_total":    noExportFailed,
	"otelcol_exporter_send_failed_log_records_total":      noExportFailed,
	"soundcheck_fault_injected_total":                     "no fault was injected yet",
	"soundcheck_upstream_retries_total":                   "the proxy has not retried yet",
	"soundcheck_upstream_hedges_total":                    "the proxy hedges requests only with -hedge-after",
	"soundcheck_upstream_shed_total":                      "the proxy has shed no request yet",
	"soundcheck_overload_queue_wait_seconds":              "no request was queued yet",
	"otelcol_deltatocumulative_datapoints_total":          "no service has sent delta metrics yet",
	"jaeger_storage_requests_total":                       noRead,
	"jaeger_storage_latency_seconds":                      noRead,
	"jaeger_storage_latency_seconds_count":                noRead,
	"jaeger_storage_latency_seconds_sum":                  noRead,
	"ALERTS":                                              "no alert has fired yet",
}

const (
	noRead         = "no trace was read yet"
	queueFull      = "no Collector queue was full yet"
	noExportFailed = "no export of the Collector failed yet"
)

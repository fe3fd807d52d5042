package verify

import (
	"fmt"
	"slices"
	"strings"
)

// required are the attributes that each kind of span has: see docs/telemetry.md.
var (
	requiredOfClient = []string{"http.request.method", "http.response.status_code", "url.full", "server.address"}
	requiredOfServer = []string{"http.request.method", "http.response.status_code", "http.route", "url.path", "url.scheme", "server.address"}
)

// domainAttributes are those that a call of the domain has.
var domainAttributes = map[string][]string{
	"album.list": {"album.limit", "album.count"}, "album.stream": {"album.count"}, "album.get": {"album.id"},
	"album.put": {"album.id"}, "album.delete": {"album.id"}, "album.create": {"album.count"},
	"album.submit": {"album.count", "album.operation.id"}, workName: {"album.operation.id"},
}

// resourceAttributes are those of who made a span.
var resourceAttributes = []string{"service.namespace", "service.version", "service.instance.id", "telemetry.sdk.name"}

// conventions returns what is wrong with the spans of a trace. Environment is the
// services'; of an album store that was started elsewhere it may be any.
func conventions(t traceOf, environment string, storeElsewhere bool) []string {
	var wrong []string
	good := true // nobody failed
	for _, s := range t {
		good = good && s.status() < 500
	}
	for _, s := range t {
		for _, what := range spanConventions(s, good) {
			wrong = append(wrong, fmt.Sprintf("trace %s: %v: %s", s.TraceID, s, what))
		}
		for _, key := range resourceAttributes {
			if s.resource.get(key) == "" {
				wrong = append(wrong, fmt.Sprintf("trace %s: %v: its resource has no %s", s.TraceID, s, key))
			}
		}
		if s.service == proxyService || s.service == storeService {
			e := s.resource.get("deployment.environment.name")
			if e != environment && (e == "" || s.service == proxyService || !storeElsewhere) {
				wrong = append(wrong, fmt.Sprintf("trace %s: %v: deployment.environment.name is %q, want %q", s.TraceID, s, e, environment))
			}
		}
	}
	return wrong
}

// spanConventions returns what is wrong with one span. Good says that no server failed.
func spanConventions(s *span, good bool) (wrong []string) {
	need := func(keys ...string) {
		for _, key := range keys {
			if s.Tags.get(key) == "" {
				wrong = append(wrong, "no "+key)
			}
		}
	}
	status := func(want bool, why string) {
		if s.isError() != want {
			wrong = append(wrong, fmt.Sprintf("its status is an error: %v, want %v: %s", s.isError(), want, why))
		}
	}
	method, route, http := strings.Cut(s.OperationName, " ")
	http = http && strings.HasPrefix(route, "/")
	switch kind := s.kind(); {
	case waits(s):
	case http && (kind == "client" || kind == "server"):
		if s.Tags.get("http.request.method") != method {
			wrong = append(wrong, fmt.Sprintf("http.request.method is %q", s.Tags.get("http.request.method")))
		}
		answer := fmt.Sprintf("it was answered %d", s.status())
		if kind == "server" {
			need(requiredOfServer...)
			if r := s.Tags.get("http.route"); r != route {
				wrong = append(wrong, fmt.Sprintf("http.route is %q", r))
			}
			status(s.status() >= 500, answer)
		} else {
			need(requiredOfClient...)
			status(s.status() == 0 || s.status() >= 400, answer) // by the conventions: a client's is one from 400
		}
	case kind == "client" && s.service == storeService:
		need("db.system.name")
		if !slices.Contains([]string{"BEGIN", "COMMIT", "ROLLBACK"}, s.OperationName) {
			need("db.query.text")
		}
		if good {
			status(false, "no server failed")
		}
	case kind == "internal" && strings.HasPrefix(s.OperationName, "album."), kind == "consumer" && s.OperationName == workName:
		need(domainAttributes[s.OperationName]...)
		if good {
			status(false, "no server failed")
		}
	default:
		wrong = append(wrong, "no such span is declared in docs/telemetry.md")
	}
	return wrong
}

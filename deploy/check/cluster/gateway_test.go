package cluster

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A trace begins with the SERVER span of Traefik, which has the values of deploy/gateway/traefik. It routes albums to the
// proxy, OTLP/HTTP (of the proxies) and OTLP/gRPC (of the stores) to the Collector. No request through it fails while
// stores and proxies are upgraded.
func TestGateway(t *testing.T) {
	otlp := func(name string) string { return name + ".ct-gateway.svc.cluster.local" }
	r := newRelease(t, "gateway", append(slices.Clone(replicated),
		"gateway.enabled=true", "gateway.className=ct-traefik", "gateway.otlp.enabled=true",
		"gateway.otlp.hostname="+otlp("otlp"), "gateway.otlp.grpcHostname="+otlp("otlp-grpc"),
		"proxy.env.OTEL_EXPORTER_OTLP_ENDPOINT=http://"+otlp("otlp"),
		"store.env.OTEL_EXPORTER_OTLP_ENDPOINT=http://"+otlp("otlp-grpc")+":80", "store.env.OTEL_EXPORTER_OTLP_PROTOCOL=grpc")...)
	base := named(t, r.traefik(), "soundcheck.localhost")
	r.do("install")
	for _, route := range []string{"httproute/lab-soundcheck-proxy-service", "httproute/lab-soundcheck-otel-collector", "grpcroute/lab-soundcheck-otel-collector"} {
		for _, condition := range []string{"Accepted", "ResolvedRefs"} {
			r.await(route+" to be "+condition, func() bool { return strings.HasPrefix(r.condition(route, condition), "True") })
		}
	}
	r.await("a response through the gateway", func() bool { return r.ask(base) })

	// The gateway begins the trace, whose ID is in the problem.
	var problem struct {
		TraceID string `json:"trace_id"`
	}
	if status, err := get(base+"/albums/999999999", &problem); err != nil || status != http.StatusNotFound || problem.TraceID == "" {
		t.Fatalf("an album that does not exist: status %d, trace %q, %v", status, problem.TraceID, err)
	}
	var spans []span
	r.await("a trace of edge, proxy and store", func() bool {
		spans = r.spans(problem.TraceID)
		return slices.ContainsFunc(spans, func(s span) bool { return s.service == "album-store" }) &&
			slices.ContainsFunc(spans, func(s span) bool { return s.service == "proxy-service" }) &&
			slices.ContainsFunc(spans, func(s span) bool { return s.service == "edge" && s.parent == "" })
	})
	root := spans[slices.IndexFunc(spans, func(s span) bool { return s.parent == "" })]
	if root.service != "edge" || root.kind != "server" || root.name != "GET" {
		t.Errorf("the root is the %s span %q of %s, want the server span GET of edge", root.kind, root.name, root.service)
	}
	if !slices.ContainsFunc(spans, func(s span) bool { return s.service == "edge" && s.name == "ReverseProxy" && s.parent == root.id }) {
		t.Errorf("no span ReverseProxy below the root: %+v", spans)
	}
	r.counts(`sum(traces_span_metrics_calls_total{service_name="edge",span_kind="SPAN_KIND_SERVER",deployment_environment_name="k8s"})`)

	// The decision of a caller counts, and its span is the parent.
	unsampled := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()|1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/albums/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+unsampled+"-"+unsampled[16:]+"-00")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	id, sampled, err := create(base, "Sampled")
	if err != nil {
		t.Fatal(err)
	}
	r.traces(map[string]int64{sampled: id})
	r.await("the SERVER span of the edge to be a child of the caller's span", func() bool {
		return slices.ContainsFunc(r.spans(sampled), func(s span) bool { return s.service == "edge" && s.kind == "server" && s.parent == sampled[16:] })
	})

	if spans := r.spans(unsampled); len(spans) != 0 {
		t.Errorf("a trace that its caller does not sample has %d spans", len(spans))
	}

	// A port with appProtocol grpc, as the Collector's own chart has it, ends the route, which the stores use.
	patch := func(value string) {
		t.Helper()
		index := slices.Index(strings.Fields(r.kubectl("get", "service", "lab-soundcheck-otel-collector", "-o", "jsonpath={.spec.ports[*].port}")), "4317")
		r.kubectl("patch", "service", "lab-soundcheck-otel-collector", "--type=json", "-p",
			fmt.Sprintf(`[{"op":"replace","path":"/spec/ports/%d/appProtocol","value":%q}]`, index, value))
	}
	patch("grpc")
	r.await("the route to be rejected", func() bool {
		return strings.HasPrefix(r.condition("grpcroute/lab-soundcheck-otel-collector", "ResolvedRefs"), "False UnsupportedProtocol")
	})
	t.Log(r.condition("grpcroute/lab-soundcheck-otel-collector", "ResolvedRefs"))
	r.await("a trace without spans of the store", func() bool { // the route ends a moment after its status says so
		_, trace, err := create(base, "No route")
		if err != nil {
			return false
		}
		has := func(service string) bool {
			return slices.ContainsFunc(r.spans(trace), func(s span) bool { return s.service == service })
		}
		r.await("the spans of edge and proxy", func() bool { return has("edge") && has("proxy-service") })
		return !has("album-store")
	})
	patch("kubernetes.io/h2c")
	r.await("the route to be accepted", func() bool {
		return strings.HasPrefix(r.condition("grpcroute/lab-soundcheck-otel-collector", "ResolvedRefs"), "True")
	})

	old := r.serving()
	l := r.load(base)
	r.do("upgrade", upgrade("1")...)
	r.ended(old)
	l.clean()
	r.replaced(old, r.serving())
}

// named is the URL of a server that passes requests on with another host name, which the system need not resolve.
func named(t *testing.T, to, host string) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = host },
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
		// With the cause, instead of a line on stderr.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	})
	t.Cleanup(s.Close)
	return s.URL
}

// condition is the status, the reason and the message of a route's condition.
func (r *release) condition(route, name string) string {
	r.Helper()
	return r.kubectl("get", route, "-o", fmt.Sprintf(`jsonpath={range .status.parents[*].conditions[?(@.type==%q)]}{.status} {.reason} {.message}{end}`, name))
}

// span is a span in Jaeger.
type span struct{ id, parent, service, name, kind string }

// spans are the spans of a trace.
func (r *release) spans(trace string) (spans []span) {
	r.Helper()
	var found struct {
		Data []struct {
			Processes map[string]struct{ ServiceName string }
			Spans     []struct {
				SpanID, OperationName, ProcessID string
				References                       []struct{ RefType, SpanID string }
				Tags                             []struct {
					Key   string
					Value any
				}
			}
		}
	}
	if _, err := get("http://"+r.address("jaeger", "http")+"/api/traces/"+trace, &found); err != nil {
		r.Logf("trace %s: %v", trace, err)
	}
	for _, d := range found.Data {
		for _, s := range d.Spans {
			one := span{id: s.SpanID, service: d.Processes[s.ProcessID].ServiceName, name: s.OperationName}
			for _, ref := range s.References {
				if ref.RefType == "CHILD_OF" {
					one.parent = ref.SpanID
				}
			}
			for _, tag := range s.Tags {
				if tag.Key == "span.kind" {
					one.kind = fmt.Sprint(tag.Value)
				}
			}
			spans = append(spans, one)
		}
	}
	return spans
}

// counts waits until a query has a result above zero.
func (r *release) counts(query string) {
	r.Helper()
	address := "http://" + r.address("prometheus", "http") + "/api/v1/query?query=" + url.QueryEscape(query+" > 0")
	r.await(query, func() bool {
		var found struct {
			Data struct{ Result []struct{} }
		}
		_, err := get(address, &found)
		return err == nil && len(found.Data.Result) > 0
	})
}

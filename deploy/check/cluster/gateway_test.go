package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const traefikValues = "../../gateway/traefik/values.yaml"

// A trace begins with the SERVER span of Traefik, which has the values of deploy/gateway/traefik. It routes albums to the
// proxy, OTLP/HTTP (of the proxies) and OTLP/gRPC (of the stores) to the Collector. No request through it fails while
// the stores are upgraded.
func TestGateway(t *testing.T) {
	otlp := func(name string) string { return name + ".ct-gateway.svc.cluster.local" }
	r := newRelease(t, "gateway", append(slices.Clone(replicated),
		"gateway.enabled=true", "gateway.className=ct-traefik", "gateway.otlp.enabled=true",
		"gateway.otlp.hostname="+otlp("otlp"), "gateway.otlp.grpcHostname="+otlp("otlp-grpc"),
		"proxy.env.OTEL_EXPORTER_OTLP_ENDPOINT=http://"+otlp("otlp"),
		"store.env.OTEL_EXPORTER_OTLP_ENDPOINT=http://"+otlp("otlp-grpc")+":80", "store.env.OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		"networkPolicies.enabled=false")...)
	base := named(t, r.traefik(), "soundcheck.localhost")
	r.do("install")
	for _, route := range []string{"httproute/lab-soundcheck-proxy-service", "httproute/lab-soundcheck-otel-collector", "grpcroute/lab-soundcheck-otel-collector"} {
		for _, condition := range []string{"Accepted", "ResolvedRefs"} {
			r.await(route+" to be "+condition, func() bool { return strings.HasPrefix(r.condition(route, condition), "True") })
		}
	}
	r.await("a response through the gateway", func() bool {
		resp, err := client.Get(base + "/albums?limit=1")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})

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
	id, sampled, err := create(base, "Sampled")
	if err != nil {
		t.Fatal(err)
	}
	r.traces(map[string]int64{sampled: id})
	r.await("the SERVER span of the edge to be a child of the caller's span", func() bool {
		return slices.ContainsFunc(r.spans(sampled), func(s span) bool { return s.service == "edge" && s.kind == "server" && s.parent == sampled[16:] })
	})

	// A port with appProtocol grpc, as the Collector's own chart has it, ends the route.
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
				References                       []struct{ SpanID string }
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
				one.parent = ref.SpanID
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

// traefik starts Traefik with the options of the values that the guide names, in the namespace of the release, and
// returns its URL. Its Services otlp and otlp-grpc are host names of the routes.
func (r *release) traefik() (base string) {
	r.Helper()
	if out := r.must("kubectl", "get", "crd", "--ignore-not-found", "-o", "name", "gateways.gateway.networking.k8s.io"); out == "" {
		dir := r.must("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
		crds := filepath.Join(dir, "config", "crd", "standard")
		r.must("kubectl", "apply", "--server-side", "-f", crds)
		r.Cleanup(func() { output(context.Background(), "kubectl", "delete", "--wait=false", "-f", crds) })
	}
	r.Cleanup(func() {
		output(context.Background(), "kubectl", "delete", "--ignore-not-found", "gatewayclass/ct-traefik", "clusterrole/ct-traefik", "clusterrolebinding/ct-traefik")
	})
	args, env := traefikOptions(r, "lab-soundcheck-otel-collector."+r.namespace)
	manifest := strings.NewReplacer(
		"IMAGE", cmp.Or(os.Getenv("SOUNDCHECK_K8S_TRAEFIK"), "docker.io/library/traefik:v3.6.12"),
		"NAMESPACE", r.namespace, "SERVICETYPE", service, "ARGS", args, "ENV", env).Replace(traefik)
	file := filepath.Join(r.TempDir(), "traefik.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		r.Fatal(err)
	}
	r.kubectl("apply", "-f", file)
	r.kubectl("rollout", "status", "deployment/traefik", "--timeout="+ready)
	if host != "" {
		return "http://" + net.JoinHostPort(host, r.kubectl("get", "service", "traefik", "-o", "jsonpath={.spec.ports[0].nodePort}"))
	}
	return "http://" + r.kubectl("get", "service", "traefik", "-o", "jsonpath={.spec.clusterIP}")
}

// traefikOptions are the arguments that Traefik's chart makes of the values, and the environment, as YAML.
func traefikOptions(r *release, collector string) (args, env string) {
	r.Helper()
	b, err := os.ReadFile(traefikValues)
	if err != nil {
		r.Fatal(err)
	}
	var values struct {
		Providers map[string]map[string]any
		Tracing   map[string]any
		Env       []struct{ Name, Value string }
	}
	text := strings.ReplaceAll(string(b), "soundcheck-otel-collector.soundcheck", collector)
	if text == string(b) {
		r.Fatalf("%s does not name the Collector", traefikValues)
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&values); err != nil {
		r.Fatal(err)
	}
	var list []string
	var add func(path string, value any)
	add = func(path string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for name, value := range v {
				if name == "enabled" {
					add(path, value)
				} else {
					add(path+"."+name, value)
				}
			}
		default:
			list = append(list, fmt.Sprintf("            - --%s=%v\n", path, v))
		}
	}
	for name, provider := range values.Providers {
		add("providers."+name, map[string]any(provider))
	}
	add("tracing", values.Tracing)
	slices.Sort(list)
	for _, e := range values.Env {
		env += fmt.Sprintf("            - {name: %s, value: %q}\n", e.Name, e.Value)
	}
	return strings.TrimSuffix(strings.Join(list, ""), "\n"), strings.TrimSuffix(env, "\n")
}

const traefik = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ct-traefik}
spec: {controllerName: traefik.io/gateway-controller}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: traefik}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ct-traefik}
rules:
  - {apiGroups: [""], resources: [namespaces, services, secrets, configmaps, nodes, pods], verbs: [get, list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
  - apiGroups: [gateway.networking.k8s.io]
    resources: [gatewayclasses, gateways, httproutes, grpcroutes, referencegrants, backendtlspolicies]
    verbs: [get, list, watch]
  - apiGroups: [gateway.networking.k8s.io]
    resources: [gatewayclasses/status, gateways/status, httproutes/status, grpcroutes/status, backendtlspolicies/status]
    verbs: [update, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ct-traefik}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ct-traefik}
subjects: [{kind: ServiceAccount, name: traefik, namespace: NAMESPACE}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: traefik}
spec:
  selector: {matchLabels: {app: traefik}}
  template:
    metadata: {labels: {app: traefik}}
    spec:
      serviceAccountName: traefik
      securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: traefik
          image: IMAGE
          args:
            - --entryPoints.web.address=:8000
            - --entryPoints.traefik.address=:8080
            - --ping=true
            - --log.level=INFO
            - --global.checkNewVersion=false
            - --global.sendAnonymousUsage=false
ARGS
          env:
ENV
          ports: [{name: web, containerPort: 8000}, {name: ping, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /ping, port: ping}, periodSeconds: 1}
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Service
metadata: {name: traefik}
spec: {type: SERVICETYPE, selector: {app: traefik}, ports: [{name: web, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: otlp}
spec: {selector: {app: traefik}, ports: [{name: web, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: otlp-grpc}
spec: {selector: {app: traefik}, ports: [{name: web, port: 80, targetPort: web}]}
`

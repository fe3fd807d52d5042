package check

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// noGRPCRoute are values for a cluster without that type.
const noGRPCRoute = "gateway: {enabled: true, otlp: {enabled: true}}"

// contradictions are values that the schema accepts and the chart does not, with the message of each.
var contradictions = []bad{
	{"images: {registry: ''}", "images.registry is not set: the registry that has soundcheck/labtool, such as k3d-soundcheck-registry:5000 (make k3d-up and make k8s-up build the images and set it)"},
	{"store: {replicas: 2}", "store.replicas is 2 with database.kind memory, which one pod owns: set store.replicas=1, or database.kind=postgres"},
	{"{database: {kind: sqlite}, store: {replicas: 2}}", "store.replicas is 2 with database.kind sqlite, which one pod owns: set store.replicas=1, or database.kind=postgres"},
	{"{database: {kind: sqlite}, store: {autoscaling: {enabled: true}}}", "store.autoscaling.enabled with database.kind sqlite, which one pod owns: set database.kind=postgres"},
	{"{database: {kind: postgres}, store: {autoscaling: {enabled: true, minReplicas: 7}}}", "store.autoscaling.minReplicas 7 is above maxReplicas 6"},
	{"database: {kind: postgres, postgres: {mode: external}}", "database.postgres.mode is external without database.postgres.existingSecret: create a Secret whose key uri is postgres://USER:PASSWORD@HOST/DATABASE, and set its name"},
	{"database: {kind: postgres, postgres: {existingSecret: a}}", "database.postgres.existingSecret is set, but database.postgres.mode is internal, whose password the chart creates: set mode=external, or remove existingSecret"},
	{"database: {kind: sqlite, postgres: {mode: external, existingSecret: a}}", "database.postgres.existingSecret is set, but database.kind is sqlite: set database.kind=postgres, or remove existingSecret"},
	{"{database: {kind: postgres}, migrations: {mode: hook}}", "migrations.mode=hook runs before the release's own database exists: it needs database.kind=postgres with database.postgres.mode=external; otherwise set migrations.mode=auto"},
	{"migrations: {mode: hook}", "migrations.mode=hook runs before the release's own database exists: it needs database.kind=postgres with database.postgres.mode=external; otherwise set migrations.mode=auto"},
	{"{database: {kind: sqlite}, migrations: {mode: job}}", "migrations.mode=job needs database.kind=postgres, not sqlite: set migrations.mode=auto"},
	{"migrations: {mode: job}", "migrations.mode=job needs database.kind=postgres, not memory: set migrations.mode=auto"},
	{"store: {terminationGracePeriodSeconds: 10}", "store.terminationGracePeriodSeconds is 10: -drain-delay (5s), -drain-timeout (15s) and -flush-timeout (5s) need 25: raise it, or shorten them in store.args"},
	{"proxy: {terminationGracePeriodSeconds: 24, args: [-drain, -drain-timeouts=1s, '1']}", "proxy.terminationGracePeriodSeconds is 24: -drain-delay (5s), -drain-timeout (15s) and -flush-timeout (5s) need 25: raise it, or shorten them in proxy.args"},
	{"{database: {kind: postgres}, store: {autoscaling: {enabled: true}, resources: {requests: {cpu: null}}}}", "store.autoscaling.enabled needs store.resources.requests.cpu, of which the target is a percentage"},
	{"prometheus: {retentionSize: 4GB}", "prometheus.retentionSize 4GB is not below prometheus.persistence.size 4Gi: Prometheus would fill its volume"},
	{"prometheus: {persistence: {size: 1.5Gi}}", `prometheus.persistence.size "1.5Gi": write an integer with Ki, Mi, Gi, Ti, k, M, G, T or no unit`},
	{"{collector: {enabled: false}, console: {enabled: false}, edge: {enabled: true}, telemetry: {endpoint: 'http://a.example:4318'}}", "edge.enabled needs collector.enabled: nginx sends its spans there"},
	{"{collector: {enabled: false}, console: {enabled: false}, prometheus: {enabled: false}, telemetry: {endpoint: 'http://a.example:4318'}}", "prometheus.enabled is false without prometheus.externalUrl: set the URL of a Prometheus with --web.enable-otlp-receiver"},
	{"{collector: {enabled: false}, console: {enabled: false}, jaeger: {enabled: false}, telemetry: {endpoint: 'http://a.example:4318'}}", "jaeger.enabled is false without jaeger.externalOtlp and jaeger.externalUrl: set host:port of its OTLP/HTTP receiver, and the URL of its query API"},
	{"externalStore: {url: 'http://a.example'}", "externalStore.url is set, but store.enabled is true: set store.enabled=false, or remove externalStore.url"},
	{"store: {enabled: false}", "the proxy has no album store: set externalStore.url, store.enabled=true or proxy.enabled=false"},
	{"{collector: {enabled: false}, console: {enabled: false}}", "collector.enabled is false without telemetry.endpoint: set the URL of another Collector's OTLP/HTTP receiver"},
	{"prometheus: {enabled: false}", "prometheus.enabled is false without prometheus.externalUrl: set the URL of a Prometheus with --web.enable-otlp-receiver"},
	{"jaeger: {enabled: false, externalUrl: 'http://a.example'}", "jaeger.enabled is false without jaeger.externalOtlp and jaeger.externalUrl: set host:port of its OTLP/HTTP receiver, and the URL of its query API"},
	{"collector: {replicas: 3}", "collector.replicas is 3 with collector.spanMetrics.enabled: each pod would count its part of the spans under the same series. Set collector.replicas=1 or collector.spanMetrics.enabled=false"},
	{"collector: {replicas: 3, spanMetrics: {enabled: false}}", "collector.replicas is 3 with console.enabled: the console reads the log file of one pod. Set collector.replicas=1 or console.enabled=false"},
	{"collector: {contrib: false, k8sAttributes: {enabled: true}}", "collector.k8sAttributes.enabled needs the contrib distribution: set collector.contrib=true and its image"},
	{"{collector: {contrib: false}, edge: {enabled: true}}", "edge.enabled needs the contrib distribution: set collector.contrib=true and its image"},
	{"{collector: {enabled: false}, telemetry: {endpoint: 'http://a.example:4318'}}", "console.enabled needs collector.enabled, in whose pod it runs: set console.enabled=false"},
	{"{proxy: {enabled: false}, edge: {enabled: true}}", "edge.enabled needs proxy.enabled"},
	{"gateway: {enabled: true}", "gateway.enabled needs the Gateway API, which this cluster lacks: install its CRDs (kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.3/standard-install.yaml) and a controller, or set gateway.enabled=false. helm template: add --api-versions gateway.networking.k8s.io/v1/HTTPRoute"},
	{"{proxy: {enabled: false}, ingress: {enabled: true}}", "proxy.enabled is false: there is nothing to route to. Set gateway.enabled=false and ingress.enabled=false"},
	{"gateway: {otlp: {enabled: true}}", "gateway.otlp.enabled needs gateway.enabled"},
	{"{gateway: {enabled: true, otlp: {enabled: true}}, collector: {enabled: false}, console: {enabled: false}, telemetry: {endpoint: 'http://a.example:4318'}}", "gateway.otlp.enabled needs collector.enabled"},
	{"gateway: {enabled: true, hostname: a.example, otlp: {enabled: true, hostname: a.example}}", "gateway.hostname, gateway.otlp.hostname and gateway.otlp.grpcHostname must differ: a.example, otlp-grpc.localhost, a.example"},
	{"gateway: {enabled: true, otlp: {enabled: true, grpcHostname: otlp.localhost}}", "gateway.hostname, gateway.otlp.hostname and gateway.otlp.grpcHostname must differ: otlp.localhost, otlp.localhost, soundcheck.localhost"},
	{noGRPCRoute, "gateway.otlp.enabled needs GRPCRoute, which this cluster lacks: install newer CRDs of the Gateway API, or set gateway.otlp.enabled=false. helm template: add --api-versions gateway.networking.k8s.io/v1/GRPCRoute"},
	{"gateway: {enabled: true, hostname: '', otlp: {enabled: true}}", "gateway.otlp.enabled needs gateway.hostname: without it, the proxy's route has every host name"},
	{"{gateway: {enabled: true, hostname: a.example}, ingress: {enabled: true, hostname: a.example}}", `ingress.hostname "a.example" is also gateway.hostname: enable one of them, or set two host names`},
	{"service: {type: NodePort, nodePorts: {loki: {http: 30000}}}", "service.nodePorts.loki: no such Service; use console, edge, grafana, jaeger, otel-collector, prometheus, proxy-service"},
	{"service: {types: {album-store: NodePort}}", "service.types.album-store: no such Service; use console, edge, grafana, jaeger, otel-collector, prometheus, proxy-service"},
	{"service: {annotations: {edge: {a.example/b: c}}}", "service.annotations.edge: this component is disabled"},
	{"service: {type: NodePort, nodePorts: {console: {traces: 30000}}}", "service.nodePorts.console.traces needs console.tracesPage"},
	{"service: {type: NodePort, nodePorts: {grafana: {http: 30000}, jaeger: {http: 30000}}}", "service.nodePorts: jaeger.http and grafana.http have the same port 30000"},
	{"service: {type: NodePort, nodePorts: {grafana: {web: 30000}}}", "service.nodePorts.grafana.web: no such port; use http"},
	{"service: {type: NodePort, nodePorts: {otel-collector: {grpc: 30000}}}", "service.nodePorts.otel-collector.grpc: no such port; use otlp-grpc or otlp-http"},
	{"service: {nodePorts: {grafana: {http: 30000}}}", "service.nodePorts.grafana needs service.type or service.types.grafana NodePort or LoadBalancer"},
	{"store: {resources: {limits: {memory: 1.5Gi}}}", `resources.limits.memory "1.5Gi": write an integer with Ki, Mi, Gi, Ti, k, M, G, T or no unit`},
	{"jaeger: {image: {tag: ''}}", "image jaegertracing/jaeger has neither tag nor digest: set a version"},
	{"commonLabels: {helm.sh/chart: a}", "commonLabels has helm.sh/chart, which is a label of the chart: use another name"},
}

func TestContradictions(t *testing.T) {
	t.Parallel()
	for _, tt := range contradictions {
		t.Run(tt.values, func(t *testing.T) {
			t.Parallel()
			r := lab
			r.lacks = map[string]int{"gateway: {enabled: true}": len(served), noGRPCRoute: 1}[tt.values]
			fails(t, r, merge(t, registry, tt.values), tt.want)
		})
	}
}

// fails reports an error if the templates do not reject values with this message, under both Helms.
func fails(t *testing.T, r release, values, want string) {
	t.Helper()
	for name, render := range map[string]func(*testing.T, release, string) (map[string]string, error){"Helm 4": render4, "Helm 3": render3} {
		if _, err := render(t, r, values); err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// A release's name can begin with a digit, a Service's cannot.
func TestDigit(t *testing.T) {
	t.Parallel()
	r := lab
	r.name = "1lab"
	const want = "the name of release 1lab begins with a digit, with which no Service's name may begin: set fullnameOverride"
	if _, err := render4(t, r, registry); err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
		t.Errorf("%v, want %s", err, want)
	}
	objects, wrong := decode(must(t, r, registry+"fullnameOverride: lab\n"))
	for _, p := range append(wrong, problems(objects, r.namespace)...) {
		t.Error(p)
	}
}

var (
	failure = regexp.MustCompile(`fail (?:\(printf )?("(?:[^"\\]|\\.)*")`)
	verb    = regexp.MustCompile(`%[dsq]`)
)

// Each message of the templates has a row above.
func TestMessagesHaveRows(t *testing.T) {
	t.Parallel()
	messages := []string{"the name of release 1lab begins with a digit, with which no Service's name may begin: set fullnameOverride"}
	for _, c := range contradictions {
		messages = append(messages, c.want)
	}
	messages = append(messages, "tag latest of image a: set a version") // TestLatest
	messagesHaveRows(t, chartDir, messages, 30)
}

// messagesHaveRows reports messages of a chart's templates that are none of these.
func messagesHaveRows(t *testing.T, dir string, messages []string, least int) {
	t.Helper()
	found, calls := 0, 0
	err := filepath.WalkDir(filepath.Join(dir, "templates"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		calls += len(regexp.MustCompile(`\{\{-? *fail\b`).FindAllString(string(b), -1))
		for _, m := range failure.FindAllStringSubmatch(string(b), -1) {
			found++
			parts := verb.Split(strings.ReplaceAll(m[1][1:len(m[1])-1], `\"`, `"`), -1)
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			pattern := regexp.MustCompile("^" + strings.Join(parts, ".+") + "$")
			if !slices.ContainsFunc(messages, pattern.MatchString) {
				t.Errorf("%s: no test has the message %s", path, m[1])
			}
		}
		return nil
	})
	if err != nil || found < least || found != calls {
		t.Errorf("%d messages of %d calls of fail, %v", found, calls, err)
	}
}

// A tag "latest" is rejected by the templates too: helm --skip-schema-validation exists.
func TestLatest(t *testing.T) {
	t.Parallel()
	r := lab
	r.noSchema = true
	for _, values := range []string{"images: {tag: latest}", "store: {image: {tag: latest}}", "jaeger: {image: {tag: latest}}"} {
		if _, err := render4(t, r, merge(t, registry, values)); err == nil || !strings.Contains(err.Error(), ": tag latest of image ") {
			t.Errorf("%s: %v", values, err)
		}
	}
}

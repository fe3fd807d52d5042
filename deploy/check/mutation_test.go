package check

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func toYAML(t *testing.T, v any) string {
	t.Helper()
	b, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Each check finds its problem: one change of the rendered chart, and what it must lead to.
func TestProblemsAreFound(t *testing.T) {
	t.Parallel()
	values := merge(t, registry, "{grafana: {enabled: false}, dashboards: {enabled: false}, database: {kind: postgres}, store: {replicas: 2}, edge: {enabled: true}, gateway: {enabled: true, otlp: {enabled: true}}, ingress: {enabled: true, hostname: a.example}, collector: {k8sAttributes: {enabled: true}}}")
	good := must(t, lab, values)
	objects, wrong := decode(good)
	if wrong = append(wrong, problems(objects, lab.namespace)...); len(wrong) > 0 {
		t.Fatalf("before any change: %q", wrong)
	}
	for _, tt := range []struct{ file, from, to, want string }{
		{"store", "enableServiceLinks", "enableServiceLink", `unknown field "spec.template.spec.enableServiceLink"`},
		{"store", "  replicas: 2", "  replicas: 2\n  replicas: 3", `"replicas" already set`},
		{"store", `namespace: "demo"`, `namespace: "other"`, `is in namespace "other"`},
		{"store", "kind: Service\nmetadata:\n  name: lab-soundcheck-album-store", "kind: Service\nmetadata:\n  name: lab-soundcheck-proxy-service", "is there twice"},
		{"collector", "name: lab-soundcheck-otel-collector\n", "name: lab-soundcheck-otel-collector-of-a-release-with-a-long-name\n", "characters of 52"},
		{"proxy", "name: lab-soundcheck-proxy-service", "name: 1ab-soundcheck-proxy-service", "DNS-1035"},
		{"proxy", "part-of: soundcheck", "part-of: sound/check", "label app.kubernetes.io/part-of=sound/check"},
		{"prometheus", "prometheus.yml: |", "prometheus/yml: |", "key prometheus/yml"},
		{"proxy", `- name: "OTEL_BSP_SCHEDULE_DELAY"`, `- name: "OTEL_BLRP_SCHEDULE_DELAY"`, "OTEL_BLRP_SCHEDULE_DELAY is there twice"},
		{"proxy", `- name: "K8S_POD_UID"`, `- name: "Z_POD_UID"`, "refers to K8S_POD_UID, which is not defined before it"},
		{"proxy", `- name: "K8S_POD_UID"`, `- name: "Z_POD_UID"`, "is not sorted"},
		{"collector", "{name: console, containerPort: 3300}", "{name: health, containerPort: 3300}", "port health is there twice"},
		{"collector", "{name: console, containerPort: 3300}", "{name: console, containerPort: 4317}", "port 4317/TCP is there twice"},
		{"collector", "{name: otlp-grpc, containerPort: 4317}", "{name: otlp-grpc-traffic, containerPort: 4317}", "must be no more than 15 characters"},
		{"proxy", "{path: /readyz, port: http}", "{path: /readyz, port: web}", "a probe has port web"},
		{"proxy", "proxy-service:dev", "proxy-service", "has no version"},
		{"proxy", "proxy-service:dev", "proxy-service:latest", "has no version"},
		{"proxy", "memory: 256Mi", "memory: 0", "want requests of CPU"},
		{"edge", "- name: tmp\n", "- name: config\n", "volume config is there twice"},
		{"edge", "{name: tmp, mountPath: /tmp}", "{name: temp, mountPath: /tmp}", "mounts temp, and there is no such volume"},
		{"edge", "{name: tmp, mountPath: /tmp}", "{name: tmp, mountPath: /etc/edge/}", "mount path /etc/edge is there twice"},
		{"edge", "            - {name: tmp, mountPath: /tmp}\n", "", "no container mounts volume tmp"},
		{"proxy", "matchLabels:\n      app.kubernetes.io/name: \"soundcheck\"", "matchLabels:\n      app.kubernetes.io/name: other", "selects []"},
		{"proxy", "matchLabels:\n      ", "matchLabels:\n      helm.sh/chart: a\n      ", "selects []"},
		{"store", "app.kubernetes.io/component: album-store", "app.kubernetes.io/component: proxy-service", "selects [Deployment lab-soundcheck-proxy-service Deployment lab-soundcheck-album-store]"},
		{"proxy", "targetPort: http", "targetPort: web", "has no port web"},
		{"postgres", "port: 5432, targetPort", "port: 5433, targetPort", "is headless with port 5433"},
		{"jaeger", "configMap: {name: lab-soundcheck-jaeger}", "configMap: {name: jaeger}", "needs ConfigMap jaeger , which is not in the release"},
		{"prometheus", "{key: slo.yml,", "{key: slow.yml,", "needs ConfigMap lab-soundcheck-prometheus-rules slow.yml"},
		{"postgres", "secretName: lab-soundcheck-postgres", "secretName: postgres", "needs Secret postgres"},
		{"postgres", "{key: password,", "{key: pass,", "needs Secret lab-soundcheck-postgres pass"},
		{"collector", "serviceAccountName: lab-soundcheck-otel-collector", "serviceAccountName: default-collector", "needs ServiceAccount default-collector"},
		{"migrate", "name: lab-soundcheck-migrate-1\n", "name: lab-soundcheck-migrate-1\n  annotations: {helm.sh/hook: pre-upgrade}\n", "runs before Secret lab-soundcheck-postgres exists"},
		{"jaeger", "serviceName: lab-soundcheck-jaeger", "serviceName: jaeger", "there is no Service jaeger"},
		{"collector", "kind: ClusterRole, name: demo-", "kind: ClusterRole, name: other-", "binds"},
		{"gateway", "port: 9070", "port: 9080", "routes to lab-soundcheck-proxy-service"},
		{"gateway", "name: lab-soundcheck-gateway\n  namespace", "name: lab-gateway\n  namespace", "there is no Gateway lab-soundcheck-gateway"},
		{"gateway", "port: {name: http}", "port: {name: web}", "routes to lab-soundcheck-proxy-service"},
		{"proxy", "album-store.demo.svc", "album-store.default.svc", "calls lab-soundcheck-album-store.default.svc.cluster.local:9080"},
		{"proxy", "album-store.demo.svc.cluster.local:9080", "album-store.demo.svc.cluster.local:9081", "a port that Service lab-soundcheck-album-store lacks"},
		{"networkpolicies", "{protocol: TCP, port: 9080}", "{protocol: TCP, port: 9081}", "calls lab-soundcheck-album-store.demo.svc.cluster.local:9080, which a NetworkPolicy rejects"},
		{"networkpolicies", "app.kubernetes.io/component: migrate", "app.kubernetes.io/component: migration", "(soundcheck/templates/migrate.yaml): calls lab-soundcheck-postgres.demo.svc.cluster.local:5432"},
	} {
		t.Run(tt.file+": "+tt.to, func(t *testing.T) {
			t.Parallel()
			changed, n := append([]document(nil), good...), 0
			for i, d := range changed {
				if strings.HasSuffix(d.file, "/"+tt.file+".yaml") {
					n += strings.Count(d.text, tt.from)
					changed[i].text = strings.ReplaceAll(d.text, tt.from, tt.to)
				}
			}
			if n == 0 {
				t.Fatalf("%s.yaml has no %q any more", tt.file, tt.from)
			}
			objects, got := decode(changed)
			got = append(got, problems(objects, lab.namespace)...)
			if !strings.Contains(strings.Join(got, "\n"), tt.want) || len(got) == 0 && tt.want != "" {
				t.Errorf("found %q, want %s", got, tt.want)
			}
		})
	}
}

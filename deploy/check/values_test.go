package check

import (
	"strings"
	"testing"
)

// Another Grafana may have data sources with our uids and names, and has a default.
func TestDatasourceUids(t *testing.T) {
	t.Parallel()
	const values = "{grafana: {enabled: false}, dashboards: {datasourceLabel: grafana_datasource, datasourceUids: {prometheus: sc-prometheus, jaeger: sc-jaeger, loki: sc-loki}}}"
	text := ""
	for _, d := range must(t, lab, merge(t, registry, values)) {
		if strings.HasSuffix(d.file, "/dashboards.yaml") {
			text += d.text
		}
	}
	for _, old := range []string{`"uid": "prometheus"`, `"uid": "jaeger"`, `"uid": "loki"`, "uid: prometheus\n", "uid: jaeger\n", "uid: loki\n", "datasourceUid: jaeger\n", "isDefault"} {
		if strings.Contains(text, old) {
			t.Errorf("the ConfigMaps have %q", old)
		}
	}
	for _, want := range []string{`"uid": "sc-prometheus"`, "uid: sc-prometheus\n", "uid: sc-jaeger\n", "uid: sc-loki\n", "datasourceUid: sc-jaeger\n", "datasourceUid: sc-loki\n", "datasourceUid: sc-prometheus\n", "name: Soundcheck Prometheus\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the ConfigMaps have no %q", want)
		}
	}
}

// Each value reaches what it is for.
func TestValuesReach(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ values, file, want string }{
		{"service: {types: {proxy-service: LoadBalancer}}", "/proxy.yaml", "type: LoadBalancer"},
		{"service: {annotations: {proxy-service: {a.example/internal: 'yes'}}}", "/proxy.yaml", `a.example/internal: "yes"`},
		{"{proxy: {enabled: false}, service: {types: {album-store: NodePort}, nodePorts: {album-store: {http: 30080}}}}", "/store.yaml", "nodePort: 30080"},
		{"pods: {securityContext: {fsGroup: 1000650000}}", "/jaeger.yaml", "fsGroup: 1000650000"},
		{"store: {image: {registry: ecr.example/team}}", "/store.yaml", "image: ecr.example/team/soundcheck/album-store:"},
		{"store: {terminationGracePeriodSeconds: 90}", "/store.yaml", "terminationGracePeriodSeconds: 90"},
		{"collector: {logsSize: 100Mi}", "/collector.yaml", "max_megabytes: 25\n"},
		{"collector: {logsSize: 100Mi}", "/collector.yaml", "sizeLimit: 157286400}"},
		{"database: {kind: postgres, postgres: {nodeSelector: {disk: ssd}}}", "/postgres.yaml", "disk: ssd"},
	} {
		found := false
		for _, d := range must(t, lab, merge(t, registry, tt.values)) {
			found = found || strings.HasSuffix(d.file, tt.file) && strings.Contains(d.text, tt.want)
		}
		if !found {
			t.Errorf("%s: %s has no %q", tt.values, tt.file, tt.want)
		}
	}
	// A null of the security context removes a field.
	for _, d := range must(t, lab, merge(t, registry, "pods: {securityContext: {runAsUser: null, runAsGroup: null}}")) {
		if strings.Contains(d.text, "runAsUser") || strings.Contains(d.text, "runAsGroup") {
			t.Errorf("%s has runAsUser or runAsGroup", d.file)
		}
	}
}

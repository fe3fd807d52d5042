package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// container returns a container of a rendered chart.
func container(t *testing.T, objects []*object, name string) corev1.Container {
	t.Helper()
	for _, o := range objects {
		if o.pod == nil || o.hook() {
			continue
		}
		for _, c := range o.containers() {
			if c.Name == name {
				return c
			}
		}
	}
	t.Fatalf("no container %s", name)
	return corev1.Container{}
}

// differ are the names that two environments do not have in common, with both values.
func differ(got, want map[string]string) (list []string) {
	for name := range want {
		if v, ok := got[name]; !ok || v != want[name] {
			list = append(list, fmt.Sprintf("%s is %q, want %q", name, v, want[name]))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			list = append(list, fmt.Sprintf("%s is %q, want none", name, got[name]))
		}
	}
	return list
}

func environment(c corev1.Container) map[string]string {
	all := map[string]string{}
	for _, e := range c.Env {
		all[e.Name] = e.Value
		if e.ValueFrom != nil {
			all[e.Name] = "from " + e.ValueFrom.String()
		}
	}
	return all
}

// components are the values whose env is that of a container, by the container's name.
var components = map[string]string{
	"album-store": "store", "proxy-service": "proxy", "otel-collector": "collector", "console": "console", "jaeger": "jaeger",
	"prometheus": "prometheus", "grafana": "grafana", "loki": "loki", "edge": "edge", "postgres": "database.postgres",
}

// environments renders the chart with an environment for each component, and returns that of each container.
func environments(t *testing.T, r release, env map[string]string) map[string]map[string]string {
	t.Helper()
	values := merge(t, registry, "{edge: {enabled: true}, database: {kind: postgres}}")
	for name, e := range env {
		path := strings.Split(components[name], ".")
		values = merge(t, values, "{"+strings.Join(path, ": {")+": {env: "+e+strings.Repeat("}", len(path)+1))
	}
	if r.parent != "" {
		values = "soundcheck:\n  " + strings.ReplaceAll(values, "\n", "\n  ")
	}
	four, err := render4(t, r, values)
	if err != nil {
		t.Fatal(err)
	}
	three, err := render3(t, r, values)
	if err != nil {
		t.Fatal(err)
	}
	objects, wrong := decode(documents(four))
	for _, p := range append(wrong, problems(objects, lab.namespace, "albums-app")...) {
		t.Error(p)
	}
	old, _ := decode(documents(three))
	all := map[string]map[string]string{}
	for name := range components {
		all[name] = environment(container(t, objects, name))
		for _, d := range differ(environment(container(t, old, name)), all[name]) {
			t.Errorf("%s under Helm 3: %s", name, d)
		}
	}
	return all
}

// What a user sets replaces ours, null removes it, and all else stays. In a parent chart too.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for _, r := range []release{lab, {name: "lab", namespace: "demo", revision: 1, parent: "platform"}} {
		t.Run(r.parent, func(t *testing.T) {
			t.Parallel()
			ours := environments(t, r, nil)
			set, change := map[string]string{}, map[string]string{}
			first, last := map[string]string{}, map[string]string{}
			for name, env := range ours {
				names := slices.Sorted(maps.Keys(env))
				first[name], last[name] = names[0], names[len(names)-1]
				set[name] = "{" + first[name] + `: mine, AAA: '$HOME " '' #', SHARE: 0.25, MANY: 1000000, 'YES': true, ` +
					"Z_NODE: {valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}}"
				change[name] = "{NOT_SET: null, " + first[name] + ": {valueFrom: {secretKeyRef: {name: albums-app, key: a}}}, " + last[name] + ": null}"
				if len(names) == 1 {
					change[name] = "{" + last[name] + ": null}"
				}
			}
			for name, got := range environments(t, r, set) {
				if !strings.Contains(got["Z_NODE"], "FieldPath:spec.nodeName") {
					t.Errorf("%s: Z_NODE is %q", name, got["Z_NODE"])
				}
				delete(got, "Z_NODE")
				want := maps.Clone(ours[name])
				want[first[name]] = "mine"
				want["AAA"], want["SHARE"], want["MANY"], want["YES"] = "$HOME \" ' #", "0.25", "1000000", "true"
				for _, d := range differ(got, want) {
					t.Errorf("%s: %s", name, d)
				}
			}
			for name, got := range environments(t, r, change) {
				want := maps.Clone(ours[name])
				if first[name] != last[name] && !strings.Contains(got[first[name]], "Key:a") {
					t.Errorf("%s: %s is %q", name, first[name], got[first[name]])
				}
				delete(got, first[name])
				delete(want, first[name])
				delete(want, last[name])
				for _, d := range differ(got, want) {
					t.Errorf("%s: %s", name, d)
				}
			}
		})
	}
}

// The telemetry of our services names pod, node, namespace, uid and container.
func TestResourceAttributes(t *testing.T) {
	t.Parallel()
	objects, _ := decode(must(t, lab, registry+"environment: staging\n"))
	for _, name := range []string{"album-store", "proxy-service"} {
		c := container(t, objects, name)
		env := environment(c)
		const want = "deployment.environment.name=staging,k8s.namespace.name=$(K8S_NAMESPACE_NAME),k8s.pod.name=$(K8S_POD_NAME),k8s.pod.uid=$(K8S_POD_UID),k8s.node.name=$(K8S_NODE_NAME),k8s.container.name="
		if got := env["OTEL_RESOURCE_ATTRIBUTES"]; got != want+name {
			t.Errorf("%s: %s, want %s", name, got, want+name)
		}
		for variable, field := range map[string]string{"K8S_NAMESPACE_NAME": "metadata.namespace", "K8S_POD_NAME": "metadata.name", "K8S_POD_UID": "metadata.uid", "K8S_NODE_NAME": "spec.nodeName"} {
			i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == variable })
			if i < 0 || c.Env[i].ValueFrom == nil || c.Env[i].ValueFrom.FieldRef.FieldPath != field {
				t.Errorf("%s: %s is not %s", name, variable, field)
			}
		}
		// 80% of 256 MiB.
		if env["GOMEMLIMIT"] != "214748364" || env["OTEL_METRIC_EXPORT_INTERVAL"] != "5000" || env["OTEL_EXPORTER_OTLP_ENDPOINT"] != "http://lab-soundcheck-otel-collector.demo.svc.cluster.local:4318" {
			t.Errorf("%s: %q", name, env)
		}
	}
}

// The Collector's memory limiter follows its container's limit.
func TestCollectorMemory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ limit, limiter, spike, runtime string }{
		{"640Mi", "512", "128", "503316480"},
		{"2Gi", "1638", "409", "1610612736"},
		{"1G", "762", "190", "750000000"},
		{"536870912", "409", "102", "402653184"},
	} {
		objects, _ := decode(must(t, lab, registry+"collector: {resources: {limits: {memory: "+tt.limit+"}}}\n"))
		env := environment(container(t, objects, "otel-collector"))
		if env["COLLECTOR_MEMORY_LIMIT_MIB"] != tt.limiter || env["COLLECTOR_MEMORY_SPIKE_MIB"] != tt.spike || env["GOMEMLIMIT"] != tt.runtime {
			t.Errorf("%s: %q, want %v", tt.limit, env, tt)
		}
	}
	// Without a limit, the defaults of collector/config.yaml are used.
	objects, _ := decode(must(t, lab, registry+"collector: {resources: {limits: {memory: null}}}\n"))
	if env := environment(container(t, objects, "otel-collector")); env["COLLECTOR_MEMORY_LIMIT_MIB"] != "" || env["GOMEMLIMIT"] != "" {
		t.Errorf("without a limit: %q", env)
	}
}

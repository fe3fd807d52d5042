package check

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// known are the components that the Collector's configuration may use: those of compose/check, all of them in the contrib image,
// and the processor of Kubernetes, whose name was k8sattributes before (open-telemetry/opentelemetry-collector-contrib#45901).
var known = map[string][]string{
	"receivers":  {"otlp"},
	"processors": {"memory_limiter", "transform", "filter", "delta_to_cumulative", "attributes", "k8s_attributes"},
	"exporters":  {"otlp_http", "file", "debug"},
	"connectors": {"forward", "span_metrics"},
	"extensions": {"health_check", "file_storage"},
}

// collectorFiles are the Collector's configuration files of a release, in order.
func collectorFiles(t *testing.T, objects []*object) []string {
	t.Helper()
	c := find(objects, "ConfigMap", "lab-soundcheck-otel-collector").is.(*corev1.ConfigMap)
	var files []string
	args := container(t, objects, "otel-collector").Args
	for i := 1; i < len(args); i += 2 {
		text := c.Data[filepath.Base(args[i])]
		if args[i-1] != "--config" || text == "" || filepath.Dir(args[i]) != "/etc/otelcol" {
			t.Fatalf("the Collector reads %q, the ConfigMap has %q", args, slices.Sorted(maps.Keys(c.Data)))
		}
		files = append(files, text)
	}
	return files
}

// merged is the configuration that the Collector makes of its files: maps are merged, lists replaced.
func merged(t *testing.T, files []string) map[string]any {
	t.Helper()
	all := "{}"
	for _, f := range files {
		all = merge(t, all, f)
	}
	return parse(t, all)
}

var read = regexp.MustCompile(`\$\{env:(\w+)(:-)?`)

// incomplete are pipelines with components that are not defined, and components that no distribution has.
func incomplete(config map[string]any, env map[string]string) (list []string) {
	section := func(name string) map[string]any { m, _ := config[name].(map[string]any); return m }
	for kind, types := range known {
		for id := range section(kind) {
			if name, _, _ := strings.Cut(id, "/"); !slices.Contains(types, name) {
				list = append(list, fmt.Sprintf("%s: %s is in no distribution", kind, id))
			}
		}
	}
	ends := map[string]int{} // of connectors: 1 as an exporter, 2 as a receiver
	pipelines, _ := section("service")["pipelines"].(map[string]any)
	for name, p := range pipelines {
		for _, kind := range []string{"receivers", "processors", "exporters"} {
			ids := p.(map[string]any)[kind]
			if text, ok := ids.(string); ok { // ${env:NAME:-[…]}
				value := env[read.FindStringSubmatch(text)[1]]
				_ = yaml.Unmarshal([]byte(value), &ids)
			}
			items, _ := ids.([]any)
			if len(items) == 0 {
				list = append(list, fmt.Sprintf("pipeline %s has no %s", name, kind))
			}
			for i, id := range items {
				id := id.(string)
				if slices.Contains(items[:i], any(id)) {
					list = append(list, fmt.Sprintf("pipeline %s has %s twice", name, id))
				}
				_, isConnector := section("connectors")[id]
				if _, ok := section(kind)[id]; !ok && (!isConnector || kind == "processors") {
					list = append(list, fmt.Sprintf("pipeline %s: %s %s is not defined", name, kind, id))
				}
				if isConnector {
					ends[id] |= map[string]int{"exporters": 1, "receivers": 2}[kind]
				}
				if kind == "processors" && (id == "memory_limiter") != (i == 0) && !strings.Contains(fmt.Sprint(p), "forward/") {
					list = append(list, fmt.Sprintf("pipeline %s: memory_limiter is not first", name))
				}
			}
		}
	}
	for id, used := range ends {
		if used != 3 {
			list = append(list, fmt.Sprintf("connector %s is only one of receiver and exporter", id))
		}
	}
	return list
}

func TestCollectorConfiguration(t *testing.T) {
	t.Parallel()
	for name, objects := range labs(t) {
		files := collectorFiles(t, objects)
		env := environment(container(t, objects, "otel-collector"))
		for _, p := range incomplete(merged(t, files), env) {
			t.Errorf("%s: %s", name, p)
		}
		variables := map[string]bool{}
		for _, m := range read.FindAllStringSubmatch(strings.Join(files, "\n"), -1) {
			variables[m[1]] = true
			if _, ok := env[m[1]]; !ok && m[2] == "" {
				t.Errorf("%s: %s is not set, and has no default", name, m[1])
			}
		}
		for variable := range env {
			if !variables[variable] && variable != "GOMEMLIMIT" {
				t.Errorf("%s: the configuration does not read %s", name, variable)
			}
		}
	}
}

// What the values change, and that collector.config has the last word.
func TestCollectorValues(t *testing.T) {
	t.Parallel()
	const traces, metrics = "service.pipelines.traces", "service.pipelines.metrics/received"
	for _, tt := range []struct{ values, path, want string }{
		{"{}", traces + ".processors", "[memory_limiter transform/valid]"},
		{"{}", traces + ".exporters", "[otlp_http/jaeger span_metrics]"},
		{"{}", metrics + ".receivers", "[otlp span_metrics]"},
		{"{}", metrics + ".processors", "[memory_limiter transform/valid transform/rejected]"},
		{"{}", "receivers.otlp.protocols.grpc.keepalive.server_parameters.max_connection_age", "60s"},
		{"{}", "receivers.otlp.protocols.grpc.max_recv_msg_size_mib", "16"},
		{"collector: {maxConnectionAge: 5m}", "receivers.otlp.protocols.grpc.keepalive.server_parameters.max_connection_age", "5m"},
		{"collector: {spanMetrics: {enabled: false}}", traces + ".exporters", "[otlp_http/jaeger]"},
		{"collector: {spanMetrics: {enabled: false}}", metrics + ".receivers", "[otlp]"},
		{"edge: {enabled: true}", traces + ".processors", "[memory_limiter attributes/edge transform/valid]"},
		{"edge: {enabled: true}", "processors.attributes/edge.include.services", "[edge]"},
		{"collector: {k8sAttributes: {enabled: true}}", traces + ".processors", "[memory_limiter k8s_attributes transform/valid]"},
		{"collector: {k8sAttributes: {enabled: true}}", "service.pipelines.logs.processors", "[memory_limiter k8s_attributes transform/valid]"},
		{"collector: {k8sAttributes: {enabled: true}}", metrics + ".processors", "[memory_limiter k8s_attributes transform/valid transform/rejected]"},
		{"{collector: {k8sAttributes: {enabled: true}}, edge: {enabled: true}}", traces + ".processors", "[memory_limiter k8s_attributes attributes/edge transform/valid]"},
		{"{collector: {config: {processors: {memory_limiter: {check_interval: 2s}}}}}", "processors.memory_limiter.check_interval", "2s"},
		{"{collector: {config: {service: {pipelines: {traces: {processors: [memory_limiter]}}}}}}", traces + ".processors", "[memory_limiter]"},
		{"{collector: {config: {service: {pipelines: {traces: {processors: [memory_limiter]}}}}}}", traces + ".receivers", "[otlp]"},
	} {
		t.Run(tt.values+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			objects, _ := decode(must(t, lab, merge(t, registry+"grafana: {enabled: false}\ndashboards: {enabled: false}\n", tt.values)))
			var got any = merged(t, collectorFiles(t, objects))
			for key := range strings.SplitSeq(tt.path, ".") {
				m, _ := got.(map[string]any)
				got = m[key]
			}
			if fmt.Sprint(got) != tt.want {
				t.Errorf("%s is %v, want %s", tt.path, got, tt.want)
			}
		})
	}
}

// The check of pipelines finds what is missing.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	base := merged(t, collectorFiles(t, labs(t)["defaults"]))
	env := environment(container(t, labs(t)["defaults"], "otel-collector"))
	for over, want := range map[string]string{
		"service: {pipelines: {traces: {processors: [memory_limiter, batch]}}}": "processors batch is not defined",
		"processors: {batch: {}}": "processors: batch is in no distribution",
		"service: {pipelines: {traces: {exporters: [otlp_http/jaeger]}}}":                 "connector span_metrics is only one of",
		"service: {pipelines: {traces: {processors: [transform/valid, memory_limiter]}}}": "memory_limiter is not first",
		"service: {pipelines: {traces: {exporters: []}}}":                                 "pipeline traces has no exporters",
		"service: {pipelines: {logs: {receivers: [otlp, otlp]}}}":                         "pipeline logs has otlp twice",
	} {
		if got := incomplete(parse(t, merge(t, toYAML(t, base), over)), env); !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s: found %q, want %s", over, got, want)
		}
	}
	if got := incomplete(base, map[string]string{"COLLECTOR_LOGS_EXPORTERS": "[file, otlp_http/splunk]"}); len(got) != 1 {
		t.Errorf("found %q, want otlp_http/splunk", got)
	}
}

// The Collector itself accepts its configuration: our distribution, for values without components that it lacks.
func TestCollectorValidates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "collector")
	// The flags of the Makefile, whose target backends has compiled it.
	build := exec.Command("go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-o", binary, ".")
	build.Dir, build.Env = "../../collector/distribution", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	validate := func(files []string, env map[string]string) (string, error) {
		t.Helper()
		args := []string{"validate"}
		for i, text := range files {
			file := filepath.Join(dir, fmt.Sprint(i, ".yaml"))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--config", file)
		}
		c := exec.Command(binary, args...)
		for k, v := range env {
			c.Env = append(c.Env, k+"="+v)
		}
		// The extension checks its folder.
		c.Env = append(c.Env, "COLLECTOR_STATE_DIR="+dir)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	tested := 0
	for name, objects := range labs(t) {
		if name == "edge" || name == "k8s-attributes" { // components of contrib
			continue
		}
		tested++
		files, env := collectorFiles(t, objects), environment(container(t, objects, "otel-collector"))
		if out, err := validate(files, env); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if name == "defaults" {
			if out, err := validate(append(files, "receivers: {otlp: {protocols: {grpc: {keepalive: {server_parameters: {max_age: 1s}}}}}}"), env); err == nil || !strings.Contains(out, "max_age") {
				t.Errorf("an unknown setting: %v\n%s", err, out)
			}
		}
	}
	if tested < 15 {
		t.Errorf("only %d configurations", tested)
	}
}

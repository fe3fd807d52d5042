package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	envprovider "go.opentelemetry.io/collector/confmap/provider/envprovider"
	fileprovider "go.opentelemetry.io/collector/confmap/provider/fileprovider"
	yamlprovider "go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/otelcol"
)

const config = "../config.yaml"

// collector returns a Collector of this distribution with the configuration at uri.
func collector(t *testing.T, uris ...string) *otelcol.Collector {
	t.Helper()
	col, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo: component.NewDefaultBuildInfo(),
		Factories: components,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs: uris,
			ProviderFactories: []confmap.ProviderFactory{
				envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory(),
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return col
}

// The one configuration is valid for each way to run the lab, and what it names
// is in the distribution: the Collector's own dry run builds every pipeline.
func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
	}{
		{"native", nil},
		{"compose", map[string]string{
			"COLLECTOR_OTLP_GRPC_ADDR": "0.0.0.0:4317",
			"COLLECTOR_OTLP_HTTP_ADDR": "0.0.0.0:4318",
			"COLLECTOR_HEALTH_ADDR":    "0.0.0.0:13133",
			"COLLECTOR_STATE_DIR":      "/var/lib/otelcol",
			"COLLECTOR_LOGS_EXPORTERS": "[otlp_http/loki]",
			"JAEGER_OTLP_ADDR":         "jaeger:4318",
			"PROMETHEUS_OTLP_URL":      "http://prometheus:9090/api/v1/otlp",
			"LOKI_OTLP_URL":            "http://loki:3100/otlp",
			"LAB_ENVIRONMENT":          "compose",
		}},
		{"two log exporters", map[string]string{"COLLECTOR_LOGS_EXPORTERS": "[file, otlp_http/loki]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Extensions check their folders when they are configured.
			t.Setenv("COLLECTOR_STATE_DIR", t.TempDir())
			for name, value := range tt.env {
				if name != "COLLECTOR_STATE_DIR" {
					t.Setenv(name, value)
				}
			}
			if err := collector(t, config).DryRun(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is wrong in a configuration is found: the dry run can fail.
func TestConfigErrors(t *testing.T) {
	t.Setenv("COLLECTOR_STATE_DIR", t.TempDir())
	for _, tt := range []struct{ name, override, want string }{
		{"unknown component", "yaml:exporters::nosuch::endpoint: x", `unknown type: "nosuch"`},
		{"unknown key", "yaml:processors::memory_limiter::nosuch: 1", "nosuch"},
		{"undefined in a pipeline", "yaml:service::pipelines::logs::exporters: [debug]", `references exporter "debug" which is not configured`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := collector(t, config, tt.override).DryRun(context.Background())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("DryRun() = %v, want %q", err, tt.want)
			}
		})
	}
}

// The committed sources are what the builder makes of the manifest.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	manifest, err := os.ReadFile("../builder-config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "builder-config.yaml"), manifest, 0o644); err != nil {
		t.Fatal(err)
	}
	ocb := filepath.Join(dir, "ocb")
	command(t, "../../tools", "go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-o", ocb, "go.opentelemetry.io/collector/cmd/builder")
	command(t, dir, ocb, "--config", "builder-config.yaml", "--skip-compilation", "--skip-get-modules")
	for _, name := range []string{"main.go", "main_others.go", "main_windows.go", "components.go"} {
		got, want := read(t, name), read(t, filepath.Join(dir, "distribution", name))
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the builder makes of builder-config.yaml: run make generate", name)
		}
	}
	mod := string(read(t, "go.mod"))
	for line := range strings.Lines(string(manifest)) {
		if _, module, ok := strings.Cut(line, "- gomod: "); ok && !strings.Contains(mod, strings.TrimSpace(module)+"\n") {
			t.Errorf("go.mod does not require %s, as builder-config.yaml does: run make generate", strings.TrimSpace(module))
		}
	}
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

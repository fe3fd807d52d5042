package check

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/confmap"
	"gopkg.in/yaml.v3"
)

// components are those that the Collector's configuration may use: the kind, the
// module's last part, and the type by which a configuration names it. All of them are
// in the image otel/opentelemetry-collector-contrib:0.161.0: each module's
// metadata.yaml, at v0.161.0, has contrib among its distributions, and the image's
// manifest (open-telemetry/opentelemetry-collector-releases,
// distributions/otelcol-contrib/manifest.yaml) has them since 0.159.0 at the latest.
// Not in it: healthcheckv2.
var components = []struct{ kind, module, name string }{
	{"receivers", "otlpreceiver", "otlp"},
	{"processors", "deltatocumulativeprocessor", "delta_to_cumulative"},
	{"processors", "filterprocessor", "filter"},
	{"processors", "transformprocessor", "transform"},
	{"processors", "memorylimiterprocessor", "memory_limiter"},
	{"processors", "attributesprocessor", "attributes"},
	{"exporters", "debugexporter", "debug"},
	{"exporters", "otlphttpexporter", "otlp_http"},
	{"exporters", "fileexporter", "file"},
	{"connectors", "forwardconnector", "forward"},
	{"connectors", "spanmetricsconnector", "span_metrics"},
	{"extensions", "healthcheckextension", "health_check"},
	{"extensions", "filestorage", "file_storage"},
}

// contrib returns the components of the contrib image that are known here, as
// "exporters/otlp".
func contrib() []string {
	var all []string
	for _, c := range components {
		all = append(all, c.kind+"/"+c.name)
	}
	return all
}

// distribution returns the components of a distribution, from its builder's manifest.
func distribution(file []byte) ([]string, error) {
	var manifest map[string]any
	if err := yaml.Unmarshal(file, &manifest); err != nil {
		return nil, err
	}
	var all []string
	for kind, list := range manifest {
		modules, ok := list.([]any)
		if !ok || kind == "providers" {
			continue
		}
		for _, m := range modules {
			line, _ := m.(map[string]any)["gomod"].(string)
			path, _, _ := strings.Cut(line, " ")
			module := path[strings.LastIndex(path, "/")+1:]
			i := slices.IndexFunc(components, func(c struct{ kind, module, name string }) bool { return c.kind == kind && c.module == module })
			if i < 0 {
				return nil, fmt.Errorf("%s has %s, of which it is not known how a configuration names it: add it to components", kind, path)
			}
			all = append(all, kind+"/"+components[i].name)
		}
	}
	return all, nil
}

// configuration reads configurations of the Collector as it does: later ones over
// earlier ones.
func configuration(files ...string) (*confmap.Conf, error) {
	merged := confmap.New()
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var m map[string]any
		if err := yaml.Unmarshal(b, &m); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		if err := merged.Merge(confmap.NewFromStringMap(m)); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
	}
	return merged, nil
}

// used returns the components that a configuration has.
func used(c *confmap.Conf) []string {
	var all []string
	for kind, section := range c.ToStringMap() {
		if kind == "service" {
			continue
		}
		m, _ := section.(map[string]any)
		for id := range m {
			name, _, _ := strings.Cut(id, "/")
			all = append(all, kind+"/"+name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

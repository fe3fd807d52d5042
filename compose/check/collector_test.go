package check

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/attributesprocessor"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
)

// configs returns the files on the host that the Collector of a project reads.
func configs(t *testing.T, p *types.Project) []string {
	t.Helper()
	s := p.Services["otel-collector"]
	var files []string
	for i, arg := range s.Command {
		if arg != "--config" {
			continue
		}
		j := slices.IndexFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == s.Command[i+1] })
		if j < 0 {
			t.Fatalf("the Collector reads %s, which is not mounted", s.Command[i+1])
		}
		files = append(files, s.Volumes[j].Source)
	}
	return files
}

// Every configured component exists in its distribution.
func TestComponents(t *testing.T) {
	t.Parallel()
	manifest, err := os.ReadFile("../../collector/builder-config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	built, err := distribution(manifest)
	if err != nil {
		t.Fatal(err)
	}
	missing := func(has []string, files ...string) []string {
		c, err := configuration(files...)
		if err != nil {
			t.Fatal(err)
		}
		used := used(c)
		if len(used) < 9 {
			t.Errorf("%v uses %v only; is it still read?", files, used)
		}
		return slices.DeleteFunc(used, func(c string) bool { return slices.Contains(has, c) })
	}
	full, local := load(t, "full"), load(t, "local")
	if got := missing(contrib(), configs(t, full)...); len(got) > 0 {
		t.Errorf("%s has no %v", full.Services["otel-collector"].Image, got)
	}
	if got := missing(built, configs(t, local)...); len(got) > 0 {
		t.Errorf("our distribution has no %v", got)
	}
	// It can fail: ours has not what the edge needs, contrib not what we had before.
	if got := missing(built, configs(t, full)...); !slices.Equal(got, []string{"processors/attributes"}) {
		t.Errorf("of the whole configuration our distribution lacks %v, want processors/attributes", got)
	}
	old := filepath.Join(t.TempDir(), "old.yaml")
	if err := os.WriteFile(old, []byte("extensions: {healthcheckv2: {}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := missing(contrib(), append(configs(t, full), old)...); !slices.Equal(got, []string{"extensions/healthcheckv2"}) {
		t.Errorf("contrib lacks %v, want extensions/healthcheckv2", got)
	}
	if _, err := distribution([]byte("exporters: [{gomod: example.org/nosuchexporter v1.0.0}]")); err == nil {
		t.Error("an unknown module was taken")
	}
}

// Overrides only add to the base configuration.
func TestMerged(t *testing.T) {
	t.Parallel()
	c, err := configuration(configs(t, load(t, "full"))...)
	if err != nil {
		t.Fatal(err)
	}
	for pipeline, want := range map[string][]any{
		"traces":           {"memory_limiter", "attributes/edge", "transform/valid"},
		"metrics/received": {"memory_limiter", "transform/valid", "transform/rejected"},
		"metrics":          {"filter/accepted", "delta_to_cumulative"},
		"logs":             {"memory_limiter", "transform/valid"},
	} {
		if got, _ := c.Get("service::pipelines::" + pipeline + "::processors").([]any); !slices.Equal(got, want) {
			t.Errorf("the processors of %s are %v, want %v", pipeline, got, want)
		}
	}
	if !c.IsSet("service::pipelines::traces::exporters") || !c.IsSet("processors::memory_limiter") {
		t.Error("the configuration has lost something")
	}
}

var reads = regexp.MustCompile(`\$\{env:(\w+)`)

// What the files set is read, and who is elsewhere is not looked for on this machine.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"full", "local"} {
		p := load(t, name)
		jaeger := slices.IndexFunc(p.Services["jaeger"].Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Target == p.Services["jaeger"].Command[1]
		})
		for service, files := range map[string][]string{
			"otel-collector": configs(t, p), "jaeger": {p.Services["jaeger"].Volumes[jaeger].Source},
		} {
			read := map[string]bool{}
			for _, file := range files {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range reads.FindAllSubmatch(b, -1) {
					read[string(m[1])] = true
				}
			}
			s := p.Services[service]
			for variable := range s.Environment {
				known := strings.HasPrefix(variable, "GO") || strings.HasPrefix(variable, "OTEL_")
				if !known && !read[variable] {
					t.Errorf("%s, %s: nobody reads %s", name, service, variable)
				}
			}
			// Health probes are internal; Jaeger's gRPC port is unused; without Loki it gets no data.
			for variable := range read {
				optional := strings.HasSuffix(variable, "_HEALTH_ADDR") || variable == "JAEGER_GRPC_ADDR" ||
					variable == "LOKI_OTLP_URL" && name == "local"
				if _, ok := s.Environment[variable]; !ok && !optional {
					t.Errorf("%s, %s: %s is not set", name, service, variable)
				}
			}
		}
	}
}

// An image tag and the module have the same version. Exceptions are listed here.
func TestVersions(t *testing.T) {
	t.Parallel()
	p := load(t, "full")
	for service, where := range map[string]struct{ file, module string }{
		"otel-collector": {"../../collector/distribution/go.mod", "opentelemetry-collector-contrib/exporter/fileexporter v"},
		"prometheus":     {"../../backends/prometheus/go.mod", "github.com/prometheus/prometheus v0."},
		"jaeger":         {"../../backends/jaeger/go.mod", "github.com/jaegertracing/jaeger v"},
	} {
		b, err := os.ReadFile(where.file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(b), where.module)
		version := strings.Fields(rest)[0]
		switch service {
		case "prometheus": // v0.316.0 is the module of v3.16.0
			version = map[string]string{"316.0": "3.16.0"}[version]
		case "jaeger": // both numbers are of one release: its change log has v1.76.0 / v2.13.0
			version = map[string]string{"1.76.0": "2.13.0"}[version]
		}
		if image, _, _ := strings.Cut(p.Services[service].Image, "@"); !ok || strings.TrimPrefix(image[strings.LastIndex(image, ":")+1:], "v") != version {
			t.Errorf("the image is %s, the module %q", image, version)
		}
		if label := load(t, "local").Services[service].Build.Args["VERSION"]; label == nil || *label != version {
			t.Errorf("the local image of %s is labelled %v, the module is %q", service, label, version)
		}
	}
}

// nginx's span attributes are renamed to those of the other services, without client address
// and query. The spans of other services stay unchanged.
func TestEdgeSpans(t *testing.T) {
	t.Parallel()
	conf, err := configuration("../otel-collector/edge.yaml")
	if err != nil {
		t.Fatal(err)
	}
	section, err := conf.Sub("processors::attributes/edge")
	if err != nil {
		t.Fatal(err)
	}
	factory := attributesprocessor.NewFactory()
	cfg := factory.CreateDefaultConfig()
	if err := section.Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
	sink := new(consumertest.TracesSink)
	p, err := factory.CreateTraces(t.Context(), processortest.NewNopSettings(factory.Type()), cfg, sink)
	if err != nil {
		t.Fatal(err)
	}
	traces := ptrace.NewTraces()
	for _, service := range []string{"edge", "proxy-service"} {
		rs := traces.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", service)
		// As ngx_otel_module 0.1.2 writes them (src/http_module.cpp).
		err := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty().Attributes().FromRaw(map[string]any{
			"http.method": "GET", "http.target": "/albums?artist=Coltrane&limit=20", "http.scheme": "http", "http.route": "/",
			"http.flavor": "1.1", "http.user_agent": "curl/8", "http.request_content_length": 0, "net.host.name": "edge",
			"net.sock.peer.addr": "192.0.2.7", "net.sock.peer.port": 4711, "net.host.port": 8070,
			"http.response_content_length": 68, "http.status_code": 200,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.ConsumeTraces(t.Context(), traces); err != nil {
		t.Fatal(err)
	}
	span := func(i int) map[string]any {
		return sink.AllTraces()[0].ResourceSpans().At(i).ScopeSpans().At(0).Spans().At(0).Attributes().AsRaw()
	}
	want := map[string]any{
		"http.request.method": "GET", "http.response.status_code": int64(200), "url.path": "/albums", "url.scheme": "http",
		"network.protocol.version": "1.1", "server.address": "edge", "server.port": int64(8070),
		"http.request_content_length": int64(0), "http.response_content_length": int64(68),
	}
	if got := span(0); !maps.Equal(got, want) {
		t.Errorf("the edge's span has %v, want %v", got, want)
	}
	if got := span(1); len(got) != 13 || got["http.target"] == nil {
		t.Errorf("the proxy's span has %v, want it unchanged", got)
	}
}

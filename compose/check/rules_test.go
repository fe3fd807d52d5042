package check

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

func ptr(s string) *string { return &s }

// A check that cannot fail is none: each rule finds what is wrong.
func TestRulesFail(t *testing.T) {
	t.Parallel()
	failed := map[string]bool{}
	for _, tt := range []struct {
		rule, service string
		change        func(p *types.Project, s *types.ServiceConfig)
		want          string
	}{
		{"image", "postgres", func(_ *types.Project, s *types.ServiceConfig) { s.Image = "postgres:latest" }, "full version"},
		{"image", "postgres", func(_ *types.Project, s *types.ServiceConfig) { s.Image = "postgres" }, "full version"},
		{"image", "postgres", func(_ *types.Project, s *types.ServiceConfig) { s.Image = "postgres:17" }, "full version"},
		{"image", "postgres", func(_ *types.Project, s *types.ServiceConfig) { s.Build = &types.BuildConfig{} }, "is built"},
		{"image", "proxy-service", func(_ *types.Project, s *types.ServiceConfig) { s.Build = nil }, "by Compose"},
		{"image", "proxy-service", func(_ *types.Project, s *types.ServiceConfig) {
			s.Build, s.Image = nil, "soundcheck/proxy-service:local"
		}, "want never"},
		{"privileges", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.Privileged = true }, "more rights"},
		{"privileges", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.Pid = "host" }, "more rights"},
		{"user", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.User = "" }, "not of root"},
		{"user", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.User = "0:0" }, "not of root"},
		{"user", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.User = "jaeger" }, "not of root"},
		{"root", "loki", func(_ *types.Project, s *types.ServiceConfig) { s.ReadOnly = false }, "can write"},
		{"capabilities", "loki", func(_ *types.Project, s *types.ServiceConfig) { s.CapDrop = nil }, "want ALL"},
		{"capabilities", "loki", func(_ *types.Project, s *types.ServiceConfig) { s.CapAdd = []string{"CHOWN"} }, "want ALL"},
		{"capabilities", "prepare", func(_ *types.Project, s *types.ServiceConfig) { s.CapAdd = []string{"CHOWN", "FOWNER"} }, "[CHOWN]"},
		{"no new privileges", "grafana", func(_ *types.Project, s *types.ServiceConfig) { s.SecurityOpt = nil }, "want no-new"},
		{"health", "grafana", func(_ *types.Project, s *types.ServiceConfig) { s.HealthCheck = nil }, "no health check"},
		{"health", "grafana", func(_ *types.Project, s *types.ServiceConfig) {
			s.HealthCheck = &types.HealthCheckConfig{Test: []string{"CMD-SHELL", "curl"}}
		}, "needs no shell"},
		{"health", "grafana", func(_ *types.Project, s *types.ServiceConfig) { s.HealthCheck.Interval = nil }, "without interval"},
		{"health", "grafana", func(_ *types.Project, s *types.ServiceConfig) { s.HealthCheck.StartInterval = s.HealthCheck.Interval }, "engines before 25"},
		{"health", "grafana", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes = nil }, "does not mount tools"},
		{"limits", "prometheus", func(_ *types.Project, s *types.ServiceConfig) { s.Deploy = nil }, "no limits"},
		{"limits", "prometheus", func(_ *types.Project, s *types.ServiceConfig) { s.Deploy.Resources.Limits.Pids = 0 }, "0 processes"},
		{"limits", "prometheus", func(_ *types.Project, s *types.ServiceConfig) { s.Deploy.Resources.Limits.NanoCPUs = 4 }, "2 at most"},
		{"limits", "prometheus", func(_ *types.Project, s *types.ServiceConfig) { s.Environment["GOMEMLIMIT"] = ptr("1GiB") }, "want less"},
		{"restart", "console", func(_ *types.Project, s *types.ServiceConfig) { s.Restart = "always" }, "unless-stopped"},
		{"restart", "prepare", func(_ *types.Project, s *types.ServiceConfig) { s.Restart = "unless-stopped" }, `want "no"`},
		{"logs", "console", func(_ *types.Project, s *types.ServiceConfig) { s.Logging.Options = nil }, "without end"},
		{"ports", "prometheus", func(_ *types.Project, s *types.ServiceConfig) { s.Ports[0].HostIP = "" }, "want 127.0.0.1"},
		{"ports", "prometheus", func(_ *types.Project, s *types.ServiceConfig) { s.Ports[0].HostIP = "0.0.0.0" }, "want 127.0.0.1"},
		{"ports", "prometheus", func(_ *types.Project, s *types.ServiceConfig) { s.Ports[0].Published = "" }, "nobody knows"},
		{"ports", "postgres", func(p *types.Project, s *types.ServiceConfig) {
			s.Ports = []types.ServicePortConfig{{HostIP: "127.0.0.1", Target: 5432, Published: "5432"}}
		}, "nobody opens"},
		{"one port, one service", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.Ports[0].Published = "9090" }, "both publish 9090"},
		{"network", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.NetworkMode = "host" }, "want lab"},
		{"network", "jaeger", func(_ *types.Project, s *types.ServiceConfig) {
			s.Networks = map[string]*types.ServiceNetworkConfig{"lab": nil, "other": nil}
		}, "want lab"},
		{"one network", "jaeger", func(p *types.Project, _ *types.ServiceConfig) { p.Networks["other"] = types.NetworkConfig{} }, "which is ours"},
		{"dependencies", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.DependsOn = nil }, "does not wait for prepare"},
		{"dependencies", "proxy-service", func(p *types.Project, _ *types.ServiceConfig) { delete(p.Services, "album-store-2") }, "album-store-2, which is not there"},
		{"dependencies", "proxy-service", func(_ *types.Project, s *types.ServiceConfig) {
			s.DependsOn["album-store-1"] = types.ServiceDependency{Condition: types.ServiceConditionStarted}
		}, "want service_healthy"},
		{"dependencies", "album-store-1", func(_ *types.Project, s *types.ServiceConfig) { s.HealthCheck = nil }, "which has none"},
		{"dependencies", "album-store-1", func(_ *types.Project, s *types.ServiceConfig) {
			s.DependsOn["otel-collector"] = types.ServiceDependency{Condition: types.ServiceConditionHealthy}
		}, "no service needs a backend"},
		{"addresses", "proxy-service", func(_ *types.Project, s *types.ServiceConfig) {
			s.Environment["SOUNDCHECK_PROXY_STORE"] = ptr("http://album-store-1:9080,http://album-store-3:9080")
		}, "calls album-store-3"},
		{"addresses", "console", func(_ *types.Project, s *types.ServiceConfig) { s.Command = []string{"-jaeger", "http://yaeger:1"} }, "calls yaeger"},
		{"addresses", "proxy-service", func(_ *types.Project, s *types.ServiceConfig) {
			s.Environment["SOUNDCHECK_PROXY_STORE"] = ptr("http://host.docker.internal:9080")
		}, "calls host.docker.internal"},
		{"database", "postgres", func(_ *types.Project, s *types.ServiceConfig) { s.Environment["POSTGRES_DB"] = ptr("other") }, "want user and database"},
		{"database", "album-store-1", func(_ *types.Project, s *types.ServiceConfig) {
			s.Environment["SOUNDCHECK_STORE_DB"] = ptr("sqlite:albums.db")
		}, "want one of postgres"},
		{"database", "album-store-1", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes = nil }, "no secret of its"},
		{"database", "postgres", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes = nil }, "no secret of its"},
		{"database", "postgres", func(_ *types.Project, s *types.ServiceConfig) {
			s.Environment["POSTGRES_PASSWORD_FILE"] = ptr("/etc/password")
		}, "no secret of its"},
		{"database", "album-store-1", func(_ *types.Project, s *types.ServiceConfig) { delete(s.DependsOn, "postgres") }, "does not wait"},
		{"telemetry", "album-store-2", func(_ *types.Project, s *types.ServiceConfig) {
			s.Environment["OTEL_RESOURCE_ATTRIBUTES"] = ptr("deployment.environment.name=native")
		}, "in Compose"},
		{"telemetry", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { delete(s.Environment, "LAB_ENVIRONMENT") }, `in ""`},
		{"telemetry", "otel-collector", func(_ *types.Project, s *types.ServiceConfig) {
			s.Environment["COLLECTOR_LOGS_EXPORTERS"] = ptr("[file]")
		}, "want [file, otlphttp/loki]"},
		{"Grafana", "grafana", func(_ *types.Project, s *types.ServiceConfig) {
			s.Environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] = ptr("Admin")
		}, `want "Viewer"`},
		{"Grafana", "grafana", func(_ *types.Project, s *types.ServiceConfig) { delete(s.Environment, "GF_AUTH_BASIC_ENABLED") }, `want "false"`},
		{"binds", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes[0].ReadOnly = false }, "can write to"},
		{"binds", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes[0].Source += ".old" }, "not there"},
		{"binds", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes[0].Source = "/var/run/docker.sock" }, "not of the repository"},
		{"temporary files", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.Tmpfs = []string{"/tmp:size=64m"} }, "mode=1777"},
		{"temporary files", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.Tmpfs = []string{"/tmp:mode=1777"} }, "want a size"},
		{"volumes", "jaeger", func(p *types.Project, _ *types.ServiceConfig) { delete(p.Volumes, "jaeger-data") }, "not declared"},
		{"volumes", "jaeger", func(p *types.Project, _ *types.ServiceConfig) { p.Volumes["other"] = types.VolumeConfig{Name: "x"} }, "uses the volume other"},
		{"volumes", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes[1].Source = "" }, "without a name"},
		{"owners", "jaeger", func(_ *types.Project, s *types.ServiceConfig) { s.User = "10002:10002" }, "gives to"},
		{"owners", "console", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes[2].ReadOnly = false }, "writes to tools"},
		{"secrets", "postgres", func(_ *types.Project, s *types.ServiceConfig) { s.Environment["POSTGRES_PASSWORD"] = ptr("albums") }, "in its environment"},
		{"secrets", "album-store-1", func(_ *types.Project, s *types.ServiceConfig) {
			s.Environment["SOUNDCHECK_STORE_DB"] = ptr("postgres://albums:albums@postgres:5432/albums")
		}, "in its environment"},
		{"secrets", "album-store-1", func(_ *types.Project, s *types.ServiceConfig) {
			s.Command = []string{"-db", "postgres://albums:albums@postgres:5432/albums"}
		}, "in its command"},
		{"secrets", "postgres", func(_ *types.Project, s *types.ServiceConfig) {
			s.Secrets = []types.ServiceSecretConfig{{Source: "pgpass"}}
		}, "a file of the host"},
		{"secrets", "postgres", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes[1].ReadOnly = false }, "want /run/secrets, read-only"},
		{"secrets", "album-store-1", func(_ *types.Project, s *types.ServiceConfig) { s.Volumes[0].Target = "/secrets" }, "want /run/secrets, read-only"},
		{"secrets", "proxy-service", func(_ *types.Project, s *types.ServiceConfig) {
			s.Volumes = append(s.Volumes, types.ServiceVolumeConfig{Type: "volume", Source: "secrets", Target: "/run/secrets", ReadOnly: true})
		}, "neither database nor store"},
		{"secrets", "prepare", func(_ *types.Project, s *types.ServiceConfig) { s.Command = s.Command[:len(s.Command)-1] }, "makes no secrets"},
	} {
		p := load(t, "full with console")
		s := p.Services[tt.service]
		tt.change(p, &s)
		p.Services[tt.service] = s
		// Others may find it too.
		found := slices.ContainsFunc(Check(root(t), p), func(problem string) bool {
			return strings.HasPrefix(problem, tt.rule+": ") && strings.Contains(problem, tt.want)
		})
		if !found {
			t.Errorf("%s of %s: %q was not found in %q", tt.rule, tt.service, tt.want, Check(root(t), p))
		}
		failed[tt.rule] = true
	}
	for _, r := range Rules {
		if !failed[r.Name] {
			t.Errorf("rule %s is never seen to fail", r.Name)
		}
	}
	if len(failed) != len(Rules) {
		t.Errorf("%v are tried, there are %d rules", slices.Sorted(maps.Keys(failed)), len(Rules))
	}
}

package check

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// published are the services that a person opens, or that generators on the host send to.
var published = map[string][]uint32{
	"proxy-service": {9070}, "grafana": {3000}, "jaeger": {16696}, "prometheus": {9090},
	"otel-collector": {4317, 4318}, "console": {3300, 16696}, "nginx": {8070}, "album-store-1": {9080},
}

// hostGateway is the name by which a container finds its host.
const hostGateway = "host.docker.internal"

// An address of another, as http://NAME:PORT or NAME:PORT.
var address = regexp.MustCompile(`(?:^|//|@|,)([a-z][a-z0-9.-]*):(\d+)`)

// connectionRules are about who reaches whom.
var connectionRules = []Rule{
	each("ports", func(s types.ServiceConfig) string {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				return fmt.Sprintf("publishes %s on %q, want 127.0.0.1", port.Published, port.HostIP)
			}
			if !slices.Contains(published[s.Name], port.Target) {
				return fmt.Sprintf("publishes %d, which nobody opens", port.Target)
			}
			if port.Published == "" {
				return fmt.Sprintf("publishes %d on a port that nobody knows", port.Target)
			}
		}
		return ""
	}),
	{"one port, one service", func(_ string, p *types.Project) []string {
		var problems []string
		taken := map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(p.Services)) {
			for _, port := range p.Services[name].Ports {
				if other := taken[port.Published]; other != "" {
					problems = append(problems, fmt.Sprintf("%s and %s both publish %s", other, name, port.Published))
				}
				taken[port.Published] = name
			}
		}
		return problems
	}},
	each("network", func(s types.ServiceConfig) string {
		if got := slices.Collect(maps.Keys(s.Networks)); s.NetworkMode != "" || !slices.Equal(got, []string{"lab"}) {
			return fmt.Sprintf("is in the networks %v %s, want lab", got, s.NetworkMode)
		}
		return ""
	}),
	{"one network", func(_ string, p *types.Project) []string {
		if got := slices.Collect(maps.Keys(p.Networks)); !slices.Equal(got, []string{"lab"}) || bool(p.Networks["lab"].External) {
			return []string{fmt.Sprintf("there are %v, want lab, which is ours", got)}
		}
		return nil
	}},
	{"dependencies", func(_ string, p *types.Project) []string {
		var problems []string
		for name, s := range p.Services {
			if _, ok := s.DependsOn[preparer]; !ok && name != preparer {
				problems = append(problems, name+" does not wait for prepare")
			}
			for other, d := range s.DependsOn {
				target, ok := p.Services[other]
				want := types.ServiceConditionHealthy
				if other == preparer {
					want = types.ServiceConditionCompletedSuccessfully
				}
				switch {
				case !ok:
					problems = append(problems, fmt.Sprintf("%s waits for %s, which is not there", name, other))
				case d.Condition != want:
					problems = append(problems, fmt.Sprintf("%s waits for %s: %s, want %s", name, other, d.Condition, want))
				case want == types.ServiceConditionHealthy && target.HealthCheck == nil:
					problems = append(problems, fmt.Sprintf("%s waits for the health of %s, which has none", name, other))
				}
				// Telemetry flows as soon as somebody listens: nothing waits for that.
				if slices.Contains([]string{"otel-collector", "jaeger", "prometheus", "loki"}, other) {
					problems = append(problems, fmt.Sprintf("%s waits for %s: no service needs a backend to start", name, other))
				}
			}
		}
		return slices.Sorted(slices.Values(problems))
	}},
	// Whoever is called by name is a service, or the host where it has one.
	{"addresses", func(_ string, p *types.Project) []string {
		var problems []string
		for name, s := range p.Services {
			texts := slices.Clone([]string(s.Command))
			for k, v := range s.Environment {
				if v != nil && k != "OTEL_RESOURCE_ATTRIBUTES" {
					texts = append(texts, *v)
				}
			}
			for _, text := range texts {
				for _, m := range address.FindAllStringSubmatch(text, -1) {
					_, known := p.Services[m[1]]
					_, host := s.ExtraHosts[hostGateway]
					if !known && m[1] != "localhost" && !(m[1] == hostGateway && host) {
						problems = append(problems, fmt.Sprintf("%s calls %s, which is not there", name, m[1]))
					}
				}
			}
		}
		return slices.Sorted(slices.Values(problems))
	}},
	{"database", func(_ string, p *types.Project) []string {
		var problems []string
		for name, s := range p.Services {
			if strings.HasPrefix(name, "album-store") {
				if problem := database(s, p.Services["postgres"]); problem != "" {
					problems = append(problems, name+" "+problem)
				}
			}
		}
		return problems
	}},
	{"telemetry", func(_ string, p *types.Project) []string {
		var problems []string
		for name, s := range p.Services {
			attributes, environment := value(s, "OTEL_RESOURCE_ATTRIBUTES"), value(s, "LAB_ENVIRONMENT")
			switch {
			case strings.HasPrefix(name, "album-store") || name == "proxy-service":
				if attributes != "deployment.environment.name=compose" || value(s, "OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
					problems = append(problems, name+" does not tell that it is in Compose, or to nobody: "+attributes)
				}
			case (name == "otel-collector" || name == "jaeger") && environment != "compose":
				problems = append(problems, fmt.Sprintf("%s says that it is in %q", name, environment))
			}
			if logs := value(s, "COLLECTOR_LOGS_EXPORTERS"); name == "otel-collector" {
				want := "[file]"
				if _, loki := p.Services["loki"]; loki {
					want = "[file, otlphttp/loki]"
				}
				if logs != want {
					problems = append(problems, fmt.Sprintf("the Collector sends logs to %s, want %s", logs, want))
				}
			}
		}
		return problems
	}},
	each("Grafana", func(s types.ServiceConfig) string {
		if s.Name != "grafana" {
			return ""
		}
		for name, want := range map[string]string{
			"GF_AUTH_ANONYMOUS_ENABLED": "true", "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer", "GF_AUTH_DISABLE_LOGIN_FORM": "true",
			"GF_AUTH_BASIC_ENABLED": "false", "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true", "GF_USERS_ALLOW_SIGN_UP": "false",
			"LAB_PROMETHEUS_URL": "http://prometheus:9090", "LAB_JAEGER_URL": "http://jaeger:16696", "LAB_LOKI_URL": "http://loki:3100", "LAB_JAEGER_PAGE_URL": "http://127.0.0.1:16696",
		} {
			if got := value(s, name); got != want {
				return fmt.Sprintf("has %s=%q, want %q", name, got, want)
			}
		}
		return ""
	}),
}

func value(s types.ServiceConfig, name string) string {
	if v := s.Environment[name]; v != nil {
		return *v
	}
	return ""
}

// database tells what is wrong with the database that a store is given.
func database(store, postgres types.ServiceConfig) string {
	raw := value(store, "SOUNDCHECK_STORE_DB")
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "postgres" || u.Host != "postgres:5432":
		return fmt.Sprintf("has the database %q, want one of postgres:5432", raw)
	case u.User.Username() != value(postgres, "POSTGRES_USER") || strings.TrimPrefix(u.Path, "/") != value(postgres, "POSTGRES_DB"):
		return fmt.Sprintf("has the database %q, want user and database of postgres: %s, %s", raw, value(postgres, "POSTGRES_USER"), value(postgres, "POSTGRES_DB"))
	case !secret(store, u.Query().Get("passfile")):
		return fmt.Sprintf("finds its password in %q, which is no secret of its", u.Query().Get("passfile"))
	case !secret(postgres, value(postgres, "POSTGRES_PASSWORD_FILE")):
		return fmt.Sprintf("has a database whose password is in %q, which is no secret of its", value(postgres, "POSTGRES_PASSWORD_FILE"))
	case store.DependsOn["postgres"].Condition != types.ServiceConditionHealthy:
		return "does not wait for its database"
	}
	return ""
}

// secret tells whether a file is one of the secrets that the service has.
func secret(s types.ServiceConfig, file string) bool {
	return strings.HasPrefix(file, secretsFolder+"/database/") && mounts(s, secretsVolume, secretsFolder, true)
}

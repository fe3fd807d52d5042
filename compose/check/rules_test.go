package check

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
)

// preparer is the one service that is root, runs once, and ends.
const preparer = "prepare"

var (
	// A version has two numbers at least: 17 may be another tomorrow.
	pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$`)
	ours   = regexp.MustCompile(`^soundcheck/[a-z-]+:(dev|local)$`)
	user   = regexp.MustCompile(`^[1-9]\d*:\d+$`)
	// An address of another, as http://NAME:PORT or NAME:PORT.
	address = regexp.MustCompile(`(?:^|//|@|,)([a-z][a-z0-9.-]*):\d+`)
	// A value that nobody may read, and a URL that holds one.
	confidential = regexp.MustCompile(`(?i)(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY)$`)
	inURL        = regexp.MustCompile(`//[^/@\s:]+:[^/@\s]+@`)
)

func value(s types.ServiceConfig, name string) string {
	if v := s.Environment[name]; v != nil {
		return *v
	}
	return ""
}

// problems returns the problems of a lab that compose-go accepts as valid.
func problems(root string, p *types.Project) []string {
	var list []string
	must := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	published, mounted, owners := map[string]string{}, map[string]bool{}, owners(p.Services[preparer])
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		s, prepares := p.Services[name], name == preparer
		image(s, must)
		hardened(s, must)
		bounded(s, must)
		for _, port := range s.Ports {
			other := published[port.Published]
			published[port.Published] = name
			must(port.HostIP == "127.0.0.1" && port.Published != "", "%s publishes %d on %q, want 127.0.0.1 and a port", name, port.Target, port.HostIP)
			must(other == "", "%s and %s both publish %s", other, name, port.Published)
		}
		must(slices.Equal(slices.Collect(maps.Keys(s.Networks)), []string{"lab"}), "%s is in the networks %v, want lab", name, s.Networks)
		must(prepares || s.DependsOn[preparer].Condition == types.ServiceConditionCompletedSuccessfully, "%s does not wait for prepare", name)
		for other, d := range s.DependsOn {
			must(other == preparer || d.Condition == types.ServiceConditionHealthy, "%s waits for %s: %s", name, other, d.Condition)
			// No service waits for the Collector.
			must(!slices.Contains([]string{"otel-collector", "jaeger", "prometheus", "loki"}, other), "%s waits for %s: no service needs a backend to start", name, other)
		}
		for _, v := range s.Volumes {
			switch _, err := os.Stat(v.Source); {
			case v.Type == types.VolumeTypeVolume:
				mounted[v.Source] = true
				must(v.Source != "", "%s mounts a volume without a name at %s", name, v.Target)
				// A new volume is root's: who writes to it must have been given it.
				must(prepares || v.ReadOnly || owners[v.Source] == s.User, "%s (%s) writes to %s, which prepare gives to %q", name, s.User, v.Source, owners[v.Source])
			default:
				rel, _ := filepath.Rel(root, v.Source)
				must(v.ReadOnly, "%s can write to %s", name, v.Source)
				must(err == nil || strings.HasPrefix(rel, ".lab/"), "%s mounts %s, which does not exist", name, v.Source)
				must(!strings.HasPrefix(rel, ".."), "%s mounts %s, which is not of the repository", name, v.Source)
			}
		}
		talks(p, s, must)
		secrets(s, must)
	}
	for name, v := range p.Volumes {
		must(mounted[name] && !bool(v.External), "nobody uses the volume %s, or it is not ours", name)
	}
	must(len(p.Networks) == 1 && !bool(p.Networks["lab"].External), "there are the networks %v, want lab, which is ours", p.Networks)
	return list
}

// owners returns the users to whom prepare gives volumes.
func owners(prepare types.ServiceConfig) map[string]string {
	owner := map[string]string{}
	for _, arg := range prepare.Command {
		path, user, _ := strings.Cut(arg, "=")
		for _, v := range prepare.Volumes {
			if v.Target == path {
				owner[v.Source] = user
			}
		}
	}
	return owner
}

type must func(ok bool, format string, args ...any)

func image(s types.ServiceConfig, must must) {
	switch {
	case ours.MatchString(s.Image): // whoever has this name in a registry, it is not us
		want := "build"
		if strings.HasSuffix(s.Image, ":local") { // is built before
			want = "never"
		}
		must(s.PullPolicy == want && (s.Build != nil || s.Name == "postgres"), "%s has the image %s, want it built, and pull_policy %s", s.Name, s.Image, want)
	default:
		must(pinned.MatchString(s.Image) && s.Build == nil, "%s has the image %q, want one with its full version that is not built", s.Name, s.Image)
	}
}

func hardened(s types.ServiceConfig, must must) {
	var add []string
	if s.Name == preparer {
		add = []string{"CHOWN"}
	}
	must(!s.Privileged && s.Pid == "" && s.Ipc == "" && s.UserNSMode == "" && s.Uts == "" && s.Cgroup != "host" && s.NetworkMode == "" &&
		len(s.Devices)+len(s.DeviceCgroupRules)+len(s.GroupAdd)+len(s.Sysctls) == 0, "%s has more rights than a container of the lab needs", s.Name)
	must(user.MatchString(s.User) || s.Name == preparer && s.User == "0:0", "%s runs as %q, want UID:GID, not of root", s.Name, s.User)
	must(s.ReadOnly, "%s can write to its root", s.Name)
	must(slices.Equal(s.CapDrop, []string{"ALL"}) && slices.Equal(s.CapAdd, add), "%s drops %v and adds %v, want ALL and %v", s.Name, s.CapDrop, s.CapAdd, add)
	must(slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}), "%s has security_opt %v, want no-new-privileges:true", s.Name, s.SecurityOpt)
}

// bounded is about what has to have an end: memory, processors, processes, logs, files, and
// the time until a container is known to be ill.
func bounded(s types.ServiceConfig, must must) {
	restart := types.RestartPolicyUnlessStopped
	if s.Name == preparer {
		restart = types.RestartPolicyNo
	}
	must(s.Restart == restart, "%s has restart %q, want %q", s.Name, s.Restart, restart)
	must(s.Logging != nil && s.Logging.Driver == "json-file" && s.Logging.Options["max-size"] != "" && s.Logging.Options["max-file"] != "",
		"%s has a log that grows without end", s.Name)
	for _, t := range s.Tmpfs { // whoever the user is, he can write to /tmp
		path, options, _ := strings.Cut(t, ":")
		must(strings.Contains(options, "size=") && (path != "/tmp" || strings.Contains(options, "mode=1777")), "%s has %s, want a size, and mode=1777 of /tmp", s.Name, t)
	}
	h := s.HealthCheck
	must(s.Name == preparer || h != nil && !h.Disable && len(h.Test) > 1 && h.Test[0] == "CMD", "%s has no health check that needs no shell: %+v", s.Name, h)
	if h != nil {
		must(h.Interval != nil && h.Timeout != nil && h.Retries != nil && h.StartPeriod != nil, "%s has a health check without interval, timeout, retries or start_period", s.Name)
		must(h.StartInterval == nil, "%s has start_interval, which engines before 25 reject", s.Name)
		must(!slices.Contains(h.Test, "/tools/labtool") || mounts(s, "tools", "/tools"), "%s does not mount tools at /tools, read-only", s.Name)
	}
	if s.Deploy == nil || s.Deploy.Resources.Limits == nil {
		must(false, "%s has no limits", s.Name)
		return
	}
	l := s.Deploy.Resources.Limits // more processors than there are is an error
	must(l.NanoCPUs > 0 && l.NanoCPUs <= 2 && l.MemoryBytes >= 32<<20 && l.Pids > 0, "%s has limits of %v processors (want 2 at most), %d bytes, %d processes", s.Name, l.NanoCPUs, l.MemoryBytes, l.Pids)
	if soft := value(s, "GOMEMLIMIT"); soft != "" {
		n, err := units.RAMInBytes(soft)
		must(err == nil && n < int64(l.MemoryBytes), "%s has GOMEMLIMIT=%s, want less than the %d bytes of its limit: %v", s.Name, soft, l.MemoryBytes, err)
	}
}

// mounts reports whether a service mounts the named volume there, read-only.
func mounts(s types.ServiceConfig, source, target string) bool {
	return slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Source == source && v.Target == target && v.ReadOnly
	})
}

// talks is about who calls whom: a service, or the host where it has one.
func talks(p *types.Project, s types.ServiceConfig, must must) {
	texts := slices.Clone([]string(s.Command))
	for k, v := range s.Environment {
		if v != nil && k != "OTEL_RESOURCE_ATTRIBUTES" {
			texts = append(texts, *v)
		}
	}
	for _, text := range texts {
		for _, m := range address.FindAllStringSubmatch(text, -1) {
			_, known := p.Services[m[1]]
			_, host := s.ExtraHosts["host.docker.internal"]
			must(known || m[1] == "localhost" || m[1] == "host.docker.internal" && host, "%s calls %s, which is not there", s.Name, m[1])
		}
	}
	want := map[string]string{}
	switch {
	case strings.HasPrefix(s.Name, "album-store"):
		want["OTEL_RESOURCE_ATTRIBUTES"] = "deployment.environment.name=compose"
		want["SOUNDCHECK_STORE_DB"] = "postgres://albums@postgres:5432/albums?sslmode=disable&passfile=/run/secrets/database/pgpass"
		must(value(s, "OTEL_EXPORTER_OTLP_ENDPOINT") != "", "%s sends its telemetry to nobody", s.Name)
		must(s.DependsOn["postgres"].Condition != "", "%s does not wait for its database", s.Name)
	case s.Name == "proxy-service":
		want["OTEL_RESOURCE_ATTRIBUTES"] = "deployment.environment.name=compose"
		must(value(s, "OTEL_EXPORTER_OTLP_ENDPOINT") != "", "%s sends its telemetry to nobody", s.Name)
	case s.Name == "postgres":
		want["POSTGRES_USER"], want["POSTGRES_DB"], want["POSTGRES_PASSWORD_FILE"] = "albums", "albums", "/run/secrets/database/postgres-password"
	case s.Name == "jaeger":
		want["LAB_ENVIRONMENT"] = "compose"
	case s.Name == "otel-collector":
		want["LAB_ENVIRONMENT"], want["COLLECTOR_LOGS_EXPORTERS"] = "compose", "[file]"
		if _, loki := p.Services["loki"]; loki {
			want["COLLECTOR_LOGS_EXPORTERS"] = "[file, otlp_http/loki]"
		}
	case s.Name == "grafana": // everybody is a viewer, and there is nobody else
		want = map[string]string{"GF_AUTH_ANONYMOUS_ENABLED": "true", "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer", "GF_AUTH_DISABLE_LOGIN_FORM": "true",
			"GF_AUTH_BASIC_ENABLED": "false", "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true", "GF_USERS_ALLOW_SIGN_UP": "false"}
	}
	for name, v := range want {
		must(value(s, name) == v, "%s has %s=%q, want %q", s.Name, name, value(s, name), v)
	}
}

// secrets is about the database's password: prepare makes it in a volume that the database
// and the stores read. Nothing else has it.
func secrets(s types.ServiceConfig, must must) {
	reads := s.Name == "postgres" || strings.HasPrefix(s.Name, "album-store")
	has := slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Source == "secrets" })
	switch {
	case s.Name == preparer:
		must(has && slices.Contains(s.Command, "secrets=/volumes/secrets"), "%s makes no secrets in their volume", s.Name)
	case reads:
		must(mounts(s, "secrets", "/run/secrets"), "%s has no secrets at /run/secrets, read-only", s.Name)
	default:
		must(!has, "%s has the secrets, and is neither database nor store", s.Name)
	}
	must(len(s.Secrets) == 0, "%s has a secret that is a file of the host", s.Name)
	for k := range s.Environment {
		v := value(s, k)
		must(!inURL.MatchString(v) && (v == "" || !confidential.MatchString(k)), "%s has a secret in its environment: %s", s.Name, k)
	}
	must(!inURL.MatchString(strings.Join(s.Command, " ")), "%s has a secret in its command", s.Name)
}

// A check that cannot fail is none: each finds what an override file breaks.
func TestProblems(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ service, change, want string }{
		{"postgres", "image: postgres:latest", "full version"},
		{"postgres", "image: postgres:17", "full version"},
		{"postgres", "build: .", "not built"},
		{"proxy-service", "pull_policy: missing", "pull_policy build"},
		{"proxy-service", "image: soundcheck/proxy-service:local", "pull_policy never"},
		{"proxy-service", "build: !reset null", "want it built"},
		{"jaeger", "privileged: true", "more rights"},
		{"jaeger", "pid: host", "more rights"},
		{"jaeger", "user: !reset null", "not of root"},
		{"jaeger", `user: "0:0"`, "not of root"},
		{"jaeger", "user: jaeger", "not of root"},
		{"loki", "read_only: false", "can write to its root"},
		{"loki", "cap_drop: !reset null", "want ALL"},
		{"loki", "cap_add: [CHOWN]", "want ALL"},
		{"prepare", "cap_add: [FOWNER]", "[CHOWN]"},
		{"grafana", "security_opt: !reset null", "want no-new"},
		{"grafana", "healthcheck: !reset null", "needs no shell"},
		{"grafana", "healthcheck: {test: curl localhost}", "needs no shell"},
		{"grafana", "healthcheck: {disable: true}", "needs no shell"},
		{"grafana", "healthcheck: {interval: !reset null}", "without interval"},
		{"grafana", "healthcheck: {start_interval: 1s}", "engines before 25"},
		{"grafana", "volumes: !override []", "does not mount tools"},
		{"prometheus", "deploy: !reset null", "no limits"},
		{"prometheus", "deploy: {resources: {limits: {pids: !reset null}}}", "0 processes"},
		{"prometheus", "deploy: {resources: {limits: {cpus: 4}}}", "2 at most"},
		{"prometheus", "environment: {GOMEMLIMIT: 1GiB}", "want less"},
		{"console", "restart: always", "unless-stopped"},
		{"prepare", "restart: unless-stopped", `want "no"`},
		{"console", "logging: {options: !reset null}", "without end"},
		{"prometheus", `ports: ["9091:9090"]`, "want 127.0.0.1"},
		{"prometheus", `ports: ["127.0.0.1::9090"]`, "and a port"},
		{"jaeger", `ports: ["127.0.0.1:9090:16686"]`, "both publish 9090"},
		{"jaeger", "networks: !override [other]\nnetworks: {other: {}}", "want lab"},
		{"jaeger", "depends_on: !reset null", "does not wait for prepare"},
		{"proxy-service", "depends_on: {album-store-1: {condition: service_started}}", "waits for album-store-1: service_started"},
		{"album-store-1", "depends_on: {otel-collector: {condition: service_healthy}}", "no service needs a backend"},
		{"proxy-service", "environment: {SOUNDCHECK_PROXY_STORE: 'http://album-store-1:9080,http://album-store-3:9080'}", "calls album-store-3"},
		{"proxy-service", "environment: {SOUNDCHECK_PROXY_STORE: 'http://host.docker.internal:9080'}", "calls host.docker.internal"},
		{"console", `command: [-jaeger, "http://yaeger:1"]`, "calls yaeger"},
		{"postgres", "environment: {POSTGRES_DB: other}", "POSTGRES_DB"},
		{"postgres", "environment: {POSTGRES_PASSWORD_FILE: /etc/password}", "POSTGRES_PASSWORD_FILE"},
		{"album-store-1", "environment: {SOUNDCHECK_STORE_DB: 'sqlite:albums.db'}", "SOUNDCHECK_STORE_DB"},
		{"album-store-1", "depends_on: !override {prepare: {condition: service_completed_successfully}}", "wait for its database"},
		{"album-store-2", "environment: {OTEL_RESOURCE_ATTRIBUTES: deployment.environment.name=native}", "OTEL_RESOURCE_ATTRIBUTES"},
		{"album-store-2", "environment: {OTEL_EXPORTER_OTLP_ENDPOINT: ''}", "telemetry to nobody"},
		{"jaeger", "environment: {LAB_ENVIRONMENT: !reset null}", "LAB_ENVIRONMENT"},
		{"otel-collector", `environment: {COLLECTOR_LOGS_EXPORTERS: "[file]"}`, "want \"[file, otlp_http/loki]\""},
		{"grafana", "environment: {GF_AUTH_ANONYMOUS_ORG_ROLE: Admin}", `want "Viewer"`},
		{"grafana", "environment: {GF_AUTH_BASIC_ENABLED: !reset null}", `want "false"`},
		{"jaeger", "volumes: [../backends/jaeger/config.yaml:/etc/jaeger/config.yaml]", "can write to"},
		{"jaeger", "volumes: [./old.yaml:/etc/old.yaml:ro]", "does not exist"},
		{"jaeger", "volumes: [/var/run/docker.sock:/docker.sock:ro]", "not of the repository"},
		{"jaeger", "volumes: [/anonymous]", "without a name"},
		{"jaeger", `tmpfs: !override ["/tmp:size=64m"]`, "mode=1777"},
		{"jaeger", `tmpfs: !override ["/tmp:mode=1777"]`, "want a size"},
		{"jaeger", "hostname: jaeger\nvolumes: {other: {}}", "uses the volume other"},
		{"jaeger", `user: "10002:10002"`, "prepare gives to"},
		{"console", "volumes: [tools:/tools]", "writes to tools"},
		{"postgres", "environment: {POSTGRES_PASSWORD: albums}", "in its environment"},
		{"album-store-1", "environment: {OTHER: 'postgres://albums:albums@postgres:5432/albums'}", "in its environment"},
		{"album-store-1", "command: [-db, 'postgres://albums:albums@postgres:5432/albums']", "in its command"},
		{"postgres", "secrets: [pgpass]\nsecrets: {pgpass: {file: ./pgpass}}", "a file of the host"},
		{"postgres", "volumes: [secrets:/run/secrets]", "read-only"},
		{"album-store-1", "volumes: !override [secrets:/secrets:ro, tools:/tools:ro]", "read-only"},
		{"proxy-service", "volumes: [secrets:/run/secrets:ro]", "neither database nor store"},
		{"prepare", "command: [prepare, /tools]", "makes no secrets"},
	} {
		service, top, _ := strings.Cut(tt.change, "\n")
		file := filepath.Join(t.TempDir(), "override.yaml")
		if err := os.WriteFile(file, []byte("services:\n  "+tt.service+":\n    "+service+"\n"+top), 0o644); err != nil {
			t.Fatal(err)
		}
		// Other checks may find it, too.
		list := problems(root(t), load(t, "full with console", file))
		if !slices.ContainsFunc(list, func(problem string) bool { return strings.Contains(problem, tt.want) }) {
			t.Errorf("%s, %s: %q was not found in %q", tt.service, tt.change, tt.want, list)
		}
	}
}

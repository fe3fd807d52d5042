// Package plan describes the components of a native lab: how each is
// built and started, its ports and its readiness probe.
package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/obtain"
)

// Component is one component of the lab.
type Component struct {
	Name    string // as in service.name, the log's file name and on the command line
	Target  build.Target
	Args    []string
	Env     []string // the complete environment
	Ports   []Port
	Address string   // URL for users and clients
	Ready   string   // URL of the readiness probe: 200 once it is ready; "": when it has run for a moment
	Needs   []string // components that must be ready before it starts
	// BuildRank is when its binary is built: lower ranks first, 0 is for the services. That
	// of rank Beside is built beside the others, at a low priority, once the services are built.
	BuildRank int
	Version   string // module whose version is the component's; empty: the main module
	Setup     func() error
	Config    []string // files and folders of the repository that it reads when it starts
	// Program, if not nil, can run in place of the binary of Target. FoundArgs, if not nil,
	// returns more arguments for it.
	Program   *obtain.Program
	FoundArgs func(obtain.Found) []string
	Timeout   time.Duration // from start to ready; 0: the default
	// Command, if not empty, is run by /bin/sh in Dir in place of Target: a program of the user. It is
	// ready as soon as Ready responds, whatever it responds but 5xx. ProcessEnv, if not nil, is more of the environment, made for each process.
	Command    string
	Dir        string // default: the state folder
	ProcessEnv func() []string
}

// CanBeBuilt reports whether the component has a Target.
func (c Component) CanBeBuilt() bool { return c.Target.Package != "" }

// Beside is the rank of the longest build.
const Beside = 9

// Lab is a set of components that run together.
type Lab struct {
	Root   string // of the repository
	State  string // folder of its data, logs and state
	Offset int    // added to every port
	DB     string // of the album store, as for its -db; empty: SQLite in the state folder
	// Stores are the URLs of external album stores. If set, the lab starts none.
	Stores []string
	// OTLPEverywhere makes the Collector listen on all addresses of this machine.
	OTLPEverywhere bool
	Grafana        bool      // run Grafana, too
	From           From      // where the backends are from
	UserServices   []Service // of the user
	// Getenv returns the variables of obtain and PATH; nil: os.Getenv.
	Getenv func(string) string
}

// Proxy returns the proxy's URL.
func (l Lab) Proxy() string { return l.url(ProxyPort) }

// ProxyName is the proxy's name.
const ProxyName = "proxy-service"

// Store returns the URL of the lab's album store.
func (l Lab) Store() string { return l.url(StorePort) }

// StoreAdmin returns the URL of its fault injection API.
func (l Lab) StoreAdmin() string { return l.url(storeAdminPort) + "/admin/faults" }

// ProxyAdmin is the proxy's: see StoreAdmin.
func (l Lab) ProxyAdmin() string { return l.url(proxyAdminPort) + "/admin/faults" }

// OTLP returns the URL of the Collector's OTLP/HTTP receiver.
func (l Lab) OTLP() string { return l.url(OTLPHTTPPort) }

// OTLPGRPC returns the URL of the Collector's OTLP/gRPC receiver.
func (l Lab) OTLPGRPC() string { return l.url(OTLPGRPCPort) }

// Console returns the URL of the lab's pages.
func (l Lab) Console() string { return l.url(ConsolePort) }

// Jaeger returns the URL of Jaeger's query API and of the trace pages: the console
// serves the pages and proxies the API.
func (l Lab) Jaeger() string { return l.url(TracesPort) }

// Prometheus returns Prometheus' URL.
func (l Lab) Prometheus() string { return l.url(PrometheusPort) }

func (l Lab) port(p int, use string) Port { return Port{p + l.Offset, use} }
func (l Lab) addr(p int) string           { return fmt.Sprintf("127.0.0.1:%d", p+l.Offset) }
func (l Lab) url(p int) string            { return "http://" + l.addr(p) }

// Logs returns the folder of component logs.
func (l Lab) Logs() string { return filepath.Join(l.State, "logs") }

func (l Lab) data(name string) string { return filepath.Join(l.State, "data", name) }

// Components returns the components in start order: a component that others send to comes
// first. They stop in reverse order.
func (l Lab) Components() []Component {
	backends := []Component{l.jaeger(), l.prometheus(), l.collector()}
	if l.Grafana {
		backends = append(backends, l.grafana())
	}
	services := []Component{l.store(), l.proxy(), l.console()}
	if len(l.Stores) > 0 {
		services = services[1:]
	}
	list, needs := append(backends, services...), collectorName
	for _, s := range l.UserServices { // one after the other: a service may call an earlier one
		list, needs = append(list, s.component(l, needs)), s.Name
	}
	return list
}

const collectorName = "otel-collector"

func (l Lab) jaeger() Component {
	return Component{
		Name:      "jaeger",
		Target:    build.Target{Name: "jaeger", Module: "backends/jaeger", Package: ".", Sources: []string{"main.go", "elasticsearch"}},
		BuildRank: Beside,
		Version:   "github.com/jaegertracing/jaeger",
		Program:   obtain.Jaeger,
		Args:      []string{"--config", filepath.Join(l.Root, "backends/jaeger/config.yaml")},
		Config:    []string{filepath.Join(l.Root, "backends/jaeger/config.yaml")},
		Env: append(environ(nil),
			"JAEGER_HTTP_ADDR="+l.addr(JaegerAPIPort),
			"JAEGER_GRPC_ADDR="+l.addr(jaegerGRPCPort),
			"JAEGER_OTLP_ADDR="+l.addr(jaegerOTLPPort),
			"JAEGER_HEALTH_ADDR="+l.addr(jaegerHealthPort),
			"JAEGER_STATE_DIR="+l.data("jaeger"),
			"PROMETHEUS_OTLP_URL="+l.Prometheus()+"/api/v1/otlp",
			// Without this, Jaeger traces queries to itself.
			"OTEL_TRACES_SAMPLER=always_off",
			"GOMEMLIMIT=384MiB", "GOGC=50",
		),
		Ports: []Port{l.port(JaegerAPIPort, "query API"), l.port(jaegerGRPCPort, "query gRPC"),
			l.port(jaegerOTLPPort, "OTLP/HTTP from the Collector"), l.port(jaegerHealthPort, "health")},
		Address: l.url(JaegerAPIPort),
		Ready:   l.url(jaegerHealthPort),
		Setup:   func() error { return os.MkdirAll(l.data("jaeger"), 0o755) },
	}
}

func (l Lab) collector() Component {
	otlp := l.addr
	if l.OTLPEverywhere {
		otlp = func(p int) string { return fmt.Sprintf("0.0.0.0:%d", p+l.Offset) }
	}
	return Component{
		Name: collectorName,
		Target: build.Target{Name: collectorName, Module: "collector/distribution",
			Package: ".", Sources: []string{"."}},
		BuildRank: 2, // before Prometheus: the first trace needs it
		Version:   "go.opentelemetry.io/collector/otelcol",
		Program:   obtain.Collector,
		Args:      []string{"--config", filepath.Join(l.Root, "collector/config.yaml")},
		Config:    []string{filepath.Join(l.Root, "collector/config.yaml")},
		Env: append(environ(nil),
			"COLLECTOR_OTLP_GRPC_ADDR="+otlp(OTLPGRPCPort),
			"COLLECTOR_OTLP_HTTP_ADDR="+otlp(OTLPHTTPPort),
			"COLLECTOR_HEALTH_ADDR="+l.addr(collectorHealthPort),
			"COLLECTOR_STATE_DIR="+l.data("otel-collector"),
			"COLLECTOR_LOGS_FILE="+filepath.Join(l.Logs(), "otlp.jsonl"),
			"JAEGER_OTLP_ADDR="+l.addr(jaegerOTLPPort),
			"PROMETHEUS_OTLP_URL="+l.Prometheus()+"/api/v1/otlp",
		),
		Ports: []Port{l.port(OTLPGRPCPort, "OTLP/gRPC"), l.port(OTLPHTTPPort, "OTLP/HTTP"),
			l.port(collectorHealthPort, "health")},
		Address: l.OTLP(),
		Ready:   l.url(collectorHealthPort),
		Setup:   func() error { return os.MkdirAll(l.data("otel-collector"), 0o755) },
	}
}

// Clear deletes the components' data, so that the lab starts empty. Logs stay.
func (l Lab) Clear() error {
	for _, name := range []string{StoreName, "jaeger", "prometheus", "otel-collector", GrafanaName, "exercise"} {
		if err := os.RemoveAll(l.data(name)); err != nil {
			return err
		}
	}
	return nil
}

func (l Lab) proxy() Component {
	if len(l.Stores) > 0 { // the proxy starts without them
		return l.service(ProxyName, "proxy", ProxyPort, proxyAdminPort, "-store", strings.Join(l.Stores, ","))
	}
	p := l.service(ProxyName, "proxy", ProxyPort, proxyAdminPort, "-store", l.Store())
	p.Needs = []string{StoreName}
	return p
}

// ginTags build Gin without MessagePack: a sixth of a binary.
const ginTags = "nomsgpack"

func (l Lab) console() Component {
	return Component{
		Name: "console",
		Target: build.Target{Name: "console", Module: ".", Package: "./console", Tags: ginTags,
			Sources: []string{"console", "dashboards", "internal", "lab/build", "lab/command", "lab/kube", "lab/obtain", "lab/plan", "lab/probe", "lab/proc", "lab/supervisor", "loadgen"}},
		BuildRank: 1, // seconds, after the services: most packages are the same
		Args: []string{"-addr", l.addr(ConsolePort), "-traces-addr", l.addr(TracesPort), "-admin-addr", l.addr(consoleAdminPort),
			"-prometheus", l.Prometheus(), "-jaeger", l.url(JaegerAPIPort), "-state", l.State},
		Env:     environ(nil),
		Ports:   []Port{l.port(ConsolePort, "pages"), l.port(TracesPort, "traces and Jaeger's API"), l.port(consoleAdminPort, "profiles")},
		Address: l.Console(),
		Ready:   l.Console() + "/readyz",
	}
}

func serviceTarget(name, dir string) build.Target {
	return build.Target{Name: name, Module: ".", Package: "./" + dir, Tags: ginTags, Sources: []string{dir, "internal"}}
}

func (l Lab) service(name, dir string, port, admin int, args ...string) Component {
	return Component{
		Name:    name,
		Target:  serviceTarget(name, dir),
		Args:    append([]string{"-addr", l.addr(port), "-admin-addr", l.addr(admin)}, args...),
		Env:     l.telemetryEnv(),
		Ports:   []Port{l.port(port, "HTTP"), l.port(admin, "faults and profiles")},
		Address: l.url(port),
		Ready:   l.url(port) + "/readyz",
	}
}

// telemetryEnv is the environment of a program whose telemetry goes to the Collector.
func (l Lab) telemetryEnv() []string {
	return append(environ(map[string]string{
		// Short intervals for interactive use; the defaults are up to a minute.
		"OTEL_METRIC_EXPORT_INTERVAL": "5000",
		"OTEL_BSP_SCHEDULE_DELAY":     "500",
		"OTEL_BLRP_SCHEDULE_DELAY":    "500",
	}),
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_EXPORTER_OTLP_ENDPOINT="+l.OTLP(),
		"OTEL_RESOURCE_ATTRIBUTES="+resourceAttributes(os.Getenv("OTEL_RESOURCE_ATTRIBUTES")),
	)
}

func resourceAttributes(own string) string {
	const env = "deployment.environment.name=native"
	if own == "" {
		return env
	}
	return own + "," + env
}

// environ returns the environment without variables that would send a component's telemetry
// elsewhere. With defaults (a service) the user's other OTEL_* settings, such as
// the sampler, stay, and win over the defaults; without (a backend, which has
// telemetry of its own) none does.
func environ(defaults map[string]string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "OTEL_") && (defaults == nil || redirects(name)) {
			continue
		}
		if private(name) {
			continue
		}
		env = append(env, kv)
	}
	for name, value := range defaults {
		if os.Getenv(name) == "" { // the last of two counts: an empty one is as good as none
			env = append(env, name+"="+value)
		}
	}
	return env
}

// private reports whether a variable may hold a password.
func private(name string) bool {
	return name == "SOUNDCHECK_LAB_DB" || name == "SOUNDCHECK_STORE_DB" || name == obtain.MirrorVariable
}

func redirects(name string) bool {
	return strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_") && !strings.Contains(name, "HISTOGRAM") ||
		strings.HasSuffix(name, "_EXPORTER") ||
		name == "OTEL_SERVICE_NAME" || name == "OTEL_SDK_DISABLED" || name == "OTEL_RESOURCE_ATTRIBUTES"
}

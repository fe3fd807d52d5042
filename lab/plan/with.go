package plan

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"soundcheck/internal/cli"
)

// Service is a program of the user that runs beside the lab: lab up -with.
type Service struct {
	Name    string        `json:"name"`
	Command string        `json:"command"`       // for /bin/sh
	Dir     string        `json:"dir"`           // its working directory
	URL     string        `json:"url,omitempty"` // responds once it is ready; "": not known
	Timeout time.Duration `json:"timeout"`       // from start to ready, in ns
}

var serviceName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// Services reads the values of -with and -with-url. Errors name the flag.
func (l Lab) Services(with, urls []string, dir string, timeout time.Duration) ([]Service, error) {
	var list []Service
	for _, value := range with {
		name, command, ok := strings.Cut(value, "=")
		command = strings.TrimSpace(command)
		switch {
		case !ok || command == "":
			return nil, fmt.Errorf("-with %q is not NAME=COMMAND, as in 'checkout=go run ./cmd/checkout'", value)
		case !serviceName.MatchString(name):
			return nil, fmt.Errorf("-with %q: the name %q must be 1 to 63 letters, digits, '.', '_' or '-', as in service.name", value, name)
		case reserved(name):
			return nil, fmt.Errorf("-with %q: the name %q is the lab's: choose another", value, name)
		case slices.ContainsFunc(list, func(s Service) bool { return strings.EqualFold(s.Name, name) }):
			return nil, fmt.Errorf("-with %q: %s is a duplicate", value, name)
		}
		list = append(list, Service{Name: name, Command: command, Dir: dir, Timeout: timeout})
	}
	for _, value := range urls {
		if err := l.setURL(list, value); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// setURL adds a value of -with-url to its service.
func (l Lab) setURL(list []Service, value string) error {
	name, address, named := strings.Cut(value, "=")
	if bare := strings.HasPrefix(value, "http://") || strings.HasPrefix(value, "https://"); bare || !named {
		if len(list) != 1 {
			return fmt.Errorf("-with-url %q: with %d -with, it must be NAME=URL, as in checkout=http://127.0.0.1:8080", value, len(list))
		}
		name, address = list[0].Name, value
	}
	i := slices.IndexFunc(list, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return fmt.Errorf("-with-url %q: no -with is named %q", value, name)
	}
	if list[i].URL != "" {
		return fmt.Errorf("-with-url %q: %s has a URL already, %s", value, name, list[i].URL)
	}
	parsed, err := cli.ParseURL(address)
	if err != nil {
		return fmt.Errorf("-with-url %q: %w", value, err)
	}
	list[i].URL = parsed
	port, ok := localPort(parsed)
	if !ok {
		return nil
	}
	l.UserServices = nil
	for _, c := range l.Components() {
		for _, p := range c.Ports {
			if p.Number == port {
				return fmt.Errorf("-with-url %q: port %d is %s's (%s)", value, port, c.Name, p.Use)
			}
		}
	}
	for j, other := range list {
		if p, ok := localPort(other.URL); ok && p == port && j != i {
			return fmt.Errorf("-with-url %q: port %d is %s's", value, port, other.Name)
		}
	}
	return nil
}

// reserved reports whether a name is a component's or a client's, or that of a log file.
func reserved(name string) bool {
	for _, c := range (Lab{Grafana: true}).Components() {
		if strings.EqualFold(c.Name, name) {
			return true
		}
	}
	lower := strings.ToLower(name)
	return slices.Contains([]string{SecondStoreName, "lab", "loadgen", "datagen"}, lower) ||
		strings.HasPrefix(lower, exerciseLoad) || strings.HasPrefix(lower, "build-")
}

// localPort returns the port of a URL of this machine.
func localPort(address string) (int, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return 0, false
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback() && !ip.IsUnspecified()) {
		return 0, false
	}
	port, err := strconv.Atoi(cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
	return port, err == nil
}

// component returns the component of a service. It starts when what it needs is ready.
func (s Service) component(l Lab, needs string) Component {
	c := Component{
		Name: s.Name, Command: s.Command, Dir: s.Dir, Env: l.serviceEnv(s.Name), Needs: []string{needs},
		Address: s.URL, Ready: s.URL, Timeout: s.Timeout,
		ProcessEnv: func() []string { // each process writes to series of its own
			attributes := os.Getenv(resourceVariable)
			for _, add := range []string{"deployment.environment.name=native", "service.instance.id=" + rand.Text()} {
				key, _, _ := strings.Cut(add, "=")
				if !hasAttribute(attributes, key) {
					attributes = strings.TrimPrefix(strings.TrimRight(attributes, ", ")+","+add, ",")
				}
			}
			return []string{resourceVariable + "=" + attributes}
		},
	}
	if port, ok := localPort(s.URL); ok {
		c.Ports = []Port{{port, "HTTP"}}
	}
	return c
}

const (
	resourceVariable = "OTEL_RESOURCE_ATTRIBUTES"
	protocolVariable = "OTEL_EXPORTER_OTLP_PROTOCOL"
)

func hasAttribute(attributes, key string) bool {
	for a := range strings.SplitSeq(attributes, ",") {
		if k, _, _ := strings.Cut(a, "="); strings.TrimSpace(k) == key {
			return true
		}
	}
	return false
}

// telemetryOf returns the variables with which the telemetry of a user's service arrives in the lab, as
// name and value.
func (l Lab) telemetryOf(service string) [][2]string {
	endpoint := l.OTLP()
	if os.Getenv(protocolVariable) == "grpc" {
		endpoint = l.url(OTLPGRPCPort)
	}
	return [][2]string{
		{"OTEL_SERVICE_NAME", service},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", endpoint},
		{protocolVariable, "http/protobuf"},
		// Some SDKs export only traces by default.
		{"OTEL_TRACES_EXPORTER", "otlp"}, {"OTEL_METRICS_EXPORTER", "otlp"}, {"OTEL_LOGS_EXPORTER", "otlp"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "5000"}, {"OTEL_BSP_SCHEDULE_DELAY", "500"}, {"OTEL_BLRP_SCHEDULE_DELAY", "500"},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"},
		// Some instrumentations write the names from before the conventions were stable by default.
		{"OTEL_SEMCONV_STABILITY_OPT_IN", "http"},
	}
}

// serviceEnv is the environment of a user's service: the user's own, and telemetryOf where that has
// nothing.
func (l Lab) serviceEnv(service string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return private(name) || strings.HasPrefix(name, "SOUNDCHECK_LAB_")
	})
	for _, v := range l.telemetryOf(service) {
		if os.Getenv(v[0]) == "" { // the last of two counts: an empty one is as good as none
			env = append(env, v[0]+"="+v[1])
		}
	}
	return env
}

// LoadCommand sends load to a program of the user.
func (l Lab) LoadCommand(url string) string {
	command := "go run ./loadgen -rate 20"
	if l.Offset != 0 {
		command = "OTEL_EXPORTER_OTLP_ENDPOINT=" + l.OTLP() + " " + command + " -jaeger " + l.Jaeger()
	}
	if l.State != filepath.Join(l.Root, ".lab") {
		command += " -keep " + filepath.Join(l.State, "runs")
	}
	return command + " " + url
}

// Kept returns the variables of the user's environment that services have in place of the lab's, and
// others that can keep telemetry from the lab. Headers can hold a password: their value is left out.
func (l Lab) Kept(service string) (list []string) {
	own := map[string]string{}
	for _, v := range l.telemetryOf(service) {
		own[v[0]] = v[1]
	}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		lab, known := own[name]
		if value == "" || value == lab || name == resourceVariable || !known && !(strings.HasPrefix(name, "OTEL_") && redirects(name)) {
			continue
		}
		if strings.HasSuffix(name, "_HEADERS") {
			kv = name
		}
		list = append(list, kv)
	}
	slices.Sort(list)
	return list
}

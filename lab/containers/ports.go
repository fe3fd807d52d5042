package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"soundcheck/lab/plan"
)

// port is one that a container publishes on 127.0.0.1.
type port struct {
	service  string
	variable string // in the Compose files
	number   int    // of a lab whose offset is 0
	use      string
}

var (
	proxy      = port{"proxy-service", "PROXY_PORT", plan.ProxyPort, "the proxy"}
	store      = port{"album-store-1", "STORE_PORT", plan.StorePort, "the album store"}
	grafana    = port{"grafana", "GRAFANA_PORT", plan.GrafanaPort, "Grafana"}
	jaeger     = port{"jaeger", "JAEGER_PORT", plan.TracesPort, "Jaeger"}
	jaegerAPI  = port{"jaeger", "JAEGER_API_PORT", plan.JaegerAPIPort, "Jaeger's API"}
	prometheus = port{"prometheus", "PROMETHEUS_PORT", plan.PrometheusPort, "Prometheus"}
	otlpGRPC   = port{"otel-collector", "OTLP_GRPC_PORT", plan.OTLPGRPCPort, "the Collector (OTLP/gRPC)"}
	otlpHTTP   = port{"otel-collector", "OTLP_HTTP_PORT", plan.OTLPHTTPPort, "the Collector (OTLP/HTTP)"}
	console    = port{"console", "CONSOLE_PORT", plan.ConsolePort, "the console"}
	traces     = port{"console", "TRACES_PORT", plan.TracesPort, "the console's traces"}
	edge       = port{"nginx", "EDGE_PORT", plan.EdgePort, "nginx"}

	ports = []port{proxy, store, grafana, jaeger, jaegerAPI, prometheus, otlpGRPC, otlpHTTP, console, traces, edge}
)

// publishes reports whether the lab has this port.
func (l *Lab) publishes(p port) bool {
	switch p {
	case store:
		return l.OnlyStore
	case jaeger:
		return !l.OnlyStore && l.Images != Local
	case jaegerAPI, traces:
		return !l.OnlyStore && l.Images == Local
	}
	return slices.Contains(l.Services(), p.service)
}

// url returns where a port is published; "" if the lab does not publish it.
func (l *Lab) url(p port) string {
	if !l.publishes(p) {
		return ""
	}
	return fmt.Sprintf("http://127.0.0.1:%d", p.number+l.Offset)
}

// Proxy returns the proxy's URL; "" if it is external. The same holds for the others.
func (l *Lab) Proxy() string { return l.url(proxy) }

// Store returns the album store's URL, with OnlyStore.
func (l *Lab) Store() string { return l.url(store) }

// Prometheus returns Prometheus' URL.
func (l *Lab) Prometheus() string { return l.url(prometheus) }

// Jaeger returns the URL of Jaeger's query API and of trace pages. With local images
// the console serves the pages and proxies the API.
func (l *Lab) Jaeger() string { return l.url(jaeger) + l.url(traces) }

// OTLP returns the URL of the Collector's OTLP/HTTP receiver.
func (l *Lab) OTLP() string { return l.url(otlpHTTP) }

// Console returns the console's URL.
func (l *Lab) Console() string { return l.url(console) }

// Grafana returns Grafana's URL.
func (l *Lab) Grafana() string { return l.url(grafana) }

// Edge returns nginx's URL.
func (l *Lab) Edge() string { return l.url(edge) }

// Addresses returns the URLs of a service.
func (l *Lab) Addresses(service string) []string {
	var list []string
	for _, p := range ports {
		if p.service == service && l.publishes(p) {
			list = append(list, l.url(p))
		}
	}
	return list
}

// OutsideStore returns the port on which Limited expects an album store on this machine.
func (l *Lab) OutsideStore() int { return store.number + l.Offset }

// outside returns the URL at which containers reach a port of this machine.
func (l *Lab) outside(p port) string {
	return fmt.Sprintf("http://host.docker.internal:%d", p.number+l.Offset)
}

// hostPort matches a published port of docker ps: 127.0.0.1:9070->9070/tcp. Docker joins
// consecutive ports: 127.0.0.1:4317-4318->4317-4318/tcp.
var hostPort = regexp.MustCompile(`:(\d+)(?:-(\d+))?->`)

// hostPorts returns this machine's ports in a port list of docker ps.
func hostPorts(text string) []int {
	var list []int
	for _, m := range hostPort.FindAllStringSubmatch(text, -1) {
		first, _ := strconv.Atoi(m[1])
		last, err := strconv.Atoi(m[2])
		if err != nil {
			last = first
		}
		for n := first; n <= last; n++ {
			list = append(list, n)
		}
	}
	return list
}

// CheckPorts returns an error that names a port in use, unless this lab uses it.
func (l *Lab) CheckPorts(ctx context.Context) error {
	if host := os.Getenv("DOCKER_HOST"); host != "" && !strings.HasPrefix(host, "unix:") {
		return nil // the ports are another machine's
	}
	list, err := l.Containers(ctx)
	if err != nil {
		return err
	}
	var own []int // also of services that the new options remove
	for _, c := range list {
		own = append(own, hostPorts(c.ports)...)
	}
	for _, p := range ports {
		n := p.number + l.Offset
		if !l.publishes(p) || slices.Contains(own, n) {
			continue
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n))
		switch {
		case err == nil:
			listener.Close()
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("port %d (%s) is in use: stop the process that listens there (native lab: go run ./lab down), or use another -port-offset", n, p.use)
		default:
			return fmt.Errorf("port %d (%s): %w", n, p.use, err)
		}
	}
	return nil
}

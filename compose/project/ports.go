package project

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
)

// port is one that a lab publishes on 127.0.0.1.
type port struct {
	service  string
	variable string // in the Compose files
	base     int    // of a lab whose offset is 0
	use      string
}

var (
	proxyPort   = port{"proxy-service", "PROXY_PORT", 9070, "the proxy"}
	storePort   = port{"album-store-1", "STORE_PORT", 9080, "the album store"}
	grafana     = port{"grafana", "GRAFANA_PORT", 3000, "Grafana"}
	jaegerPort  = port{"jaeger", "JAEGER_PORT", 16696, "Jaeger"}
	prometheus  = port{"prometheus", "PROMETHEUS_PORT", 9090, "Prometheus"}
	otlpGRPC    = port{"otel-collector", "OTLP_GRPC_PORT", 4317, "the Collector (OTLP/gRPC)"}
	otlpHTTP    = port{"otel-collector", "OTLP_HTTP_PORT", 4318, "the Collector (OTLP/HTTP)"}
	consolePort = port{"console", "CONSOLE_PORT", 3300, "the console"}
	tracesPort  = port{"console", "TRACES_PORT", 16696, "the console's traces"}
	jaegerAPI   = port{"jaeger", "JAEGER_API_PORT", 16697, "Jaeger's API"}
	edgePort    = port{"nginx", "EDGE_PORT", 8070, "nginx"}
	allPorts    = []port{proxyPort, storePort, grafana, jaegerPort, prometheus, otlpGRPC, otlpHTTP, consolePort, tracesPort, jaegerAPI, edgePort}
)

// MaxOffset keeps every port below 65536.
const MaxOffset = 40000

// published returns the ports of the lab, with its offset.
func (p *Project) published() []port {
	var list []port
	for _, port := range allPorts {
		switch port.variable {
		case storePort.variable:
			if !p.OnlyStore {
				continue
			}
		case jaegerPort.variable:
			if p.Images == Local {
				continue
			}
		case jaegerAPI.variable, tracesPort.variable:
			if p.Images != Local {
				continue
			}
		}
		if slices.Contains(p.Services(), port.service) {
			port.base += p.Offset
			list = append(list, port)
		}
	}
	return list
}

// Addresses returns where a service can be reached, in words: URLs or host:port.
func (p *Project) Addresses(service string) []string {
	var list []string
	for _, port := range p.published() {
		if port.service == service {
			list = append(list, fmt.Sprintf("http://127.0.0.1:%d", port.base))
		}
	}
	return list
}

// url returns where a port is published, or "" if it is not.
func (p *Project) url(want port) string {
	for _, port := range p.published() {
		if port.variable == want.variable {
			return fmt.Sprintf("http://127.0.0.1:%d", port.base)
		}
	}
	return ""
}

// Proxy returns the proxy's URL. What this lab does not have has none: "".
func (p *Project) Proxy() string { return p.url(proxyPort) }

// Store returns the album store's URL, of OnlyStore.
func (p *Project) Store() string { return p.url(storePort) }

// Prometheus returns Prometheus' URL.
func (p *Project) Prometheus() string { return p.url(prometheus) }

// Jaeger returns the URL of Jaeger's query API, and of a page of traces.
func (p *Project) Jaeger() string {
	if p.Images == Local { // the console has these, and passes on that
		return p.url(tracesPort)
	}
	return p.url(jaegerPort)
}

// OTLP returns the URL of the Collector's OTLP/HTTP receiver.
func (p *Project) OTLP() string { return p.url(otlpHTTP) }

// Console returns the console's URL.
func (p *Project) Console() string { return p.url(consolePort) }

// Grafana returns Grafana's URL.
func (p *Project) Grafana() string { return p.url(grafana) }

// Edge returns nginx's URL.
func (p *Project) Edge() string { return p.url(edgePort) }

// OutsideStore returns the port where Limited expects an album store on the host.
func (p *Project) OutsideStore() int { return storePort.base + p.Offset }

// hostPort is in docker ps: 127.0.0.1:9070->9070/tcp. Ports in a row that lead to ports in
// a row are one: 127.0.0.1:4317-4318->4317-4318/tcp.
var hostPort = regexp.MustCompile(`:(\d+)(?:-(\d+))?->`)

// hostPorts returns the ports of this machine that a line of docker ps has.
func hostPorts(line string) []int {
	var list []int
	for _, m := range hostPort.FindAllStringSubmatch(line, -1) {
		first, _ := strconv.Atoi(m[1])
		last, err := strconv.Atoi(m[2])
		if err != nil {
			last = first
		}
		for n := first; n <= min(last, 65535); n++ {
			list = append(list, n)
		}
	}
	return list
}

// CheckPorts returns an error that names a port which somebody else has. What this lab has
// running is no one else, also a service that it will not have any more.
func (p *Project) CheckPorts(ctx context.Context) error {
	if host := os.Getenv("DOCKER_HOST"); host != "" && !strings.HasPrefix(host, "unix:") {
		return nil // they are another machine's
	}
	own := map[int]bool{} // of a lab that is up already
	lines, err := docker(ctx, "ps", "--filter", p.filter(), "--format", "{{.Ports}}")
	if err != nil {
		return err
	}
	for _, line := range lines {
		for _, n := range hostPorts(line) {
			own[n] = true
		}
	}
	for _, port := range p.published() {
		if own[port.base] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port.base))
		if err == nil {
			l.Close()
			continue
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("port %d, of %s, is taken: stop what listens there (a native lab? go run ./lab down), or start this one with another -port-offset", port.base, port.use)
		}
		return fmt.Errorf("port %d, of %s: %w", port.base, port.use, err)
	}
	return nil
}

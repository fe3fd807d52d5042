package plan

import "fmt"

// MaxOffset is the max port offset: every port stays below 65536.
const MaxOffset = 40000

// Port is a port on 127.0.0.1 that a component listens on.
type Port struct {
	Number int
	Use    string
}

// Ports of a lab with offset 0. Components, compose.yaml and docs use these and no others.
const (
	ProxyPort           = 9070
	proxyAdminPort      = 9071
	StorePort           = 9080
	storeAdminPort      = 9081
	secondStorePort     = 9082 // in some exercises
	secondAdminPort     = 9083
	OTLPGRPCPort        = 4317
	OTLPHTTPPort        = 4318
	collectorHealthPort = 13133
	PrometheusPort      = 9090
	ConsolePort         = 3300
	consoleAdminPort    = 3302
	TracesPort          = 16696 // trace pages: Jaeger's or the console's
	JaegerAPIPort       = 16697 // behind the console
	jaegerGRPCPort      = 16695
	jaegerOTLPPort      = 14317
	jaegerHealthPort    = 14133
	GrafanaPort         = 3000 // in containers, and with -grafana
	EdgePort            = 8070 // in containers only: nginx
)

// FreeOffset returns the next port offset at which every port of the lab is free. Ports of the user's services do not move.
func (l Lab) FreeOffset(free func(port int) bool) (offset int, ok bool) {
	for step := 100; step <= MaxOffset; step += 100 {
		moved := l
		moved.Offset = (l.Offset + step) % (MaxOffset + 100)
		if moved.Offset <= MaxOffset && moved.PortsWhere(func(port int) bool { return !free(port) }) == nil {
			return moved.Offset, true
		}
	}
	return 0, false
}

// PortsWhere returns the ports of the lab that are so, with their components. Ports of the user's services are not among them.
func (l Lab) PortsWhere(so func(port int) bool) (list []string) {
	for _, c := range l.Components() {
		for _, p := range c.Ports {
			if c.Command == "" && so(p.Number) {
				list = append(list, fmt.Sprintf("%d (%s)", p.Number, c.Name))
			}
		}
	}
	return list
}

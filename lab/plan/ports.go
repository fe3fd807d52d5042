package plan

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

package debugging

import (
	"net"
	"testing"
	"time"
)

// fault says how a test injects the fault of an entry, and how it sees that the fix works.
type fault struct {
	inject func(t *testing.T, l *lab)
	// well is checked after the fix, besides that all pods are ready. Default: the commands no longer show the symptom.
	well func(t *testing.T, l *lab)
	// reset reinstalls the first values: the fix leaves what the next entry cannot use.
	reset bool
}

// values changes values of the release.
func values(set ...string) func(*testing.T, *lab) {
	return func(t *testing.T, l *lab) {
		args := []string{"helm", "upgrade", "soundcheck", l.chart, "-n", l.namespace, "--reset-then-reuse-values"}
		for _, s := range set {
			args = append(args, "--set", s)
		}
		l.must(t, args...)
	}
}

// faults by the titles of their entries.
var faults = map[string]fault{
	"Pod stays Pending":               {inject: values("store.resources.requests.memory=64Gi", "store.resources.limits.memory=64Gi")},
	"Image not found":                 {inject: values("store.image.tag=v999")},
	"CrashLoop after a migration":     {inject: values("database.kind=sqlite", "migrations.mode=off"), reset: true},
	"OOMKilled":                       {inject: values("store.resources.requests.memory=10Mi", "store.resources.limits.memory=10Mi")},
	"Probe fails":                     {inject: values("store.args={-addr=:9999}")},
	"No telemetry":                    {inject: values("telemetry.endpoint=http://otel-collector.soundcheck.svc.cluster.local:4318")},
	"http2: frame too large":          {inject: values("store.env.OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), well: logsWell},
	"Exemplar without trace":          {inject: loseTraces, well: tracesStay, reset: true},
	"Collector rejects data":          {inject: values("collector.config.processors.memory_limiter.limit_mib=8", "collector.config.processors.memory_limiter.spike_limit_mib=2")},
	"Dashboards not found by Grafana": {inject: values("dashboards.label=dashboard")},
	"Port taken": {inject: takePorts, reset: true, well: func(t *testing.T, l *lab) {
		if port := l.must(t, "kubectl", "-n", l.namespace, "get", "service", "soundcheck-proxy-service", "-o", "jsonpath={.spec.ports[0].nodePort}"); port != "30071" {
			t.Errorf("node port %s, want 30071", port)
		}
	}},
	"Upgrade conflict after kubectl scale": {reset: true, inject: func(t *testing.T, l *lab) {
		l.must(t, "kubectl", "-n", l.namespace, "scale", "deployment/soundcheck-proxy-service", "--replicas=2")
	}},
}

// logsWell waits for an export after the fix: a forwarded port still fails over the protocol that does not fit.
func logsWell(t *testing.T, l *lab) {
	l.requests(t)
	l.eventually(t, "a trace of the store", func() bool { return l.trace() != "" })
}

// loseTraces replaces Jaeger's pod, whose storage is scratch space, after exemplars arrived.
func loseTraces(t *testing.T, l *lab) {
	l.requests(t)
	l.eventually(t, "an exemplar whose trace is in Jaeger", func() bool { return l.trace() != "" })
	l.must(t, "kubectl", "-n", l.namespace, "delete", "pod", "soundcheck-jaeger-0")
	l.ready(t)
}

// tracesStay replaces Jaeger's pod once more.
func tracesStay(t *testing.T, l *lab) {
	l.requests(t)
	id := ""
	l.eventually(t, "an exemplar whose trace is in Jaeger", func() bool { id = l.trace(); return id != "" })
	l.must(t, "kubectl", "-n", l.namespace, "delete", "pod", "soundcheck-jaeger-0")
	l.ready(t)
	l.eventually(t, "trace "+id+" after Jaeger's restart", func() bool { return l.stored(id) })
}

// takePorts listens on the forwarded port and creates a Service with the node port.
func takePorts(t *testing.T, l *lab) {
	listener, err := net.Listen("tcp", "127.0.0.1:9070")
	if err == nil { // otherwise it is taken already
		t.Cleanup(func() { _ = listener.Close() })
	}
	l.must(t, "kubectl", "-n", l.namespace, "create", "service", "nodeport", "other", "--tcp=80:80", "--node-port=30070")
}

// poll is the interval between two attempts.
const poll = 2 * time.Second

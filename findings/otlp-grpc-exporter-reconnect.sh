#!/bin/sh
# OpenTelemetry Collector v0.161.0, exporter otlp_grpc: after a server was down for a while, retry_on_failure does not
# decide when data are delivered. A server that is up again gets nothing for up to two minutes, while the exporter
# retries, and fails, every second. The exporter otlp_http with the same settings delivers within a second.
#
# Expected: max_interval "Is the upper bound on backoff", after which a retry reaches the server:
#   https://github.com/open-telemetry/opentelemetry-collector/blob/v0.161.0/exporter/exporterhelper/README.md
# Seen: a retry is a call on a gRPC channel, which fails at once until the channel has connected again. The channel waits
#   between attempts to connect by a backoff of its own: 1 s, then 1.6 times as long each time, at most 120 s. No setting of the
#   exporter changes it: https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md
# It needs Go and a module proxy. It takes half a minute, and a build of minutes in the first run.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
)

const (
	attempts = 6 // to connect while the server is down: the channel then waits for about ten seconds
	quick    = 3 * time.Second
	longest  = 2 * time.Minute
)

type receiver struct {
	ptraceotlp.UnimplementedGRPCServer
	got chan time.Time
}

func (r *receiver) Export(context.Context, ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	r.got <- time.Now()
	return ptraceotlp.NewExportResponse(), nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// address returns a free one: nobody listens there yet.
func address() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer l.Close()
	return l.Addr().String()
}

// send gives an exporter one span. Its queue retries until a server takes it.
func send(f exporter.Factory, endpoint string) {
	cfg := f.CreateDefaultConfig()
	must(confmap.NewFromStringMap(map[string]any{
		"endpoint":         endpoint,
		"tls":              map[string]any{"insecure": true},
		"timeout":          "1s",
		"retry_on_failure": map[string]any{"initial_interval": "500ms", "max_interval": "1s", "max_elapsed_time": "0s"},
	}).Unmarshal(cfg))
	e, err := f.CreateTraces(context.Background(), exportertest.NewNopSettings(f.Type()), cfg)
	must(err)
	must(e.Start(context.Background(), componenttest.NewNopHost()))
	traces := ptrace.NewTraces()
	traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName("probe")
	must(e.ConsumeTraces(context.Background(), traces))
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	httpAddr := address()
	send(otlpexporter.NewFactory(), l.Addr().String())
	send(otlphttpexporter.NewFactory(), "http://"+httpAddr)
	for range attempts { // the server is down
		c, err := l.Accept()
		must(err)
		must(c.Close())
	}

	overGRPC, overHTTP := make(chan time.Time, 10), make(chan time.Time, 10)
	s := grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(s, &receiver{got: overGRPC})
	go s.Serve(l)
	l2, err := net.Listen("tcp", httpAddr)
	must(err)
	go http.Serve(l2, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { overHTTP <- time.Now(); w.WriteHeader(200) }))
	up := time.Now()
	for _, c := range []struct {
		name string
		got  chan time.Time
	}{{"otlp_http", overHTTP}, {"otlp_grpc", overGRPC}} {
		select {
		case t := <-c.got:
			fmt.Printf("%s: delivered within %v of the server's start: %v\n", c.name, quick, t.Sub(up) <= quick)
		case <-time.After(longest):
			fmt.Printf("%s: not delivered\n", c.name)
		}
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get go.opentelemetry.io/collector/exporter/otlpexporter@v0.161.0 go.opentelemetry.io/collector/exporter/otlphttpexporter@v0.161.0 \
	go.opentelemetry.io/collector/exporter/exportertest@v0.161.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
got=$(go run .)
want='otlp_http: delivered within 3s of the server'"'"'s start: true
otlp_grpc: delivered within 3s of the server'"'"'s start: false'
echo "$(go list -m go.opentelemetry.io/collector/exporter/otlpexporter), $(go list -m google.golang.org/grpc)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

#!/bin/sh
# VictoriaLogs v1.52.1: a log attribute named trace_id replaces the record's trace ID, or is lost itself,
# depending on the order of the fields in the protobuf message.
#
# Expected: both are stored, and the record is found by its trace ID. TraceId is a field of the record,
#   Attributes is another: https://opentelemetry.io/docs/specs/otel/logs/data-model/#log-and-event-record-definition
#   The order of fields has no meaning: "parsers must be able to accept them in any order",
#   https://protobuf.dev/programming-guides/encoding/#order
# Seen: decodeLogRecord and decodeKeyValue add both as trace_id, in their order on the wire, and the last one stays:
#   https://github.com/VictoriaMetrics/VictoriaLogs/blob/v1.52.1/app/vlinsert/opentelemetry/pb.go
#   protobuf-go (the OpenTelemetry SDK for Go) writes the attributes first, the Collector's pdata last.
#   An attribute named _msg replaces the body in the same way. Reported as
#   https://github.com/VictoriaMetrics/VictoriaLogs/issues/1371
# It needs Go and a module proxy, and builds VictoriaLogs: a minute of CPU time.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"
)

// records returns one record with an attribute trace_id, and one without.
func records(service string) plog.Logs {
	all := plog.NewLogs()
	resource := all.ResourceLogs().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", service)
	scope := resource.ScopeLogs().AppendEmpty()
	for _, body := range []string{"with attribute", "without"} {
		r := scope.LogRecords().AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		r.Body().SetStr(body)
		r.SetTraceID([16]byte{1: 0xab, 15: 0xcd})
		if body == "with attribute" {
			r.Attributes().PutStr("trace_id", "order-17")
		}
	}
	return all
}

func post(address, contentType string, body io.Reader) string {
	resp, err := http.Post(address, contentType, body)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		panic(fmt.Sprint(resp.Status, string(b), err))
	}
	return strings.TrimSpace(string(b))
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	address := l.Addr().String()
	l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, "./victoria-logs", "-storageDataPath=data", "-httpListenAddr="+address)
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	for ctx.Err() == nil {
		if resp, err := http.Get("http://" + address + "/health"); err == nil {
			resp.Body.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	query := func(q string) string {
		return post("http://"+address+"/select/logsql/query", "application/x-www-form-urlencoded",
			strings.NewReader(url.Values{"query": {"_time:1h " + q}}.Encode()))
	}
	for _, encoder := range []string{"protobuf-go", "Collector pdata"} {
		body, err := plogotlp.NewExportRequestFromLogs(records(encoder)).MarshalProto()
		if err != nil {
			panic(err)
		}
		if encoder == "protobuf-go" {
			var m logs.ExportLogsServiceRequest
			if err := proto.Unmarshal(body, &m); err != nil {
				panic(err)
			}
			if body, err = proto.Marshal(&m); err != nil {
				panic(err)
			}
		}
		post("http://"+address+"/insert/opentelemetry/v1/logs", "application/x-protobuf", bytes.NewReader(body))
		of := fmt.Sprintf("service.name:=%q", encoder)
		for ctx.Err() == nil && query(of+" | stats count() n") != `{"n":"2"}` {
			time.Sleep(50 * time.Millisecond)
		}
		fmt.Printf("%s, records by trace ID:\n", encoder)
		fmt.Println(query(of + ` trace_id:=00ab00000000000000000000000000cd | sort by (_msg) | fields _msg`))
		fmt.Println("records by attribute:", query(of+` trace_id:=order-17 | fields _msg`))
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0
go mod init finding >/dev/null 2>&1
go get github.com/VictoriaMetrics/VictoriaLogs@v1.52.1 go.opentelemetry.io/collector/pdata@v1.46.0 \
	go.opentelemetry.io/proto/otlp@v1.9.0 >/dev/null 2>&1
go build -o victoria-logs github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs >/dev/null 2>&1
got=$(go run .)
want='protobuf-go, records by trace ID:
{"_msg":"with attribute"}
{"_msg":"without"}
records by attribute: 
Collector pdata, records by trace ID:
{"_msg":"without"}
records by attribute: {"_msg":"with attribute"}'
echo "$(go list -m github.com/VictoriaMetrics/VictoriaLogs)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

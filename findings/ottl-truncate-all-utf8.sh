#!/bin/sh
# Collector OTTL v0.140.1: truncate_all cuts inside a UTF-8 character, so that the attribute is no longer
# valid UTF-8.
#
# Expected: at most 3 characters, and all of them whole. "The map will be mutated such that the number of
#   characters in all string values is less than or equal to the limit":
#   https://github.com/open-telemetry/opentelemetry-collector-contrib/blob/v0.140.1/pkg/ottl/ottlfuncs/README.md#truncate_all
#   OTLP's string_value is a protobuf string, which is UTF-8: https://protobuf.dev/programming-guides/proto3/#scalar
# Seen: the first 3 bytes, func_truncate_all.go next to that README. A receiver that checks its protobuf
#   strings rejects the request with all its records.
#   Reported as https://github.com/open-telemetry/opentelemetry-collector-contrib/issues/36017, and
#   changed after v0.140.1: https://github.com/open-telemetry/opentelemetry-collector-contrib/pull/45055
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
)

func main() {
	parser, err := ottllog.NewParser(ottlfuncs.StandardFuncs[ottllog.TransformContext](),
		component.TelemetrySettings{Logger: zap.NewNop()}, ottllog.EnablePathContextNames())
	if err != nil {
		panic(err)
	}
	const text = `truncate_all(log.attributes, 3)`
	statement, err := parser.ParseStatement(text)
	if err != nil {
		panic(err)
	}
	fmt.Println(text)
	for _, value := range []string{"Gruesse", "Grüße", "日本語"} {
		resource := plog.NewLogs().ResourceLogs().AppendEmpty()
		scope := resource.ScopeLogs().AppendEmpty()
		record := scope.LogRecords().AppendEmpty()
		record.Attributes().PutStr("text", value)
		tCtx := ottllog.NewTransformContext(record, scope.Scope(), resource.Resource(), scope, resource)
		if _, _, err := statement.Execute(context.Background(), tCtx); err != nil {
			panic(err)
		}
		got, _ := record.Attributes().Get("text")
		fmt.Printf("%s: %q, valid UTF-8: %t\n", value, got.Str(), utf8.ValidString(got.Str()))
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl@v0.140.1 >/dev/null 2>&1
got=$(go run .)
want='truncate_all(log.attributes, 3)
Gruesse: "Gru", valid UTF-8: true
Grüße: "Gr\xc3", valid UTF-8: false
日本語: "日", valid UTF-8: true'
echo "$(go list -m github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

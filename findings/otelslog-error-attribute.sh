#!/bin/sh
# otelslog v0.21.0: an error loses its attribute key, and of two errors in a record only the last is exported.
#
# Expected: attributes with the keys the program gave, as slog's own handlers write them. "Attr are
#   transformed and set as the Attributes" in the package's documentation:
#   https://pkg.go.dev/go.opentelemetry.io/contrib/bridges/otelslog@v0.21.0
# Seen: AddAttr keeps one error without its key, which becomes exception.message and exception.type:
#   https://github.com/open-telemetry/opentelemetry-go-contrib/blob/bridges/otelslog/v0.21.0/bridges/otelslog/handler.go
#   Within a group the key stays.
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/log"
)

type printer struct{}

func (printer) Export(_ context.Context, records []log.Record) error {
	for _, r := range records {
		fmt.Println(r.Body().AsString())
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			fmt.Println(" ", kv.Key, "=", kv.Value.String())
			return true
		})
	}
	return nil
}

func (printer) Shutdown(context.Context) error   { return nil }
func (printer) ForceFlush(context.Context) error { return nil }

func main() {
	provider := log.NewLoggerProvider(log.WithProcessor(log.NewSimpleProcessor(printer{})))
	logger := slog.New(otelslog.NewHandler("finding", otelslog.WithLoggerProvider(provider)))
	write, remove := errors.New("disk full"), errors.New("file is open")
	logger.Error("one error", "file", "a.txt", "write_error", write)
	logger.Error("two errors", "file", "a.txt", "write_error", write, "remove_error", remove)
	logger.Error("in a group", slog.Group("cause", "write_error", write, "remove_error", remove))
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get go.opentelemetry.io/contrib/bridges/otelslog@v0.21.0 go.opentelemetry.io/otel/sdk/log@v1.47.0 >/dev/null 2>&1
got=$(go run .)
want='one error
  file = a.txt
  exception.message = disk full
  exception.type = *errors.errorString
two errors
  file = a.txt
  exception.message = file is open
  exception.type = *errors.errorString
in a group
  cause = {"remove_error":"file is open","write_error":"disk full"}'
echo "$(go list -m go.opentelemetry.io/contrib/bridges/otelslog)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

#!/bin/sh
# failsafe-go v0.9.8: with CancelIf, a hedge policy returns a quick failure only after the hedge delay, although
# no attempt is in flight, and sends a hedge by then.
#
# Expected: the failure at once. A hedge is performed "after the delay is elapsed, if the original execution
#   is not done yet" (NewBuilderWithDelay), and CancelIf is about "outstanding hedges", of which there are none:
#   https://pkg.go.dev/github.com/failsafe-go/failsafe-go@v0.9.8/hedgepolicy
# Seen: awaitResult waits for the timer, also when every attempt started has completed:
#   https://github.com/failsafe-go/failsafe-go/blob/v0.9.8/hedgepolicy/hedgeexecutor.go
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
)

const delay = time.Second

func run(title string, policy hedgepolicy.HedgePolicy[string]) {
	var attempts atomic.Int32
	start := time.Now()
	_, err := failsafe.With(policy).Get(func() (string, error) {
		attempts.Add(1)
		return "", errors.New("connection refused")
	})
	fmt.Printf("%s: %v, attempts %d, after the hedge delay: %t\n", title, err, attempts.Load(), time.Since(start) >= delay)
}

func main() {
	run("default", hedgepolicy.NewBuilderWithDelay[string](delay).Build())
	run("CancelIf no error", hedgepolicy.NewBuilderWithDelay[string](delay).
		CancelIf(func(_ string, err error) bool { return err == nil }).Build())
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get github.com/failsafe-go/failsafe-go@v0.9.8 >/dev/null 2>&1
got=$(go run .)
want='default: connection refused, attempts 1, after the hedge delay: false
CancelIf no error: connection refused, attempts 2, after the hedge delay: true'
echo "$(go list -m github.com/failsafe-go/failsafe-go)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

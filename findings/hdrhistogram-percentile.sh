#!/bin/sh
# HdrHistogram-go v1.4.0: ValueAtPercentile rounds the rank, so that p99 of 60 values is the last but one.
#
# Expected: the smallest value that 99% of all values do not exceed, rank ceil(0.99 * 60) = 60. The
#   original, for Java (AbstractHistogram.getValueAtPercentile), takes Math.ceil:
#   https://github.com/HdrHistogram/HdrHistogram/blob/master/src/main/java/org/HdrHistogram/AbstractHistogram.java
# Seen: rank int(0.99*60 + 0.5) = 59, percentileRank in hdr.go:
#   https://github.com/HdrHistogram/hdrhistogram-go/blob/v1.4.0/hdr.go
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func main() {
	for _, n := range []int64{50, 51, 60, 99, 100, 149} {
		h := hdrhistogram.New(1, 1000, 3)
		for v := int64(1); v <= n; v++ {
			if err := h.RecordValue(v); err != nil {
				panic(err)
			}
		}
		fmt.Printf("p99 of 1 to %d: %d\n", n, h.ValueAtPercentile(99))
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get github.com/HdrHistogram/hdrhistogram-go@v1.4.0 >/dev/null 2>&1
got=$(go run .)
# Ranks rounded up: 50, 51, 60, 99, 99 and 148.
want='p99 of 1 to 50: 50
p99 of 1 to 51: 50
p99 of 1 to 60: 59
p99 of 1 to 99: 98
p99 of 1 to 100: 99
p99 of 1 to 149: 148'
echo "$(go list -m github.com/HdrHistogram/hdrhistogram-go)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

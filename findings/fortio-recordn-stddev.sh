#!/bin/sh
# Fortio v1.75.3: RecordN of stats.Counter and stats.Histogram makes the standard deviation of equal values more than 0.
#
# Expected: the same as n calls of Record, a standard deviation of 0. "RecordN efficiently records the same value N times":
#   https://pkg.go.dev/fortio.org/fortio@v1.75.3/stats#Counter.RecordN
# Seen: it adds (n*v)^2 to the sum of squares, not n*v^2; the sum is right, stats/stats.go:
#   https://github.com/fortio/fortio/blob/v1.75.3/stats/stats.go
#   Fortio's own runs are not affected: they call Record, with n = 1.
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"fmt"

	"fortio.org/fortio/stats"
)

func main() {
	for _, n := range []int{1, 2, 16} {
		var once, each stats.Counter
		once.RecordN(5, n)
		for range n {
			each.Record(5)
		}
		fmt.Printf("%d times 5: RecordN average %g, stddev %.3f; Record average %g, stddev %.3f\n", n, once.Avg(), once.StdDev(), each.Avg(), each.StdDev())
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get fortio.org/fortio/stats@v1.75.3 >/dev/null 2>&1
got=$(go run .)
# StdDev of n equal values v is v * sqrt(n - 1).
want='1 times 5: RecordN average 5, stddev 0.000; Record average 5, stddev 0.000
2 times 5: RecordN average 5, stddev 5.000; Record average 5, stddev 0.000
16 times 5: RecordN average 5, stddev 19.365; Record average 5, stddev 0.000'
echo "$(go list -m fortio.org/fortio)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

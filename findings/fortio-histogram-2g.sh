#!/bin/sh
# Fortio v1.75.3: a bucket of stats.Histogram counts in 32 bits. After 2^31 values it is negative, and p50 is the maximum.
#
# Expected: 2^31 values of 1 ms and 10 of 500 ms have p50 = 1 ms. Count of a HistogramData and of each Bucket is an int64:
#   https://pkg.go.dev/fortio.org/fortio@v1.75.3/stats#Bucket
#   At 1,000,000 req/s into one bucket, 2^31 values take 36 minutes.
# Seen: Histogram.Hdata is a []int32, and record adds int32(count). The total is right, in an int64, stats/stats.go:
#   https://github.com/fortio/fortio/blob/v1.75.3/stats/stats.go
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
	for _, n := range []int{1<<31 - 1, 1 << 31} {
		h := stats.NewHistogram(0, 0.001)
		h.RecordN(0.001, n-1)
		h.Record(0.001)
		h.RecordN(0.5, 10)
		e := h.Export().CalcPercentiles([]float64{50})
		fmt.Printf("%d values of 1 ms, 10 of 500 ms: count %d, count of 1 ms %d, p50 %g s\n", n, e.Count, e.Data[0].Count, e.Percentiles[0].Value)
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get fortio.org/fortio/stats@v1.75.3 >/dev/null 2>&1
got=$(go run .)
want='2147483647 values of 1 ms, 10 of 500 ms: count 2147483657, count of 1 ms 2147483647, p50 0.001 s
2147483648 values of 1 ms, 10 of 500 ms: count 2147483658, count of 1 ms -2147483648, p50 0.5 s'
echo "$(go list -m fortio.org/fortio)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

#!/bin/sh
# Compares the throughput and the CPU time of loadgen with those of the vegeta CLI, bombardier (fasthttp) and wrk, if
# that is installed, with 32 concurrent requests against a bare Gin handler; and measures loadgen's send delay at
# 5,000 and 20,000 req/s. loadgen counts classes and records histograms in each case. With OTEL_SDK_DISABLED=true it
# sends trace context and exports nothing. Runs alternate because machines are noisy: compare the ratios.
#   make bench-loadgen ROUNDS=6 SECONDS_EACH=5
set -eu
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-6} seconds=${SECONDS_EACH:-5}
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null; rm -rf "$dir"' EXIT
go build -o "$dir/" ./loadgen ./store/testdata/bare ./store/testdata/discard
GOBIN="$dir" go install github.com/tsenart/vegeta/v12@v12.13.0
GOBIN="$dir" go install github.com/codesenberg/bombardier@v1.2.6
"$dir/discard" 127.0.0.1:24980 & pids="$pids $!"
"$dir/bare" 127.0.0.1:24981 & pids="$pids $!"
url=http://127.0.0.1:24981/albums/1
echo "GET $url" >"$dir/targets"
until curl -sf $url >/dev/null; do sleep 0.1; done
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:24980

# load prints loadgen's report. Its verdict is in the report too.
load() { OTEL_SDK_DISABLED=$1 "$dir/loadgen" -targets "$dir/targets" -duration "${seconds}s" -explain=false -keep '' -format json $2 2>"$dir/log" || grep "^loadgen" "$dir/log" >&2; }
# cpu runs a command and prints its CPU time in seconds.
cpu() { bash -c 'TIMEFORMAT="%U %S"; time "$@" >"$0" 2>/dev/null' "$@" 2>&1 | awk '{ print $1 + $2 }'; }
vegeta() {
	echo "vegeta cpu $(cpu "$dir/out" "$dir/vegeta" attack -rate 0 -max-workers 32 -duration "${seconds}s" -targets "$dir/targets")"
	"$dir/vegeta" report <"$dir/out" | awk '/^Requests / { gsub(",", ""); print "vegeta requests", $5 }'
}
bombardier() {
	echo "bombardier cpu $(cpu "$dir/out" "$dir/bombardier" -c 32 -d "${seconds}s" -o json -p r $url)"
	echo "bombardier requests $(sed 's/.*"req2xx":\([0-9]*\).*/\1/' "$dir/out")"
}
# loadgen measures a run: its name, OTEL_SDK_DISABLED.
loadgen() {
	export OTEL_SDK_DISABLED=$2
	echo "$1 cpu $(cpu "$dir/out" "$dir/loadgen" -targets "$dir/targets" -duration "${seconds}s" -explain=false -keep '' -format json -rate 0 -workers 32)"
	sed -n 's/^  "sent": \(.*\),/'"$1"' requests \1/p' "$dir/out"
}
wrks() {
	! command -v wrk >/dev/null || wrk -t 1 -c 32 -d "${seconds}s" $url | awk '/ requests in / { print "wrk requests", $1 }'
}
for i in $(seq "$rounds"); do
	vegeta; loadgen disabled true; bombardier; loadgen all ''; wrks
done | awk -v seconds="$seconds" '
$2 == "cpu" { cpu[$1] = $3; next }
{ n[$1]++; rate[$1, n[$1]] = $3 / seconds; each[$1, n[$1]] = 1e6 * cpu[$1] / $3 }
function median(list, name, i, j, t, v) {
	for (i = 1; i <= n[name]; i++) v[i] = list[name, i]
	for (i = 2; i <= n[name]; i++) for (j = i; j > 1 && v[j-1] > v[j]; j--) { t = v[j]; v[j] = v[j-1]; v[j-1] = t }
	return n[name] % 2 ? v[(n[name]+1)/2] : (v[n[name]/2] + v[n[name]/2+1]) / 2
}
function line(text, name) {
	if (!n[name]) return
	printf "%-24s %7.0f req/s  %.2f of vegeta", text, median(rate, name), median(rate, name) / median(rate, "vegeta")
	if (name != "wrk") printf "  %.2f of bombardier  %5.1f us of CPU a request, %.2f of vegeta", median(rate, name) / median(rate, "bombardier"), median(each, name), median(each, name) / median(each, "vegeta")
	print ""
}
END {
	line("vegeta CLI", "vegeta"); line("bombardier", "bombardier"); line("wrk, one thread", "wrk")
	line("loadgen, SDK disabled", "disabled"); line("loadgen, all telemetry", "all")
}'
for rate in 5000 20000; do
	for i in $(seq "$rounds"); do
		load true "-rate $rate" | awk '/^  "send_delay"/ { delay = 1 } /^  }/ { delay = 0 } delay && /"p50"|"p99"/ { gsub(/[",:]/, ""); print $1, $2 }'
	done | awk -v rate="$rate" '
	{ n[$1]++; v[$1, n[$1]] = $2 }
	function median(p, i, j, t) {
		for (i = 2; i <= n[p]; i++) for (j = i; j > 1 && v[p, j-1] > v[p, j]; j--) { t = v[p, j]; v[p, j] = v[p, j-1]; v[p, j-1] = t }
		return (v[p, int((n[p]+1)/2)] + v[p, int(n[p]/2)+1]) / 2
	}
	END { for (p in n) printf "send delay at %d req/s, %s  %.3f ms\n", rate, p, 1000 * median(p) }' | sort
done

#!/bin/sh
# Compares the throughput of the vegeta CLI and loadgen with 32 concurrent requests against a
# bare Gin handler, and measures loadgen's send delay at 5,000 req/s. loadgen counts classes
# and records histograms in each case. With OTEL_SDK_DISABLED=true it sends trace context and
# exports nothing. Runs alternate because machines are noisy: compare the ratios.
#   make bench-loadgen ROUNDS=5 SECONDS_EACH=5
set -eu
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-5}
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null; rm -rf "$dir"' EXIT
go build -o "$dir/" ./loadgen ./store/testdata/bare ./store/testdata/discard
GOBIN="$dir" go install github.com/tsenart/vegeta/v12@v12.13.0
"$dir/discard" 127.0.0.1:24980 & pids="$pids $!"
"$dir/bare" 127.0.0.1:24981 & pids="$pids $!"
echo "GET http://127.0.0.1:24981/albums/1" >"$dir/targets"
until curl -sf http://127.0.0.1:24981/albums/1 >/dev/null; do sleep 0.1; done
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:24980

# load prints loadgen's report. Its verdict is in the report too.
load() { OTEL_SDK_DISABLED=$1 "$dir/loadgen" -targets "$dir/targets" -duration "${seconds}s" -explain=false -keep '' -format json $2 2>"$dir/log" || grep "^loadgen" "$dir/log" >&2; }
# peak prints the goodput.
peak() { load "$1" "-rate 0 -workers 32" | sed -n 's/^  "goodput": \(.*\),/\1/p'; }

for i in $(seq "$rounds"); do
	echo "vegeta $("$dir/vegeta" attack -rate 0 -max-workers 32 -duration "${seconds}s" -targets "$dir/targets" | "$dir/vegeta" report | sed -n 's/^Requests .*, //p')"
	echo "disabled $(peak true)"
	echo "all $(peak '')"
done | awk '
{ sum[$1] += $2; n[$1]++ }
$1 == "vegeta" { round = $2 }
$1 != "vegeta" && (!($1 in least) || $2 / round < least[$1]) { least[$1] = $2 / round }
function line(name, key) { printf "%-23s %6.0f req/s  %.2f of the vegeta CLI, %.2f in the worst round\n", name, sum[key]/n[key], sum[key]/sum["vegeta"], least[key] }
END {
	printf "vegeta CLI              %6.0f req/s\n", sum["vegeta"]/n["vegeta"]
	line("loadgen, SDK disabled", "disabled")
	line("loadgen, all telemetry", "all")
}'
for i in $(seq "$rounds"); do
	load true "-rate 5000" | awk '/^  "send_delay"/ { delay = 1 } /^  }/ { delay = 0 } delay && /"p50"|"p99"/ { gsub(/[",:]/, ""); print $1, $2 }'
done | awk '
{ sum[$1] += $2; n[$1]++; if (!($1 in least) || $2 < least[$1]) least[$1] = $2; if ($2 > most[$1]) most[$1] = $2 }
END { for (p in sum) printf "send delay at 5,000 req/s, %s  %.3f ms, from %.3f to %.3f\n", p, 1000*sum[p]/n[p], 1000*least[p], 1000*most[p] }' | sort

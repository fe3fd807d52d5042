#!/bin/sh
# Compares GET /albums/{id} of the album store in memory, with all telemetry and with
# OTEL_SDK_DISABLED=true, with a bare Gin handler that answers the same JSON. It needs
# wrk; the runs take turns, because machines are noisy. The same store without overload
# control and faults shows what these cost while they refuse nothing.
#   make bench-get ROUNDS=5 SECONDS_EACH=4
set -eu
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-4}
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null; rm -rf "$dir"' EXIT
go build -o "$dir/" ./store ./store/testdata/bare ./store/testdata/discard ./store/testdata/unlimited
"$dir/discard" 127.0.0.1:24990 & pids="$pids $!"
"$dir/bare" 127.0.0.1:24991 & pids="$pids $!"
OTEL_SDK_DISABLED=true "$dir/store" -addr 127.0.0.1:24992 >"$dir/log2" & pids="$pids $!"
OTEL_SDK_DISABLED=true "$dir/unlimited" 127.0.0.1:24994 >"$dir/log4" & pids="$pids $!"
export OTEL_SDK_DISABLED= OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:24990
"$dir/store" -addr 127.0.0.1:24993 >"$dir/log3" & pids="$pids $!"
"$dir/unlimited" 127.0.0.1:24995 >"$dir/log5" & pids="$pids $!"
ports="24991 24992 24994 24993 24995"
for port in $ports; do
	until curl -sf "http://127.0.0.1:$port/albums/1" >/dev/null; do sleep 0.1; done
done
for i in $(seq "$rounds"); do
	for port in $ports; do
		echo "$port $(wrk -c32 -t2 -d"${seconds}s" "http://127.0.0.1:$port/albums/1" | awk '/Requests\/sec/ {print $2}')"
	done
done | awk '{ sum[$1] += $2; n[$1]++ }
END {
	bare = sum[24991] / n[24991]
	control = 100 * sum[24992] / sum[24994]; all = 100 * sum[24993] / sum[24995]
	printf "bare Gin handler        %6.0f requests/s\n", bare
	printf "store, SDK disabled     %6.0f requests/s  %.0f%%\n", sum[24992]/n[24992], 100*sum[24992]/n[24992]/bare
	printf "store, all telemetry    %6.0f requests/s  %.0f%%\n", sum[24993]/n[24993], 100*sum[24993]/n[24993]/bare
	printf "with overload control, of without it: %.1f%% (SDK disabled), %.1f%% (all telemetry)\n", control, all
}'

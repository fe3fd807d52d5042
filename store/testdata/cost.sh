#!/bin/bash
# Measures what telemetry costs, and the throughput of bulk work, in interleaved rounds: medians, and
# ratios to a bare Gin handler in the same rounds. With BASE it builds that commit too, and compares
# with it. It needs Linux, wrk, curl, and for a row PostgreSQL (initdb and postgres in PATH).
#   make bench-telemetry BASE=HEAD~10 ROUNDS=6 SECONDS_EACH=2 ALBUMS=1000000
set -eu -o pipefail
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-6} seconds=${SECONDS_EACH:-2} albums=${ALBUMS:-1000000} base=${BASE:-}
dir=$(mktemp -d)
pids=
cleanup() {
	kill $pids 2>/dev/null || true
	wait 2>/dev/null || true
	test -z "$base" || git worktree remove --force "$dir/source" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
# A scheduling group of its own per shell would give wrk as much CPU time as all services together.
echo -19 2>/dev/null >/proc/self/autogroup || true
mkdir "$dir/head" "$dir/base"
flags="-trimpath -gcflags=all=-dwarf=false" # of lab/build: the build cache has what they need
go build $flags -o "$dir/head/" ./store ./proxy ./datagen ./store/testdata/bare ./store/testdata/discard
if [ -n "$base" ]; then
	git worktree add --quiet --detach "$dir/source" "$base"
	(cd "$dir/source" && go build $flags -o "$dir/base/" ./store ./proxy ./datagen)
fi
head="$dir/head" old="$dir/base"
unset OTEL_TRACES_SAMPLER OTEL_TRACES_SAMPLER_ARG OTEL_TRACES_EXPORTER OTEL_METRICS_EXPORTER OTEL_LOGS_EXPORTER OTEL_METRICS_EXEMPLAR_FILTER
export OTEL_SDK_DISABLED= OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:24990

port=24900
declare -A pid url
names=
# start runs a program under a name: start NAME [VARIABLE=VALUE...] PROGRAM [FLAG...]. Its address is in url[NAME].
start() {
	local name=$1 flag=-addr
	shift
	port=$((port + 1))
	case "$*" in */bare) flag= ;; esac
	env "$@" $flag "127.0.0.1:$port" >"$dir/log.$name" 2>&1 &
	pid[$name]=$! pids="$pids $!"
	url[$name]=http://127.0.0.1:$port
	until curl -sf "${url[$name]}/albums/1" >/dev/null; do
		kill -0 "${pid[$name]}" 2>/dev/null || { cat "$dir/log.$name" >&2; exit 1; }
		sleep 0.1
	done
}
stop() { kill "${pid[$1]}" && wait "${pid[$1]}" 2>/dev/null || true; }
# cpu prints the CPU time of processes, in ms (of ticks of 10 ms).
cpu() { for p in "$@"; do cat "/proc/$p/stat"; done | awk '{ sub(/.*\) /, ""); n += $12 + $13 } END { print 10 * n }'; }
# load prints NAME REQUESTS/S and CPU time per request in us: load NAME URL PIDS [wrk flags].
load() {
	local name=$1 to=$2 of=$3 before requests
	shift 3
	before=$(cpu $of)
	wrk -c32 -t2 -d"${seconds}s" "$@" "$to/albums/1" >"$dir/wrk"
	! grep -q 'Non-2xx' "$dir/wrk" || { echo "$name: $(grep Non-2xx "$dir/wrk")" >&2; }
	requests=$(awk '/ requests in / { print $1 }' "$dir/wrk")
	echo "$name $(awk '/Requests\/sec/ { print $2 }' "$dir/wrk") $(( ($(cpu $of) - before) * 1000 / requests ))"
}
seconds_of() { local t=$(date +%s%N); "$@" >/dev/null; echo $(($(date +%s%N) - t)); }
# rate prints NAME ITEMS/S of a command: rate NAME ITEMS COMMAND...
rate() { local name=$1 n=$2; shift 2; echo "$name $(awk -v n="$n" -v t="$(seconds_of "$@")" 'BEGIN { printf "%.0f", n * 1e9 / t }') 0"; }

"$head/discard" 127.0.0.1:24990 & pids="$pids $!"
start bare "$head/bare"
sets="head"; [ -z "$base" ] || sets="head base"
for s in $sets; do
	start $s-all "$dir/$s/store"
	start $s-disabled OTEL_SDK_DISABLED=true "$dir/$s/store"
	start $s-pair "$dir/$s/proxy" -store "${url[$s-all]}"
	start $s-pair-disabled OTEL_SDK_DISABLED=true "$dir/$s/proxy" -store "${url[$s-disabled]}"
	start $s-sqlite "$dir/$s/store" -db "sqlite:$dir/$s.db"
done
start head-otelgin "$head/store" -instrumentation otelgin
start traces OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none "$head/store"
start metrics OTEL_TRACES_EXPORTER=none OTEL_TRACES_SAMPLER=always_off OTEL_LOGS_EXPORTER=none "$head/store"
start logs OTEL_TRACES_EXPORTER=none OTEL_TRACES_SAMPLER=always_off OTEL_METRICS_EXPORTER=none "$head/store"
start none OTEL_TRACES_EXPORTER=none OTEL_TRACES_SAMPLER=always_off OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none "$head/store"
start no-exemplars OTEL_METRICS_EXEMPLAR_FILTER=always_off "$head/store"
start sampled-10 OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0.1 "$head/store"
start sampled-1 OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0.01 "$head/store"
cat >"$dir/mix.lua" <<'LUA'
local n, create = 0
function init(args)
	wrk.headers["Content-Type"] = "application/json"
	create = wrk.format("POST", "/albums", nil, '{"title":"Title","artist":"Artist","price":9.99,"genre":"Jazz","year":1999}')
end
function request()
	n = n + 1
	if n % 10 == 0 then return create end
	return wrk.format("GET", "/albums/" .. (n % 3 + 1))
end
LUA
"$head/datagen" -n 10000 -o "$dir/batch.json" >/dev/null 2>&1
post() { curl -sf -o "$dir/response" -H 'Content-Type: application/json' --data-binary "@$dir/batch.json" "$1/albums/batch"; }
posts() { for i in 1 2 3 4 5; do post "$1"; done; }

postgres= as=
mkdir "$dir/pg"
if [ "$(id -u)" = 0 ] && id postgres >/dev/null 2>&1; then # PostgreSQL rejects root
	as="setpriv --reuid=postgres --regid=postgres --clear-groups"
	chown postgres "$dir/pg"
	chmod 711 "$dir"
fi
PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
if $as initdb -D "$dir/pg" -U bench -A trust >"$dir/log.initdb" 2>&1; then
	(cd "$dir/pg" && exec $as postgres -D "$dir/pg" -p 24989 -k '' -h 127.0.0.1 >"$dir/log.postgres" 2>&1) & pids="$pids $!"
	until psql -qc 'SELECT 1' "postgres://bench@127.0.0.1:24989/postgres" >/dev/null 2>&1; do sleep 0.2; done
	postgres=1
	for s in $sets; do
		psql -qc "CREATE DATABASE $s" "postgres://bench@127.0.0.1:24989/postgres"
		start $s-postgres "$dir/$s/store" -db "postgres://bench@127.0.0.1:24989/$s"
	done
fi

for i in $(seq "$rounds"); do
	for name in bare head-all base-all head-otelgin head-disabled base-disabled traces metrics logs none no-exemplars sampled-10 sampled-1; do
		test -z "${url[$name]:-}" || load $name "${url[$name]}" "${pid[$name]}"
	done
	for s in $sets; do
		load $s-pair "${url[$s-pair]}" "${pid[$s-pair]} ${pid[$s-all]}"
		load $s-pair-disabled "${url[$s-pair-disabled]}" "${pid[$s-pair-disabled]} ${pid[$s-disabled]}"
		load $s-sqlite "${url[$s-sqlite]}" "${pid[$s-sqlite]}" -s "$dir/mix.lua"
	done
	for s in $sets; do
		start batch-$s-$i "$dir/$s/store" -db "sqlite:$dir/batch.db"
		rate $s-batch-sqlite 50000 posts "${url[batch-$s-$i]}"
		stop batch-$s-$i
		rm -f "$dir"/batch.db*
		test -z "$postgres" || rate $s-batch-postgres 50000 posts "${url[$s-postgres]}"
		start memory-$s-$i "$dir/$s/store"
		start through-$s-$i "$dir/$s/proxy" -store "${url[memory-$s-$i]}"
		rate $s-datagen 100000 "$dir/$s/datagen" -n 100000 -batch 1000 -url "${url[through-$s-$i]}" 2>/dev/null
		stop through-$s-$i; stop memory-$s-$i
	done
done >"$dir/results"
# A stream of all albums through the proxy, three times, with the peak of the proxy's memory in MB.
for s in $sets; do
	start stream-store-$s "$dir/$s/store"
	for i in $(seq $((albums / 10000))); do post "${url[stream-store-$s]}"; done
	start stream-$s "$dir/$s/proxy" -store "${url[stream-store-$s]}"
done
for i in 1 2 3; do
	for s in $sets; do
		r=$(rate $s-stream "$albums" curl -sf -H 'Accept: application/x-ndjson' "${url[stream-$s]}/albums")
		echo "${r% 0} $(awk '/VmHWM/ { print int($2 / 1024) }' "/proc/${pid[stream-$s]}/status")"
	done
done >>"$dir/results"

awk '
{ n[$1]++; rates[$1, n[$1]] = $2; costs[$1, n[$1]] = $3 }
function median(list, name, i, j, t, v) {
	for (i = 1; i <= n[name]; i++) v[i] = list[name, i]
	for (i = 2; i <= n[name]; i++) for (j = i; j > 1 && v[j-1] > v[j]; j--) { t = v[j]; v[j] = v[j-1]; v[j-1] = t }
	return n[name] % 2 ? v[(n[name]+1)/2] : (v[n[name]/2] + v[n[name]/2+1]) / 2
}
function r(name) { return median(rates, name) }
function line(text, name, unit) {
	if (!n[name]) return
	printf "%-44s %8.0f %-10s", text, r(name), unit
	if (unit == "requests/s") printf " %5.1f%% of bare  %4.0f us of CPU", 100 * r(name) / r("bare"), median(costs, name)
	before = name
	if (sub(/^head/, "base", before) && n[before]) {
		printf "  %.2f x the base (%.0f", r(name) / r(before), r(before)
		if (unit == "requests/s") printf ", %.0f us", median(costs, before)
		printf ")"
	}
	if (name ~ /stream/) printf "  %.0f MB", median(costs, name)
	if (name ~ /stream/ && n[before]) printf ", base %.0f MB", median(costs, before)
	print ""
}
END {
	line("bare Gin handler", "bare", "requests/s")
	line("store, all telemetry", "head-all", "requests/s")
	line("store, all telemetry, otelgin", "head-otelgin", "requests/s")
	line("store, SDK disabled", "head-disabled", "requests/s")
	line("store, no exporter, no span sampled", "none", "requests/s")
	line("store, only traces exported", "traces", "requests/s")
	line("store, only metrics exported", "metrics", "requests/s")
	line("store, only logs exported", "logs", "requests/s")
	line("store, all, without exemplars", "no-exemplars", "requests/s")
	line("store, all, 10% of traces sampled", "sampled-10", "requests/s")
	line("store, all, 1% of traces sampled", "sampled-1", "requests/s")
	line("proxy and store, all telemetry", "head-pair", "requests/s")
	line("proxy and store, SDK disabled", "head-pair-disabled", "requests/s")
	printf "CPU time of the pair, all telemetry: %.2f x that with the SDK disabled\n", median(costs, "head-pair") / median(costs, "head-pair-disabled")
	line("store, SQLite, 90% get, 10% create", "head-sqlite", "requests/s")
	line("batches into SQLite", "head-batch-sqlite", "albums/s")
	line("batches into PostgreSQL", "head-batch-postgres", "albums/s")
	line("datagen -batch 1000, proxy, memory", "head-datagen", "albums/s")
	line("stream through the proxy", "head-stream", "albums/s")
}' "$dir/results"

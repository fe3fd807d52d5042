#!/bin/sh
# Compares the latency and goodput of a Go service of this work tree (B) with those of another commit (A), with loadgen ab:
# both run at the same time on this machine, under the same load. It measures up to TRIES times until there is a verdict.
# Exit code 3: B regressed. 5: no verdict, with STRICT=1.
#   make perf-gate BASE=origin/main                                        this repository's store
#   make perf-gate BASE=origin/main PACKAGE=./cmd/api ARGS='-listen 127.0.0.1:{port}' REQUEST=/items
#   make perf-gate A=http://10.0.0.7:8080 B=http://10.0.0.8:8080 REQUEST=/items     services that run already
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
base=${BASE:-} a=${A:-} b=${B:-} out=${OUT:-.lab/perf-gate} package=${PACKAGE:-./store} request=${REQUEST:-}
load=${LOAD:--rate 300 -duration 64s} args=${ARGS:-} args_b=${ARGS_B:-} port=${PORT:-19080} strict=${STRICT:-} tries=${TRIES:-3}
[ -n "$args" ] || args='-addr 127.0.0.1:{port}'
fail() { echo "perf-gate: $1" >&2; exit 2; }
case "$base,$a,$b" in
,,) fail "set BASE to a commit, or A and B to URLs" ;;
,?*,?*) ;;
?*,,) commit=$(git rev-parse --verify --quiet "$base^{commit}") || fail "no commit $base: fetch it (fetch-depth: 0 of actions/checkout)" ;;
*) fail "set either BASE, or both A and B" ;;
esac
rm -f "$out"/comparison.* "$out"/a.log "$out"/b.log
mkdir -p "$out"
tmp=$(mktemp -d)
pids=
end() {
	for p in $pids; do kill "$p" 2>/dev/null || :; done
	[ ! -d "$tmp/base" ] || git worktree remove --force "$tmp/base"
	rm -rf "$tmp"
}
trap end EXIT
trap 'exit 130' INT TERM
(cd "$root" && go build -o "$tmp/loadgen" ./loadgen)
export OTEL_SDK_DISABLED="${OTEL_SDK_DISABLED:-true}"

# start runs a program on a port, and waits until it responds: name, arguments, port.
start() {
	words=$(printf %s "$2" | sed "s/{port}/$3/g")
	# shellcheck disable=SC2086 # several arguments
	"$tmp/$1" $words >"$out/$1.log" 2>&1 &
	pid=$!
	pids="$pids $pid"
	i=0
	until curl -s -o /dev/null "http://127.0.0.1:$3$request"; do
		kill -0 "$pid" 2>/dev/null || { cat "$out/$1.log" >&2; fail "$1 ended: $package $words"; }
		[ $((i += 1)) -lt 300 ] || fail "$1 does not respond on port $3 after 30 s: see $out/$1.log"
		sleep 0.1
	done
}
if [ -n "$base" ]; then
	git worktree add --quiet --detach "$tmp/base" "$commit"
	(cd "$tmp/base/$(git rev-parse --show-prefix)" && go build -o "$tmp/a" "$package")
	go build -o "$tmp/b" "$package"
	for p in "$port" $((port + 1)); do
		! curl -s -o /dev/null "http://127.0.0.1:$p" || fail "port $p is in use: set PORT"
	done
	start a "$args" "$port"
	start b "$args $args_b" $((port + 1))
	a=http://127.0.0.1:$port b=http://127.0.0.1:$((port + 1))
	echo "perf-gate: A is $package of $(git log -1 --format='%h %s' "$commit"), B of the work tree" >&2
fi
format=text
[ -z "${GITHUB_ACTIONS:-}" ] || format=github
for try in $(seq "$tries"); do
	code=0
	rm -f "$out"/comparison.*
	# shellcheck disable=SC2086 # several arguments
	"$tmp/loadgen" ab -a "$a" -b "$b" $request $load -quiet -format "$format" -out "$out" || code=$?
	[ "$code" = 5 ] || break
	[ "$try" = "$tries" ] || echo "perf-gate: no verdict in measurement $try of $tries" >&2
done
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || [ ! -e "$out/comparison.md" ] || cat "$out/comparison.md" >>"$GITHUB_STEP_SUMMARY"
if [ "$code" = 5 ] && [ -z "$strict" ]; then
	echo "perf-gate: passed without a verdict: measure longer (LOAD), more often (TRIES), or fail with STRICT=1" >&2
	code=0
fi
exit $code

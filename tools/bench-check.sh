#!/bin/sh
# Compares the benchmarks of HEAD (with uncommitted changes) with those of a commit, and reports with
# benchstat. The runs alternate, because machines are noisy.
#   make bench-check BASE=main ROUNDS=6 BENCH=Get PACKAGES="./internal/service ./internal/overload" BENCHTIME=20000x
set -eu
cd "$(dirname "$0")/.."
base=${BASE:-HEAD~1} rounds=${ROUNDS:-6} bench=${BENCH:-.} time=${BENCHTIME:-20000x}
packages=${PACKAGES:-./internal/service ./internal/albumapi ./internal/overload}
git rev-parse --quiet --verify "$base^{commit}" >/dev/null || { echo "bench-check: BASE=$base is not a commit" >&2; exit 2; }
dir=$(mktemp -d)
trap 'git worktree remove --force "$dir/source" 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM # dash skips the trap above otherwise
for p in $packages; do
	test -d "$p" || { echo "bench-check: PACKAGES: $p is not a folder" >&2; exit 2; }
done
git worktree add --quiet --detach "$dir/source" "$base"
binary() { echo "$dir/$1.$(echo "$2" | tr / _)"; }
# compile builds the test binaries of a checkout: compile NAME DIRECTORY. A package that the base does not have is left out.
compile() {
	for p in $packages; do
		test -d "$2/$p" || continue
		(cd "$2" && go test -c -trimpath -gcflags=all=-dwarf=false -o "$(binary "$1" "$p")" "./$p")
	done
}
compile base "$dir/source"
compile head .
for i in $(seq "$rounds"); do
	for p in $packages; do
		for s in base head; do
			test -x "$(binary $s "$p")" || continue
			(cd "$p" && "$(binary $s "$p")" -test.run '^$' -test.bench "$bench" -test.benchmem -test.benchtime "$time" -test.cpu 1) >>"$dir/$s.txt"
		done
	done
done
for s in base head; do
	grep -q '^Benchmark' "$dir/$s.txt" 2>/dev/null || { echo "bench-check: $s has no benchmark that matches BENCH=$bench" >&2; exit 1; }
done
go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da "base=$dir/base.txt" "head=$dir/head.txt"

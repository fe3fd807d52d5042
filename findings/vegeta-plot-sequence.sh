#!/bin/sh
# vegeta v12.13.0, plot: without the result number 0 a plot has no point at all, and no error.
#
# Expected: a plot of the results that are there, as `vegeta report` of the same file, or an error. A part of a file, or a
#   file whose first line is missing, is valid input of the other commands.
# Seen: exit code 0, and a page whose data are empty. plot.Add puts the results of an attack in the order of their
#   numbers, beginning with 0, and holds back all others until their turn:
#   https://github.com/tsenart/vegeta/blob/v12.13.0/lib/plot/plot.go
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOWORK=off
GOBIN="$dir" go install github.com/tsenart/vegeta/v12@v12.13.0 >/dev/null 2>&1
for i in 0 1 2 3 4 5 6 7 8 9; do
	echo "$((1700000000000000000 + i * 1000000)),200,$((1000000 + i)),0,2,,,run,$i,GET,http://127.0.0.1/,"
done > "$dir/all.csv"
tail -n 9 "$dir/all.csv" > "$dir/tail.csv"
points() { # of a page: rows of its data, each [seconds,milliseconds]
	"$dir/vegeta" plot "$1" | grep -cE '^ *\[[0-9.]+,[0-9.]+\]' || true
}
requests() { "$dir/vegeta" report -type=json "$1" | sed 's/.*"requests":\([0-9]*\).*/\1/'; }
got="all: $(requests "$dir/all.csv") requests, $(points "$dir/all.csv") points
without number 0: $(requests "$dir/tail.csv") requests, $(points "$dir/tail.csv") points"
want='all: 10 requests, 10 points
without number 0: 9 requests, 0 points'
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi

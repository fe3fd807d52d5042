#!/bin/sh
# Compares loadgen with h2load (one thread, 32 connections) for HTTP/2 without TLS, and with the
# vegeta CLI for HTTP/2 and HTTP/1.1 with TLS, each with 32 concurrent requests against a bare Gin
# handler. loadgen counts classes, records histograms and sends trace context; with
# OTEL_SDK_DISABLED=true it exports nothing. Runs alternate because machines are noisy: it prints the
# medians of the rates, and the medians of the ratios of each round.
#   make bench-http2 ROUNDS=6 SECONDS_EACH=4      # needs h2load (Debian: nghttp2-client), openssl
set -eu
cd "$(dirname "$0")/../.."
for program in h2load openssl curl; do
	command -v $program >/dev/null || { echo "bench-http2: $program is missing (Debian: nghttp2-client openssl curl)" >&2; exit 1; }
done
rounds=${ROUNDS:-6} seconds=${SECONDS_EACH:-4}
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null; rm -rf "$dir"' EXIT
go build -o "$dir/" ./loadgen ./store/testdata/bare
GOBIN="$dir" go install github.com/tsenart/vegeta/v12@v12.13.0
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$dir/key" -out "$dir/cert" -days 2 -nodes -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
"$dir/bare" 127.0.0.1:24982 & pids="$pids $!"
"$dir/bare" 127.0.0.1:24983 "$dir/cert" "$dir/key" & pids="$pids $!"
plain=http://127.0.0.1:24982/albums/1 secure=https://127.0.0.1:24983/albums/1
echo "GET $plain" >"$dir/plain"
echo "GET $secure" >"$dir/secure"
until curl -sf $plain >/dev/null && curl -sfk $secure >/dev/null; do sleep 0.1; done

# load prints loadgen's goodput. Its verdict is in the report too.
load() { OTEL_SDK_DISABLED=true "$dir/loadgen" -rate 0 -workers 32 -duration "${seconds}s" -explain=false -keep '' -format json "$@" 2>/dev/null | sed -n 's/^  "goodput": \(.*\),/\1/p'; }
vegeta() { "$dir/vegeta" attack -insecure -rate 0 -max-workers 32 -duration "${seconds}s" -targets "$dir/secure" "$@" | "$dir/vegeta" report | sed -n 's/^Requests .*, //p'; }

for i in $(seq "$rounds"); do
	echo "h2load $(h2load -t1 -c32 -D "$seconds" $plain | sed -n 's/^finished in [^,]*, \(.*\) req.*/\1/p')"
	echo "h2c $(load -targets "$dir/plain" -h2c)"
	echo "vegeta2 $(vegeta)"
	echo "tls2m $(load -targets "$dir/secure" -insecure -multiplex)"
	echo "tls2 $(load -targets "$dir/secure" -insecure)"
	echo "vegeta1 $(vegeta -http2=false)"
	echo "tls1 $(load -targets "$dir/secure" -insecure -http1)"
done | awk '
{ n[$1]++; rate[$1, n[$1]] = $2 }
function median(list, size,    i, j, t) {
	for (i = 1; i <= size; i++) for (j = i + 1; j <= size; j++) if (list[j] < list[i]) { t = list[i]; list[i] = list[j]; list[j] = t }
	return size % 2 ? list[(size + 1) / 2] : (list[size / 2] + list[size / 2 + 1]) / 2
}
function rates(key,    i, list) { for (i = 1; i <= n[key]; i++) list[i] = rate[key, i]; return median(list, n[key]) }
function ratio(a, b,    i, list) { for (i = 1; i <= n[a]; i++) list[i] = rate[a, i] / rate[b, i]; return median(list, n[a]) }
function pair(name, a, other, b) { printf "%-24s %6.0f req/s  %-28s %6.0f req/s  ratio %.2f\n", name, rates(a), other, rates(b), ratio(a, b) }
END {
	pair("HTTP/2, no TLS", "h2c", "h2load, 1 thread", "h2load")
	pair("HTTP/2, TLS, -multiplex", "tls2m", "vegeta CLI (multiplexed)", "vegeta2")
	pair("HTTP/2, TLS", "tls2", "vegeta CLI (multiplexed)", "vegeta2")
	pair("HTTP/1.1, TLS", "tls1", "vegeta CLI, HTTP/1.1", "vegeta1")
}'

#!/bin/sh
# Copies the configuration that the lab shares to the chart: Helm packs only files below a chart.
# A test compares them. With -n: print the pairs, copy nothing.
set -eu
cd "$(dirname "$0")/../.."
files=deploy/charts/soundcheck/files
pairs() {
	echo "collector/config.yaml collector/config.yaml"
	echo "compose/otel-collector/edge.yaml collector/edge.yaml"
	echo "backends/jaeger/config.yaml jaeger/config.yaml"
	echo "backends/prometheus/prometheus.yml prometheus/prometheus.yml"
	echo "compose/loki/config.yaml loki/config.yaml"
	echo "dashboards/provisioning/datasources/soundcheck.yml grafana/datasources.yml"
	echo "dashboards/provisioning/dashboards/soundcheck.yml grafana/dashboards.yml"
	for f in nginx module otel; do echo "compose/nginx/$f.conf nginx/$f.conf"; done
	for f in dashboards/rules/*.yml; do echo "$f rules/${f##*/}"; done
	for f in dashboards/*.json; do echo "$f dashboards/${f##*/}"; done
}
if [ "${1:-}" = -n ]; then pairs; exit; fi
rm -rf "$files"
pairs | while read -r from to; do
	mkdir -p "$files/$(dirname "$to")"
	cp "$from" "$files/$to"
done

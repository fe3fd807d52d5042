#!/bin/sh
# Creates or starts the cluster of cluster.yaml, or deletes it: k3d.sh up|down
set -eu

NAME=soundcheck
HERE=$(cd "$(dirname "$0")" && pwd)

die() { echo "k3d: $*" >&2; exit 1; }

command -v k3d >/dev/null || die "k3d command not found: install k3d 5.6 or later (https://k3d.io/#installation)"
command -v docker >/dev/null || die "docker command not found: k3d runs Kubernetes in Docker (https://docs.docker.com/engine/install)"
docker info >/dev/null 2>&1 || die "Docker's daemon does not respond: start it, and check that you may use it (docker info)"
version=$(k3d version | sed -n 's/^k3d version v\([0-9]*\.[0-9]*\).*/\1/p')
case $version in
'' | 5.[6-9] | 5.[1-9][0-9] | [6-9].* | [1-9][0-9].*) ;; # what is not a version is a build of a developer
*) die "k3d $version is older than 5.6: install a newer one (https://k3d.io/#installation)" ;;
esac

exists() { k3d cluster list --no-headers 2>/dev/null | awk '{ print $1 }' | grep -qx "$NAME"; }

case ${1:-} in
up)
	if exists; then
		k3d cluster start "$NAME" # does nothing if it runs
		k3d kubeconfig merge "$NAME" --kubeconfig-merge-default --kubeconfig-switch-context >/dev/null
	else
		k3d cluster create --config "$HERE/cluster.yaml" ||
			die "no cluster: if a port of 127.0.0.1 is taken, stop what uses it (make lab-down, make compose-down), then make k3d-up"
	fi
	;;
down)
	if exists; then k3d cluster delete "$NAME"; else echo "k3d: no cluster $NAME"; fi
	;;
*) die "usage: k3d.sh up|down" ;;
esac

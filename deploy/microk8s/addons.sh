#!/bin/sh
# Switches on what the lab needs in MicroK8s: storage, a registry on localhost:32000, Traefik.
set -eu

die() { echo "microk8s: $*" >&2; exit 1; }

command -v microk8s >/dev/null || die "microk8s command not found: sudo snap install microk8s --classic --channel=1.35/stable"
microk8s status --wait-ready --timeout 60 >/dev/null ||
	die "MicroK8s does not run, or you may not use it: microk8s start; sudo usermod -aG microk8s \$USER, and log in again"
for addon in dns hostpath-storage registry ingress; do
	if [ "$(microk8s status --addon "$addon")" = enabled ]; then
		echo "microk8s: $addon is enabled"
	else
		microk8s enable "$addon"
	fi
done

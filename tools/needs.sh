#!/bin/sh
# Installs what the tests need beside Go: with apt as root on Debian and Ubuntu, PostgreSQL also
# with Homebrew. Elsewhere it says what is missing: an error without PostgreSQL; without the rest,
# tests are skipped. "needs.sh check" ends after PostgreSQL, and does not call apt.
set -eu

has() { command -v "$@" >/dev/null 2>&1; }
apt= postgres=
[ "$(id -u)" = 0 ] && has apt-get && apt=yes
packages=
missing() { # PACKAGES WHAT
	if [ -n "$apt" ]; then packages="$packages $1"; else echo "$2"; fi
}

if ! has postgres && ! ls /usr/lib/postgresql/*/bin/postgres /opt/homebrew/opt/postgresql*/bin/postgres >/dev/null 2>&1; then
	if [ -z "$apt" ] && has brew; then
		brew install postgresql@17
	elif [ -z "$apt" ]; then
		echo "the tests need a PostgreSQL server: install it (Debian, Ubuntu: sudo apt-get install postgresql)"
		exit 1
	else
		postgres=postgresql
	fi
fi
[ "${1-}" = check ] && exit 0

has chromium || has chromium-browser || has google-chrome ||
	missing "chromium fonts-dejavu-core" "no Chromium: browser tests are skipped"
has python3 || missing python3 "no python3: the test of docs/checkout.py is skipped"
# Under systemd its package would start a server.
if ! has nginx && ! has /usr/sbin/nginx; then
	if [ -d /run/systemd/system ]; then
		echo "no nginx (Debian, Ubuntu: nginx-core): edge tests are skipped"
	else
		missing nginx-core "no nginx (Debian, Ubuntu: nginx-core): edge tests are skipped"
	fi
fi
# Builds PostgreSQL's image for IMAGES=local, as root.
if has docker && ! has debootstrap && ! has /usr/sbin/debootstrap; then
	missing debootstrap "no debootstrap: tests of PostgreSQL's image are skipped"
fi
if [ -n "$postgres$packages" ]; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	[ -z "$postgres" ] || apt-get install -qy --no-install-recommends $postgres
	# shellcheck disable=SC2086 # a list
	[ -z "$packages" ] || apt-get install -qy --no-install-recommends $packages ||
		echo "not installed:$packages; tests that need them are skipped"
fi

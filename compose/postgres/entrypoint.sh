#!/bin/sh
# Creates a cluster if there is none, and starts PostgreSQL. Supports these settings of the
# official image: POSTGRES_USER, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_DB,
# POSTGRES_INITDB_ARGS, PGDATA. Arguments are those of postgres, or a command to run instead of it.
set -eu

die() { echo "entrypoint: $*" >&2; exit 1; }

case "${1:--}" in
-*) set -- postgres "$@" ;;
postgres) ;;
*) exec "$@" ;;
esac
[ "$(id -u)" != 0 ] || die "PostgreSQL does not run as root: use user 999:999"

USER_NAME=${POSTGRES_USER:-postgres}
DB_NAME=${POSTGRES_DB:-$USER_NAME}
# The cluster is created here and moved up when it is complete, PG_VERSION last: if the
# container is killed, a cluster with PG_VERSION is complete, and one without is recreated.
NEW=$PGDATA/.initializing

quoted() { printf '"%s"' "$(printf %s "$1" | sed 's/"/""/g')"; }

initialize() {
	if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
		[ -r "$POSTGRES_PASSWORD_FILE" ] || die "POSTGRES_PASSWORD_FILE: $POSTGRES_PASSWORD_FILE cannot be read by user $(id -u)"
		password=$(cat "$POSTGRES_PASSWORD_FILE")
	else
		password=${POSTGRES_PASSWORD:-}
	fi
	[ -n "$password" ] || die "a new cluster needs a password: set POSTGRES_PASSWORD_FILE"
	if [ -d "$NEW" ]; then
		echo "entrypoint: the cluster was not completed, making it anew" >&2
		# NEW last: its presence means that all the rest can be deleted.
		find "$PGDATA" -mindepth 1 -maxdepth 1 ! -path "$NEW" ! -name lost+found -exec rm -rf {} +
		rm -rf "$NEW"
	elif [ -n "$(find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found)" ]; then
		die "$PGDATA is not empty, but holds no cluster: give PostgreSQL a folder of its own"
	fi
	mkdir -m 700 "$NEW" "$NEW/cluster"
	printf %s "$password" >"$NEW/password"
	# shellcheck disable=SC2086 # arguments, many or none
	initdb ${POSTGRES_INITDB_ARGS:-} --pgdata="$NEW/cluster" --username="$USER_NAME" --pwfile="$NEW/password" \
		--auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
	rm "$NEW/password"
	echo 'host all all all scram-sha-256' >>"$NEW/cluster/pg_hba.conf"
	cat >>"$NEW/cluster/postgresql.conf" <<-END
		listen_addresses = '*'
		jit = off
		timezone = 'UTC'
		log_timezone = 'UTC'
	END
	if [ "$DB_NAME" != postgres ]; then
		echo "CREATE DATABASE $(quoted "$DB_NAME")" | postgres --single -D "$NEW/cluster" postgres >/dev/null
	fi
	find "$NEW/cluster" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
	sync
	mv "$NEW/cluster/PG_VERSION" "$PGDATA/"
	sync
}

trap 'exit 143' TERM
trap 'exit 130' INT
mkdir -p "$PGDATA" 2>/dev/null || true
[ -w "$PGDATA" ] || die "$PGDATA cannot be written by user $(id -u): give it the folder"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	initialize
fi
rm -rf "$NEW"
version=$(cat "$PGDATA/PG_VERSION")
[ "$version" = "$PG_MAJOR" ] || die "the cluster in $PGDATA is of PostgreSQL $version, this is $PG_MAJOR: dump it there, and start with an empty volume"
chmod 700 "$PGDATA" # PostgreSQL insists; a new volume is open to all

# On SIGTERM PostgreSQL waits until its clients disconnect, which ours never do. SIGINT ends
# their sessions.
"$@" &
server=$!
trap 'kill -INT "$server" 2>/dev/null || true' TERM INT
code=0
wait "$server" || code=$?
while kill -0 "$server" 2>/dev/null; do # a signal ended the wait, not the server
	code=0
	wait "$server" || code=$?
done
exit "$code"

#!/bin/sh
# Builds the root of the PostgreSQL image from Debian packages: build.sh ROOT.tar
#
# Needs no registry, but a Debian mirror (DEBIAN_MIRROR) or a caching proxy, root and
# debootstrap. The image has only the server, psql and a shell.
# Beside the root are its version and, written last, the sum of the script that built it: a
# root without it is incomplete. With sudo all three belong to the calling user.
set -eu

OUT=$1
SUITE=trixie
VERSION=17 # the one of this suite
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
SECURITY=${DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security}

rm -f "$OUT.sum"

step() { echo "postgres image: $*" >&2; }

for left in "$OUT".root.*; do # of a run that was killed
	if [ -d "$left" ]; then
		umount "$left/proc" 2>/dev/null || true
		rm -rf --one-file-system "$left"
	fi
done
ROOT=$(mktemp -d "$OUT.root.XXXXXX")
trap 'umount "$ROOT/proc" 2>/dev/null || true; rm -rf --one-file-system "$ROOT" "$OUT.new"' EXIT
trap 'exit 130' INT TERM HUP

step "a minimal Debian $SUITE from $MIRROR"
debootstrap --variant=minbase "$SUITE" "$ROOT" "$MIRROR" >&2

step "PostgreSQL $VERSION and security updates"
cat >"$ROOT/etc/apt/sources.list" <<END
deb $MIRROR $SUITE main
deb $MIRROR $SUITE-updates main
deb $SECURITY $SUITE-security main
END
cat >"$ROOT/etc/dpkg/dpkg.cfg.d/small" <<END
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
END
# The entrypoint creates the cluster, in a volume. Start no service here.
mkdir -p "$ROOT/etc/postgresql-common"
echo 'create_main_cluster = false' >"$ROOT/etc/postgresql-common/createcluster.conf"
printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"
chmod 755 "$ROOT/usr/sbin/policy-rc.d"
# The user IDs of the official image, before the package allocates others.
echo 'postgres:x:999:999::/var/lib/postgresql:/bin/sh' >>"$ROOT/etc/passwd"
echo 'postgres:x:999:' >>"$ROOT/etc/group"
mount -t proc proc "$ROOT/proc"
inside() { DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$ROOT" "$@" >&2; }
inside apt-get update -q
inside apt-get dist-upgrade -qy
inside apt-get install -qy --no-install-recommends "postgresql-$VERSION"

step "leaving out what a server does not need"
# Remove Perl and its scripts: wrappers for several clusters on one machine. Remove the JIT
# compiler: LLVM is larger than all the rest, and only helps long queries.
remove() {
	for p in $(chroot "$ROOT" dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii  *//p'); do
		inside dpkg --purge --force-depends --force-remove-essential --force-remove-protected "$p"
	done
}
inside apt-get clean
rm -f "$ROOT"/var/lib/dpkg/info/postgresql-*.prerm "$ROOT"/var/lib/dpkg/info/postgresql-*.postrm # they call Perl
remove "postgresql-$VERSION-jit" 'libllvm*' postgresql-common postgresql-common-dev postgresql-client-common \
	'lib*-perl' perl 'perl-modules-*' 'libperl5*' ssl-cert
remove apt 'libapt-pkg*' sqv gpgv debian-archive-keyring sysvinit-utils e2fsprogs perl-base libz3-4 libsqlite3-0
umount "$ROOT/proc"
rm -rf "$ROOT"/var/lib/apt "$ROOT"/var/cache/* "$ROOT"/var/log/* "$ROOT"/tmp/* "$ROOT"/usr/share/man/* \
	"$ROOT"/usr/share/locale/* "$ROOT"/usr/share/info/* "$ROOT"/usr/share/i18n "$ROOT"/usr/sbin/policy-rc.d "$ROOT"/usr/share/perl* \
	"$ROOT"/etc/resolv.conf "$ROOT"/etc/hostname "$ROOT"/usr/lib/llvm* "$ROOT"/usr/lib/postgresql/*/lib/bitcode \
	"$ROOT"/var/lib/postgresql "$ROOT"/run/*
find "$ROOT/usr/share/doc" -type f ! -name copyright -delete
find "$ROOT" -xdev \( -perm -4000 -o -perm -2000 \) -type f -exec chmod ug-s {} +
for p in "$ROOT/usr/lib/postgresql/$VERSION/bin/"*; do
	ln -sf "../lib/postgresql/$VERSION/bin/${p##*/}" "$ROOT/usr/bin/${p##*/}"
done
# The mount point of the volume, as in the official image of this version.
mkdir -p "$ROOT/var/lib/postgresql/data" "$ROOT/run/postgresql"
chown -R 999:999 "$ROOT/var/lib/postgresql" "$ROOT/run/postgresql"
chmod 700 "$ROOT/var/lib/postgresql/data"
chmod 1777 "$ROOT/run/postgresql" # a tmpfs in its place takes the mode, not the owner

step "is every library there?"
missing=$(chroot "$ROOT" sh -c 'for p in /usr/lib/postgresql/*/bin/*; do ldd "$p"; done' | grep 'not found' || true)
if [ -n "$missing" ]; then
	step "missing in the image: $missing"
	exit 1
fi
chroot "$ROOT" dpkg-query -W -f '${Version}\n' "postgresql-$VERSION" >"$OUT.version"
step "packing $(du -sm --apparent-size "$ROOT" | cut -f1) MB"
tar -C "$ROOT" --numeric-owner --sort=name -cf "$OUT.new" .
mv "$OUT.new" "$OUT"
sha256sum <"$0" | cut -d ' ' -f 1 >"$OUT.sum.new"
if [ -n "${SUDO_UID:-}" ]; then chown "$SUDO_UID:$SUDO_GID" "$OUT" "$OUT.version" "$OUT.sum.new"; fi
mv "$OUT.sum.new" "$OUT.sum"

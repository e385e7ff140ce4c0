#!/usr/bin/env bash
# What the Dockerfile does, in chroots of the Debian release that its image is made of: build the packages in one that is kept, install
# them in a clean one, ask a first question. Run as root. No image is made, so that no registry is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=trixie major=17
servers=${SERVERS:-/var/tmp/pg_clip-servers}
base=$servers/$suite build=$servers/container-build
fail() { printf '%s\n' "$@" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "run this as root: it makes chroots"
if [ ! -d "$base" ]; then
	command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
	debootstrap --variant=minbase "$suite" "$base.new" >/dev/null
	mv "$base.new" "$base"
fi
# in ROOT COMMAND...: as in the image, whose PATH has the server's programs
in_root() {
	unshare --mount --propagation private --pid --fork bash -euc '
		root=$1
		shift
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		exec chroot "$root" env -i PATH=/usr/lib/postgresql/'$major'/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"
	' bash "$@"
}
# like_image ROOT: Debian's server in the place of the image's
like_image() {
	cp -a "$base/." "$1/"
	printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
	chmod 755 "$1/usr/sbin/policy-rc.d"
	# what this machine trusts beside Debian's certificates
	mkdir -p "$1/usr/local/share/ca-certificates"
	cp -r /usr/local/share/ca-certificates/. "$1/usr/local/share/ca-certificates/"
	in_root "$1" sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql-$major >/dev/null"
}

if [ ! -d "$build" ]; then
	mkdir -p "$build.new"
	like_image "$build.new"
	mv "$build.new" "$build"
fi
echo "== RUN scripts/container.sh build"
mkdir -p "$build/src"
git archive HEAD | tar x -C "$build/src"
in_root "$build" /src/scripts/container.sh build

echo "== RUN container.sh install"
root=$(mktemp -d /var/tmp/pg_clip-container.XXXXXX)
trap 'rm -rf --one-file-system "$root"' EXIT
chmod 755 "$root"
like_image "$root"
mkdir -p "$root/usr/local/share/pg_clip"
cp scripts/container.sh "$root/usr/local/share/pg_clip/"
cp -r "$build/src/target/deb" "$root/usr/local/share/pg_clip/packages"
in_root "$root" /usr/local/share/pg_clip/container.sh install
cp scripts/container.sql "$root/tmp/"

echo "== the image's start, with the library preloaded"
in_root "$root" runuser -u postgres -- bash -euc '
	initdb -D /tmp/data -A trust >/dev/null
	pg_ctl -D /tmp/data -o "-c shared_preload_libraries=pg_clip -k /tmp" -l /tmp/log -w -s start
	psql() { command psql -h /tmp -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
	psql -f /tmp/container.sql 2>/dev/null
	psql -c "SELECT clip_create_table('"'items', mode => 'async'"')" -c "INSERT INTO items (modality, content_ref) VALUES ('"'text', 'a cat'), ('text', 'a train'"')" >/dev/null
	for _ in $(seq 100); do [ "$(psql -c "SELECT count(embedding) FROM items")" = 2 ] && break; sleep 0.1; done
	answer=$(psql -c "SELECT content_ref FROM items ORDER BY embedding <=> clip_query('"'items', 'kitten'"') LIMIT 1")
	pg_ctl -D /tmp/data -m fast -s stop
	echo "answer: $answer"
	[ "$answer" = "a cat" ]
'

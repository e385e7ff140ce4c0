#!/usr/bin/env bash
# A life of the packages of `make deb` in a clean Debian 13 without a compiler: install, first answer, update from an older schema,
# upgrade, remove, purge. Run as root, with PostgreSQL 17's packages built: make deb PG_CONFIG=...
#
#   test-deb.sh [LOG]   also writes the log there
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
suite=trixie major=17
base=${SERVERS:-/var/tmp/pg_clip-servers}/$suite
if [ $# -gt 0 ]; then exec > >(tee "$1") 2>&1; fi
fail() { printf '%s\n' "$@" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "run this as root: it makes a chroot"
version=$(scripts/version.sh)
packages=("$target/deb/postgresql-$major-pg-clip_$version"-*.deb "$target/deb/pgclip_$version"-*.deb "$target/deb/pg-clip-model-pictograms_$version"-*.deb)
for package in "${packages[@]}"; do [ -f "$package" ] || fail "$package is missing: make deb, with PostgreSQL $major's pg_config"; done
if command -v lintian >/dev/null; then
	echo "== lintian"
	# the address of whoever publishes them is set for that, by DEBEMAIL
	lintian --fail-on error --tag-display-limit 0 --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog "${packages[@]}"
fi

if [ ! -d "$base" ]; then
	command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
	debootstrap --variant=minbase "$suite" "$base.new" >/dev/null
	mv "$base.new" "$base"
fi
root=$(mktemp -d /var/tmp/pg_clip-deb.XXXXXX)
chmod 755 "$root"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
finish() {
	inside pg_ctlcluster "$major" main stop -m immediate >/dev/null 2>&1 || true
	for place in proc dev; do umount -l "$root/$place" 2>/dev/null || true; done
	rm -rf --one-file-system "$root"
}
trap finish EXIT
cp -a "$base/." "$root/"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
inside apt-get update -qq
sql() { inside runuser -u postgres -- psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
have() { inside dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' "$@" 2>/dev/null || true; }

echo "== nothing to build with"
for tool in cc gcc clang rustc cargo make; do if inside sh -c "command -v $tool"; then fail "there is a $tool"; fi; done

echo "== the server and what the packages depend on, from Debian"
inside apt-get install -y -qq --no-install-recommends "postgresql-$major" "postgresql-$major-pgvector" >/dev/null
inside pg_ctlcluster "$major" main start 2>/dev/null || true
for _ in $(seq 100); do sql -c "SELECT 1" >/dev/null 2>&1 && break; sleep 0.1; done

# An older package is the same with an older version: what apt and dpkg do is what counts here.
mkdir "$root/new" "$root/old"
cp "${packages[@]}" "$root/new/"
for package in "${packages[@]}"; do
	rm -rf "$root/old/tree"
	dpkg-deb -R "$package" "$root/old/tree"
	sed -i "s/^Version: .*/Version: $version~earlier/" "$root/old/tree/DEBIAN/control"
	dpkg-deb --root-owner-group -Zgzip -z1 --build "$root/old/tree" "$root/old/$(basename "$package")" >/dev/null
done
rm -rf "$root/old/tree"

echo "== install, to the first answer"
begin=$(date +%s.%N)
inside sh -c 'apt-get install -y -qq --no-install-recommends /old/*.deb' >/dev/null
sql -c "SET client_min_messages = warning" -c "CREATE EXTENSION pg_clip CASCADE"
first=$(sql -c "SELECT clip_create_table('items')" -c "INSERT INTO items (modality, content_ref) VALUES ('text', 'a cat'), ('text', 'a train')" \
	-c "SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', 'kitten') LIMIT 1" | tail -n 1)
spent=$(awk "BEGIN { print $(date +%s.%N) - $begin }")
[ "$first" = "a cat" ] || fail "the first answer is \"$first\""
echo "first answer \"$first\" after $spent s"
awk "BEGIN { exit !($spent < 30) }" || fail "more than 30 s"
have postgresql-$major-pg-clip pgclip pg-clip-model-pictograms
inside pgclip list
inside pgclip verify pictograms

echo "== a database of 0.1.0, and an upgrade of the packages"
cp pg_test/upgrade/pg_clip--0.1.0.sql "$root/usr/share/postgresql/$major/extension/"
sql -c "CREATE DATABASE older"
sql -d older -c "SET client_min_messages = error" -c "CREATE EXTENSION vector" -c "CREATE EXTENSION pg_clip VERSION '0.1.0'" \
	-c "SELECT clip_create_table('items')" -c "INSERT INTO items (modality, content_ref) VALUES ('text', 'a cat'), ('text', 'a train')" >/dev/null
rm "$root/usr/share/postgresql/$major/extension/pg_clip--0.1.0.sql"
inside sh -c 'apt-get install -y -qq --no-install-recommends /new/*.deb' >/dev/null
have postgresql-$major-pg-clip pgclip pg-clip-model-pictograms
sql -d older -c "ALTER EXTENSION pg_clip UPDATE" -c "SELECT 'updated to ' || extversion FROM pg_extension WHERE extname = 'pg_clip'"
[ "$(sql -d older -c "SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', 'kitten') LIMIT 1")" = "a cat" ] || fail "no answer after the update"
echo "answers as before"

echo "== files"
for package in postgresql-$major-pg-clip pgclip pg-clip-model-pictograms; do inside dpkg -L "$package"; done
man=$(inside sh -c 'ls /usr/share/man/man1/pgclip*.1.gz 2>/dev/null | wc -l' || true)
echo "($man man pages; a minimal system may leave them out)"

echo "== remove, purge"
sql -d older -c "SET client_min_messages = warning" -c "DROP EXTENSION pg_clip CASCADE"
inside apt-get remove -y -qq pgclip pg-clip-model-pictograms "postgresql-$major-pg-clip" >/dev/null
have postgresql-$major-pg-clip pgclip pg-clip-model-pictograms
inside dpkg --purge pgclip pg-clip-model-pictograms "postgresql-$major-pg-clip" >/dev/null 2>&1
left=$(find "$root" -mindepth 1 -xdev \( -path "$root/old" -o -path "$root/new" -o -path "$root/var/lib/postgresql" \) -prune -o \( -iname '*pgclip*' -o -iname '*pg_clip*' -o -iname '*pg-clip*' \) -print)
[ -z "$left" ] || fail "purge left behind:" "$left"
echo "nothing left"

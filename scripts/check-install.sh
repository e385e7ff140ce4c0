#!/usr/bin/env bash
# `make install` puts every file where PostgreSQL looks for it, twice in a row, without touching the machine (DESTDIR).
set -euo pipefail
cd "$(dirname "$0")/.."
PG_CONFIG=${PG_CONFIG:-pg_config}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
for _ in first second; do
	make --no-print-directory -s install PG_CONFIG="$PG_CONFIG" BUILD_PROFILE="${BUILD_PROFILE:-release}" DESTDIR="$root" BINDIR=/bin >/dev/null
done
version=$(sed -nE "s/^default_version *= *'(.*)'/\1/p" pg_clip.control)
share=$root$("$PG_CONFIG" --sharedir)
for file in "$root$("$PG_CONFIG" --pkglibdir)/pg_clip.so" "$share/extension/pg_clip.control" "$share/extension/pg_clip--$version.sql" \
	"$share/extension/pg_clip--0.1.0--$version.sql" "$root/bin/pgclip"; do
	[ -s "$file" ] || { echo "make install did not install $file" >&2; exit 1; }
done
"$root/bin/pgclip" verify pictograms --model-dir "$share/pg_clip/models" >/dev/null

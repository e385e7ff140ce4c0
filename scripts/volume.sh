#!/usr/bin/env bash
# The extension as CloudNativePG mounts it from an image of its own: DIRECTORY/lib and DIRECTORY/share, and the bundled model beside them.
# Takes what `make install` has put into PG_CONFIG's directories, of PostgreSQL 18 or later: earlier ones look for extensions nowhere else.
#
#   volume.sh DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 1 ] || { echo "usage: volume.sh DIRECTORY" >&2; exit 2; }
out=$1
PG_CONFIG=${PG_CONFIG:-pg_config}
target=${CARGO_TARGET_DIR:-target}
major=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
[ "$major" -ge 18 ] || { echo "PostgreSQL $major has no extension_control_path: image volumes need 18 or later" >&2; exit 1; }
share=$("$PG_CONFIG" --sharedir)/extension library=$("$PG_CONFIG" --pkglibdir)/pg_clip.so
[ -f "$library" ] || { echo "$library is missing: make install" >&2; exit 1; }
install -d "$out/lib" "$out/share/extension" "$out/share/pg_clip/models"
install -m 644 "$library" "$out/lib/"
strip --strip-unneeded "$out/lib/pg_clip.so"
install -m 644 "$share"/pg_clip.control "$share"/pg_clip--*.sql "$out/share/extension/"
"$target/release/pgclip" import models/pictograms --model-dir "$out/share/pg_clip/models" >/dev/null
install -m 644 LICENSE crates/fix-text/NOTICE models/pictograms/ATTRIBUTION.md "$out/share/pg_clip/"
find "$out" -type d -exec chmod 755 {} +

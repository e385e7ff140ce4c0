#!/usr/bin/env bash
# RPMs of a finished `make`: pg_clip_NN, pgclip and pg_clip-model-pictograms, in target/rpm/RPMS, by scripts/pg_clip.spec. Needs rpmbuild
# (package rpm), and looks at them with rpmlint where that is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
PG_CONFIG=$(command -v "${PG_CONFIG:-pg_config}")
top=$(realpath -m "${CARGO_TARGET_DIR:-target}")/rpm
command -v rpmbuild >/dev/null || { echo "rpmbuild is missing: apt-get install rpm, or dnf install rpm-build" >&2; exit 1; }
major=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
version=$(scripts/version.sh)
rm -rf "$top"
mkdir -p "$top"
# In place, so that what cargo has built serves. The packages that are named there are another distribution's.
rpmbuild -bb --build-in-place --nodeps --quiet --define "_topdir $top" --define "release_of $version" --define "pgmajor $major" \
	--define "pg_config_path $PG_CONFIG" scripts/pg_clip.spec >"$top/log" 2>&1 || { tail -n 40 "$top/log" >&2; exit 1; }
find "$top/RPMS" -name '*.rpm' | sort
for package in "$top"/RPMS/*/*.rpm; do rpm -qpl "$package" | sed "s|^|$(basename "$package"): |"; done >"$top/files"
if command -v rpmlint >/dev/null; then rpmlint --config scripts/rpmlint.toml "$top"/RPMS/*/*.rpm; fi

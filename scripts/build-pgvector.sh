#!/usr/bin/env bash
# Builds pgvector from Debian's source package of a later release, for releases that have no package of it.
# apt reads a configuration of its own in a temporary directory, so that the machine's stays as it is.
set -euo pipefail

PG_CONFIG=${PG_CONFIG:-pg_config}
SUITE=trixie   # Debian 13, pgvector 0.8.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/sources" "$work/lists/partial" "$work/source"
chmod 755 "$work"

# The archive that this machine installs from.
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 -E '/debian/?$' || true)
[ -n "$uri" ] || { echo "no Debian archive in apt's sources: install pgvector 0.8 or later yourself, see https://github.com/pgvector/pgvector" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
{
	printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\n' "$uri" "$SUITE"
	if [ -f "$keyring" ]; then echo "Signed-By: $keyring"; fi
} >"$work/sources/pgvector.sources"
apt=(apt-get -qq -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$work/sources" -o "Dir::State::lists=$work/lists"
	-o "Dir::Cache=$work" -o "APT::Sandbox::User=$(id -un)")

echo "building pgvector from the source package of Debian $SUITE"
"${apt[@]}" update
cd "$work/source"
"${apt[@]}" source pgvector >/dev/null 2>&1
cd pgvector-*/
# OPTFLAGS: pgvector's default of -march=native would tie the library to this machine's processor.
make -s -j"$(nproc)" OPTFLAGS="" PG_CONFIG="$PG_CONFIG" >/dev/null
${SUDO:-} make -s install OPTFLAGS="" PG_CONFIG="$PG_CONFIG" >/dev/null

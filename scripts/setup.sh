#!/usr/bin/env bash
# Installs what is missing to build and to test, and nothing else: compiler, libclang, a PostgreSQL server with its
# headers, pgvector 0.8 or later, and Rust where Debian has it. For Debian and Ubuntu. A second run changes nothing.
#
#   setup.sh [PACKAGE...]   and these packages, for what only some need
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

PG_CONFIG=${PG_CONFIG:-pg_config}
sudo=""
if [ "$(id -u)" != 0 ]; then sudo="sudo"; fi

updated=""
apt_install() {
	command -v apt-get >/dev/null || { echo "install these yourself, there is no apt-get here: $*" >&2; exit 1; }
	if [ -z "$updated" ]; then $sudo apt-get update -qq || echo "apt-get update failed; trying with the lists that are there" >&2; updated=1; fi
	echo "installing: $*"
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

missing=()
command -v cc >/dev/null && command -v make >/dev/null || missing+=(build-essential)
command -v python3 >/dev/null || missing+=(python3)
command -v runuser >/dev/null || missing+=(util-linux)
ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1 || missing+=(libclang-dev)
for package in "$@"; do [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package"); done
if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi

# The server: the one that pg_config belongs to, else the distribution's.
if ! command -v "$PG_CONFIG" >/dev/null || [ ! -x "$("$PG_CONFIG" --bindir)/initdb" ]; then apt_install postgresql postgresql-server-dev-all; fi
major=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
[ -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ] || apt_install "postgresql-server-dev-$major"

have_vector() {
	local control
	control="$("$PG_CONFIG" --sharedir)/extension/vector.control"
	[ -f "$control" ] && sed -nE "s/^default_version *= *'(.*)'/\1/p" "$control" | awk -F. '{ exit !($1 > 0 || $2 >= 8) }'
}
have_vector || {
	candidate=$(apt-cache policy "postgresql-$major-pgvector" 2>/dev/null | sed -nE 's/^ *Candidate: *([0-9].*)/\1/p')
	if [ -n "$candidate" ] && dpkg --compare-versions "$candidate" ge 0.8; then
		apt_install "postgresql-$major-pgvector"
	else
		command -v dpkg-source >/dev/null || apt_install dpkg-dev
		PG_CONFIG="$PG_CONFIG" SUDO="$sudo" "$(dirname "$0")/build-pgvector.sh"
	fi
}
have_vector || { echo "pgvector 0.8 or later is missing: install it from https://github.com/pgvector/pgvector" >&2; exit 1; }

# Rust that somebody has installed is left alone, rustup's too. Debian 13 has a recent one among its backports, Debian 12 has none.
if ! command -v cargo >/dev/null && grep -qs '^VERSION_CODENAME=trixie$' /etc/os-release; then
	SUDO="$sudo" "$(dirname "$0")/rust-from-backports.sh"
fi

"$(dirname "$0")/check-tools.sh"

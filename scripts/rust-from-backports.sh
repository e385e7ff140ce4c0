#!/usr/bin/env bash
# Installs rustc and cargo from Debian 13's backports, rustfmt, which pgrx runs, and the certificates without which cargo fetches nothing.
# apt reads a configuration of its own in a temporary directory, so that the machine's stays as it is.
set -euo pipefail
suite=trixie-backports
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/sources" "$work/lists/partial"
chmod 755 "$work" "$work/sources" "$work/lists"

# The archive that this machine installs from.
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 -E '/debian/?$' || true)
[ -n "$uri" ] || { echo "no Debian archive in apt's sources: install Rust 1.95 or later from https://rustup.rs" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
{
	printf 'Types: deb\nURIs: %s\nSuites: trixie %s\nComponents: main\n' "$uri" "$suite"
	if [ -f "$keyring" ]; then echo "Signed-By: $keyring"; fi
} >"$work/sources/rust.sources"
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$work/sources"
	-o "Dir::State::lists=$work/lists" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=" -o "APT::Sandbox::User=root")

echo "installing: rustc, cargo, rustfmt and ca-certificates from $suite"
${SUDO:-} "${apt[@]}" update
${SUDO:-} "${apt[@]}" install -y --no-install-recommends -t "$suite" rustc cargo rustfmt ca-certificates >/dev/null
${SUDO:-} rm -rf "$work/lists"

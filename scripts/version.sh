#!/usr/bin/env bash
# The version, from where it is said: Cargo.toml's workspace. With --set it is written to the files that must say it, too.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -nE '/^\[workspace.package\]/,/^$/s/^version = "(.*)"/\1/p' Cargo.toml)
[ -n "$version" ] || { echo "Cargo.toml has no version" >&2; exit 1; }
if [ "${1:-}" = --set ]; then
	sed -i -E "s/^(default_version *= *)'.*'/\1'$version'/" pg_clip.control
	sed -i -E "s/(\"version\": )\"[0-9]+\.[0-9]+\.[0-9]+\"/\1\"$version\"/; s/(\"meta-spec\": .*\"version\": )\"[^\"]*\"/\1\"1.0.0\"/" META.json
fi
echo "$version"

#!/usr/bin/env bash
# cargo-deny: licenses, sources and duplicates of what is linked, and, where the database of advisories can be fetched, those.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools
PATH=$tools/bin:$PATH
command -v cargo-deny >/dev/null || cargo install -q --locked --root "$tools" cargo-deny@0.20.2
cargo deny check --hide-inclusion-graph licenses bans sources
# That database is a git repository of its own, which may be out of reach.
if [ "${ADVISORIES:-1}" = 1 ]; then cargo deny check advisories; else echo "advisories: not checked (ADVISORIES=0)"; fi

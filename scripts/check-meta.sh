#!/usr/bin/env bash
# META.json by PGXN's own validator, which is installed below the target directory where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools
if [ ! -x "$tools/bin/pgxn_meta" ]; then cargo install -q --locked --root "$tools" pgxn_meta@0.7.0; fi
"$tools/bin/pgxn_meta" META.json

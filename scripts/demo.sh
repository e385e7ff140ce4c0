#!/usr/bin/env bash
# The main job on real input, in a throw-away cluster: pictures and texts in, one ORDER BY out. Expects a finished `make`.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cluster.sh
sudo=""
if [ ! -w "$("$PG_CONFIG" --pkglibdir)" ]; then sudo="sudo"; fi
$sudo env PATH="$PATH" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-}" make --no-print-directory -s install-extension PG_CONFIG="$PG_CONFIG"
start_cluster
python3 scripts/demo.py "${CARGO_TARGET_DIR:-target}/demo"

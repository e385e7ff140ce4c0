#!/usr/bin/env bash
# score.sh [DIR]: scores the bundled model on a set of named pictures: the demo's, or another directory.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
pgclip=${CARGO_TARGET_DIR:-$here/target}/release/pgclip
PGCLIP_MODEL_DIR=$(mktemp -d)
export PGCLIP_MODEL_DIR
trap 'rm -rf "$PGCLIP_MODEL_DIR"' EXIT
"$pgclip" import "$here/models/pictograms" >/dev/null
"$pgclip" evaluate pictograms --set "${1:-$here/models/demo}"

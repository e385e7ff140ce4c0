#!/usr/bin/env bash
# Scores the bundled model, calibrated and plain, on a set of named pictures: the demo's, or another directory.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
pgclip=${CARGO_TARGET_DIR:-$here/target}/release/pgclip
models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT
"$here/scripts/install-models.sh" "$models" >/dev/null
for name in pictograms pictograms-plain; do
	"$pgclip" evaluate "$name" --set "${1:-$here/models/demo}" --model-dir "$models"
	echo
done

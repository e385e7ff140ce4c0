#!/usr/bin/env bash
# install-models.sh DIR: installs the bundled model into a directory of models, calibrated for lists that mix texts and
# pictures, and beside it, as pictograms-plain, as it was trained. The two share their weights.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
pgclip=${CARGO_TARGET_DIR:-$here/target}/release/pgclip
export PGCLIP_MODEL_DIR=$1
"$pgclip" import "$here/models/pictograms" --name pictograms-plain
"$pgclip" calibrate pictograms-plain --as pictograms --means "$here/models/pictograms/calibration.json"

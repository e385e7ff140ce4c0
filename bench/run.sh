#!/usr/bin/env bash
# Times pg_clip beside other engines on this machine and writes bench/RESULTS.md. Expects a finished `make`.
#
#   run.sh [ROUNDS]     5 unless told otherwise
#
# PYTHON names an interpreter with torch, transformers, onnx, onnxscript, onnxruntime and openvino.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
target=${CARGO_TARGET_DIR:-target}
"$PYTHON" -c 'import torch, transformers, onnx, onnxscript, onnxruntime, openvino' 2>/dev/null || {
	echo "$PYTHON lacks a package: pip install torch transformers onnx onnxscript onnxruntime openvino, or set PYTHON" >&2
	exit 1
}
work=$target/bench
name=clip-vit-base-patch32
mkdir -p "$work"
if [ ! -d "$work/$name" ]; then "$PYTHON" crates/clip-core/tests/golden/make_tiny_models.py --full "$name" "$work"; fi
"$target/release/pgclip" import "$work/$name" --model-dir "$work/models"
threads=$(nproc)
"$PYTHON" bench/peers.py "$work/$name" --threads "$threads" --rounds "${1:-5}" --record bench/RESULTS.md \
	--ours "$target/release/pgclip bench $name --threads $threads --model-dir $work/models"

#!/usr/bin/env bash
# Times pg_clip beside other engines on this machine, and puts the tables into bench/RESULTS.md. Expects a finished `make` and an idle
# machine.
#
#   run.sh [OPTION...]      options of bench/peers.py, as --rounds 5 (else 5) or --cases image_b1,text_b1_l10
#   MODEL=NAME run.sh       clip-vit-base-patch32 unless told otherwise: one that make_tiny_models.py makes with random weights, or the
#                           name of a directory in target/bench
#   CANDLE=no run.sh        without candle, which is compiled else
#   RECORD=FILE run.sh      into this file; RECORD= into none
#
# ViT-H/14 takes 17 GB of disk and 9 GB of memory, ViT-L/14@336 7 and 4. Their f32 takes long: --cases image_b1,image_b8,text_b1_l10
# and --rounds 2. PYTHON names an interpreter with torch, transformers, onnx, onnxscript, onnxruntime and openvino, and with
# faster-clip if it is to be beside them.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
target=${CARGO_TARGET_DIR:-target}
"$PYTHON" -c 'import torch, transformers, onnx, onnxscript, onnxruntime, openvino' 2>/dev/null || {
	echo "$PYTHON lacks a package: pip install torch transformers onnx onnxscript onnxruntime openvino faster-clip, or set PYTHON" >&2
	exit 1
}
work=$target/bench
name=${MODEL:-clip-vit-base-patch32}
mkdir -p "$work"
if [ ! -f "$work/$name/tokenizer_config.json" ]; then "$PYTHON" crates/clip-core/tests/golden/make_tiny_models.py --full "$name" "$work"; fi
"$target/release/pgclip" import "$work/$name" --model-dir "$work/models"
options=(--rounds 5)
if [ "${CANDLE:-yes}" != no ]; then
	# for the processor at hand, as candle's own checkout builds
	RUSTFLAGS="-C target-cpu=native" cargo build -q --release --manifest-path bench/candle/Cargo.toml --target-dir "$target/candle"
	options+=(--candle "$target/candle/release/candle-clip")
fi
RECORD=${RECORD-bench/RESULTS.md}
if [ -n "$RECORD" ]; then options+=(--record "$RECORD"); fi
"$PYTHON" bench/peers.py "$work/$name" --pgclip "$target/release/pgclip" --model-dir "$work/models" "${options[@]}" "$@"
echo "Whole loads and searches beside scripts without pg_clip: make install-extension && bench/end_to_end.sh --record" >&2

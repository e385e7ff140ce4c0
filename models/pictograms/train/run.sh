#!/usr/bin/env bash
# From nothing to a trained, exported and evaluated model:   train/run.sh --minutes 85 --out DIR [further arguments of train.py]
# --work DIR (default: OUT/work) keeps the packages, the rendered pictures and the Python environment for the next run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out='' work='' rest=()
while [ $# -gt 0 ]; do
    case $1 in
        --out) out=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        *) rest+=("$1"); shift ;;
    esac
done
[ -n "$out" ] || { echo "usage: run.sh --minutes N --out DIR [--work DIR] [further arguments of train.py]" >&2; exit 2; }
work=${work:-$out/work}
mkdir -p "$out" "$work"
python=${PICTOGRAMS_PYTHON:-$work/venv/bin/python}     # an environment of one's own that has requirements.txt
if [ ! -x "$python" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet -r "$here/requirements.txt"
fi
"$python" "$here/render.py" --npm "$work/npm" --data "$work/data"
[ -f "$work/evalset/evalset.json" ] || "$python" "$here/eval_set.py" --npm "$work/npm" --out "$work/evalset"
"$python" "$here/train.py" --data "$work/data" --evalset "$work/evalset" --out "$out" "${rest[@]}"
"$python" "$here/evaluate.py" "$out" "$work/evalset" --dtype bfloat16 --queries --json "$out/scores.json"

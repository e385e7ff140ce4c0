#!/usr/bin/env bash
# From a directory of JPEGs to rows with vectors and an HNSW index, and from texts to names: pg_clip beside scripts that a user could
# write instead, each with all threads, each in a throw-away cluster of its own. Expects an installed extension and an idle machine.
#
#   end_to_end.sh [--images N] [--queries N] [--ways WAY,...] [--record]
#
#   --images N     2,000 unless told otherwise; bench/end_to_end/collection.py says what they are
#   --queries N    200 unless told otherwise, one at a time, after some that warm up
#   --ways         pg_clip, onnxruntime, pytorch; pg_clip-here, where the client embeds as the scripts do; and pg_clip-here-reduced,
#                  pg_clip-reduced and onnxruntime-draft, which decode large JPEGs to a half, a quarter or an eighth of their size;
#                  all unless told otherwise
#   --record       puts the table of this machine into bench/RESULTS.md
#
# The clock of a load runs until the index is ready. It starts when a script has loaded its model, and with pg_clip at the start of the
# program, so that its workers have yet to start. The answers are compared with the exact ones of transformers in f32.
#
# PHOTOS names a directory of photos that the pictures are made of, ../shared/data/photos if that is there. PYTHON names an interpreter
# with torch, torchvision, transformers, onnx, onnxscript, onnxruntime, psycopg[binary], pgvector and pillow.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cluster.sh
PYTHON=${PYTHON:-python3}
COMMAND="bench/end_to_end.sh${*:+ $*}"
images=2000 queries=200 record="" ways=pg_clip,pg_clip-here,onnxruntime,pytorch,pg_clip-reduced,pg_clip-here-reduced,onnxruntime-draft
while [ $# -gt 0 ]; do
	case $1 in
		--images) images=$2; shift ;;
		--queries) queries=$2; shift ;;
		--ways) ways=$2; shift ;;
		--record) record=bench/RESULTS.md ;;
		*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
	esac
	shift
done
"$PYTHON" -c 'import torch, torchvision, transformers, onnx, onnxscript, onnxruntime, psycopg, pgvector, PIL' || {
	echo "$PYTHON lacks a package: pip install torch torchvision transformers onnx onnxscript onnxruntime psycopg[binary] pgvector pillow" >&2
	exit 1
}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/bench name=clip-vit-base-patch32
export PGCLIP=$target/release/pgclip MODEL=$name
THREADS=$(nproc)
export COMMAND THREADS PYTHONDONTWRITEBYTECODE=1 TRANSFORMERS_VERBOSITY=error TQDM_DISABLE=1
mkdir -p "$work"

say() { echo "$(date +%T) $*" >&2; }
if [ -z "${PHOTOS:-}" ] && [ -d ../shared/data/photos ]; then PHOTOS=../shared/data/photos; fi
jpegs=$work/collection-$images
say "$images pictures"
"$PYTHON" bench/end_to_end/collection.py "$jpegs" "$images" ${PHOTOS:+"$PHOTOS"}
if [ ! -f "$work/$name/tokenizer_config.json" ]; then "$PYTHON" crates/clip-core/tests/golden/make_tiny_models.py --full "$name" "$work"; fi
"$PGCLIP" import "$work/$name" --model-dir "$work/models" >/dev/null
"$PYTHON" bench/engines.py export "$work/$name" >/dev/null
exact=$work/exact-$images-$queries.json
if [ ! -f "$exact" ]; then
	say "exact answers"
	"$PYTHON" bench/end_to_end/way_pytorch.py "$work/$name" "$jpegs" "$queries" "$exact.part"
	mv "$exact.part" "$exact"
fi
results=$work/end-to-end.jsonl
rm -f "$results"

# A new cluster for each way, as memory that the one before has touched would count for the next one.
run_way() {
	local label=$1 precision=$2 script=$3
	start_cluster
	# as the server's user may not be able to read this checkout; a link costs nothing
	cp -rl "$work/models/$name" "$CLUSTER_DIR/models/" 2>/dev/null || cp -r "$work/models/$name" "$CLUSTER_DIR/models/"
	chmod -R a+rX "$CLUSTER_DIR/models"
	cat >>"$CLUSTER_DIR/data/postgresql.conf" <<-END
		shared_preload_libraries = '$4'
		min_wal_size = 1GB
	END
	if [ -n "${5:-}" ]; then echo "$5" >>"$CLUSTER_DIR/data/postgresql.conf"; fi
	restart_cluster
	say "$label"
	PRECISION=$precision "$PYTHON" bench/end_to_end/measure.py "$label" "$results" "$(head -n 1 "$CLUSTER_DIR/data/postmaster.pid")" \
		"$PYTHON" "bench/end_to_end/$script" "$work/$name" "$jpegs" "$queries"
	stop_cluster
}

for way in ${ways//,/ }; do
	case $way in
		pg_clip) run_way "pg_clip" auto way_pg_clip.py pg_clip ;;
		pg_clip-here) LOAD="--embed-here --model-dir $work/models" run_way "pg_clip, the client embeds" auto way_pg_clip.py pg_clip ;;
		pg_clip-here-reduced)
			LOAD="--embed-here --model-dir $work/models --jpeg-decoding reduced" \
				run_way "pg_clip, the client embeds, reduced JPEGs" auto way_pg_clip.py pg_clip ;;
		pg_clip-reduced) run_way "pg_clip, reduced JPEGs" auto way_pg_clip.py pg_clip "clip.jpeg_decoding = 'reduced'" ;;
		onnxruntime) run_way "Pillow, ONNX Runtime int8, COPY" int8 way_onnxruntime.py "" ;;
		onnxruntime-draft) DRAFT=yes run_way "Pillow with draft, ONNX Runtime int8, COPY" int8 way_onnxruntime.py "" ;;
		pytorch) run_way "transformers, PyTorch, COPY" f32 way_pytorch.py "" ;;
		*) echo "unknown way $way" >&2; exit 2 ;;
	esac
done
SERVER=$("$PG_BIN/postgres" --version | sed -E 's/^postgres \(PostgreSQL\) ([0-9.]+).*/PostgreSQL \1/') \
	"$PYTHON" bench/end_to_end/report.py "$results" "$exact" "$name" "$images" ${record:+"$record"}
say "done"

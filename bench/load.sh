#!/usr/bin/env bash
# `pgclip load` beside COPY by hand and beside the engine alone, in a throw-away cluster with the bundled model. Expects an installed
# extension and an idle machine.
#
#   load.sh [IMAGES]    10,000 unless told otherwise
#   PHOTOS=DIR load.sh  only what --max-side does to the vectors of photos; MODEL=NAME PGCLIP_MODEL_DIR=DIR: of another model
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cluster.sh
images=${1:-10000}
start_cluster
cat >>"$CLUSTER_DIR/data/postgresql.conf" <<-END
	shared_preload_libraries = 'pg_clip'
	clip.workers = 1
	min_wal_size = 1GB
END
if [ -n "${MODEL:-}" ]; then printf "clip.model_dir = '%s'\nclip.model = '%s'\n" "$PGCLIP_MODEL_DIR" "$MODEL" >>"$CLUSTER_DIR/data/postgresql.conf"; fi
restart_cluster
program=$(realpath "${CARGO_TARGET_DIR:-target}/release/pgclip")
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
all_done() { sql -c 'DO $$ BEGIN WHILE EXISTS (SELECT FROM clip.queue) LOOP COMMIT; PERFORM pg_sleep(0.02); END LOOP; END $$'; }
now() { date +%s.%N; }
rate() { awk -v n="$images" -v s="$(now)" -v t="$2" -v w="$1" 'BEGIN { printf "| %s | %.0f |\n", w, n / (s - t) }'; }
make_table() { sql -c "SET client_min_messages = warning" -c "DROP TABLE IF EXISTS $1" -c "SELECT clip_create_table('$1', mode => 'async', index => false)" >/dev/null; }
sql -c "CREATE EXTENSION pg_clip CASCADE" 2>/dev/null

if [ -n "${PHOTOS:-}" ]; then
	sql -c "ALTER DATABASE postgres SET clip.precision = 'f32'"
	make_table whole
	(cd "$PHOTOS" && "$program" load . -t whole >/dev/null) || true
	echo "| --max-side | photos made smaller | bytes sent | 1 - cosine, median | worst |"
	echo "|---|---|---|---|---|"
	for side in 2048 1024 512; do
		make_table small
		sent=$( (cd "$PHOTOS" && "$program" load . -t small --max-side $side --json) | sed -nE 's/.*"bytes":([0-9]+).*/\1/p') || true
		sql -c "SELECT format('| $side | %s | %s | %s | %s |', count(*), '$sent', round(percentile_cont(0.5) WITHIN GROUP (ORDER BY d)::numeric, 6), round(max(d)::numeric, 5))
			FROM (SELECT w.embedding <=> s.embedding AS d FROM whole w JOIN small s USING (content_ref)
				WHERE greatest((w.metadata->>'width')::int, (w.metadata->>'height')::int) > $side) q"
	done
	exit
fi

# PNGs of 256 x 192, no two alike
files=$CLUSTER_DIR/files
PYTHONPATH=pg_test/sessions python3 - "$images" "$files" "$CLUSTER_DIR/images" <<'END'
import os, sys
from rows import pictures
with open(sys.argv[3], "w") as out:
    for i, image in enumerate(pictures(int(sys.argv[1]), (256, 192))):
        name = f"{i % 100}/p{i}.png"
        os.makedirs(f"{sys.argv[2]}/{i % 100}", exist_ok=True)
        with open(f"{sys.argv[2]}/{name}", "wb") as file:
            file.write(image)
        out.write(f"image\t{name}\t\\\\x{image.hex()}\n")
END
echo "$images images, $(nproc) cores"
echo "| way | images a second |"
echo "|---|---|"
photos=("$files"/[0-9]/*.png)
photos=("${photos[@]:0:256}")
"$program" bench pictograms --model-dir "$CLUSTER_DIR/models" --case photos "${photos[@]/#/--photo=}" |
	awk -v n="${#photos[@]}" '{ printf "| pgclip bench, %d of them from bytes to embeddings, %s | %.0f |\n", n, $2, 1000 * n / $3 }'
for round in 1 2 3; do
	make_table by_hand
	start=$(now)
	sql -c "\\copy by_hand (modality, content_ref, image) FROM '$CLUSTER_DIR/images'"
	rate "COPY by hand, round $round: sent" "$start"
	all_done
	rate "COPY by hand, round $round: embedded" "$start"
	for words in --no-wait "" "--embed-here --model-dir $CLUSTER_DIR/models"; do
		make_table loaded
		start=$(now)
		# shellcheck disable=SC2086  # words
		(cd "$files" && "$program" load . -t loaded $words >/dev/null)
		rate "pgclip load $words, round $round" "$start"
		all_done
	done
	start=$(now)
	(cd "$files" && "$program" load . -t loaded >/dev/null)
	rate "pgclip load again, nothing new, round $round" "$start"
done
[ "$(sql -c "SELECT count(*) FROM loaded l JOIN by_hand b USING (content_ref) WHERE l.embedding <=> b.embedding < 0.001")" = "$images" ]

#!/usr/bin/env bash
# How fast images are loaded, way by way, and what a writer waits, in a throw-away cluster with the bundled model. Expects an installed
# extension (`make && make install-extension`), an idle machine, and pgbench.
#
#   loading.sh [IMAGES]    10,000 unless told otherwise
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
restart_cluster
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
# one session that looks now and then: starting psql again and again would take a good part of a core
all_done() { sql -c 'DO $$ BEGIN WHILE EXISTS (SELECT FROM clip.queue) LOOP COMMIT; PERFORM pg_sleep(0.02); END LOOP; END $$'; }
now() { date +%s.%N; }
rate() { awk -v n="$images" -v s="$(now)" -v t="$2" -v w="$1" 'BEGIN { printf "| %s | %.0f |\n", w, n / (s - t) }'; }

# PNGs of 256 x 192, no two alike, and noise of 100 kB
PYTHONPATH=pg_test/sessions python3 - "$images" "$CLUSTER_DIR" <<'END'
import os, random, sys
from pg import png_of
from rows import pictures
os.mkdir(sys.argv[2] + "/files")
with open(sys.argv[2] + "/images", "w") as out:
    for i, image in enumerate(pictures(int(sys.argv[1]), (256, 192))):
        out.write(f"image\tp{i}\t\\\\x{image.hex()}\n")
        if i < 256:
            with open(f"{sys.argv[2]}/files/{i}.png", "wb") as file:
                file.write(image)
numbers = random.Random(1)
with open(sys.argv[2] + "/large", "w") as out:
    for i in range(100):
        image = png_of((190, 180), b"".join(b"\0" + numbers.randbytes(3 * 190) for _ in range(180)))
        out.write(f"{i}\t\\\\x{image.hex()}\n")
END
sql -c "CREATE EXTENSION pg_clip CASCADE" -c "CREATE TABLE plain (modality clip_modality, content_ref text, image bytea)" 2>/dev/null
copy() { sql -c "\\copy $1 (modality, content_ref, image) FROM '$CLUSTER_DIR/images'"; }
copy plain
sql -c "VACUUM ANALYZE plain"
echo "$images images, $(sql -c "SELECT avg(length(image))::int FROM plain") bytes each, $(nproc) cores"
echo "| way | images a second |"
echo "|---|---|"
photos=("$CLUSTER_DIR"/files/*.png)
"${CARGO_TARGET_DIR:-target}/release/pgclip" bench pictograms --model-dir "$CLUSTER_DIR/models" --case photos ${photos[@]/#/--photo=} |
	awk -v n="${#photos[@]}" '{ printf "| pgclip bench, %d of them from bytes to embeddings, %s | %.0f |\n", n, $2, 1000 * n / $3 }'
start=$(now)
sql -c "SET clip.cache_entries = 0" -c "SELECT sum(cardinality(clip_embed_images(a))) FROM (SELECT array_agg(image) a FROM
	(SELECT image, row_number() OVER () / 64 AS g FROM plain) q GROUP BY g) q" >/dev/null
rate "the engine: clip_embed_images, 64 at a time" "$start"
sql -c "SELECT clip_create_table('waiting', mode => 'async', index => false)" >/dev/null
start=$(now)
copy waiting
rate "COPY into mode async: done for the loader" "$start"
all_done
rate "COPY into mode async: embedded" "$start"
[ "$(sql -c "SELECT count(*) FROM waiting WHERE embedding IS NOT NULL AND image IS NULL")" = "$images" ]
set_workers() { sql -c "ALTER SYSTEM SET clip.workers = $1" -c "ALTER SYSTEM SET clip.threads = $2" -c "SELECT pg_reload_conf()" -c "SELECT pg_sleep(3)" >/dev/null; }
set_workers "$(nproc)" 1
sql -c "SELECT clip_create_table('shared', mode => 'async', index => false)" >/dev/null
start=$(now)
copy shared
all_done
rate "the same with $(nproc) workers, each with one thread" "$start"
[ "$(sql -c "SELECT count(*) FROM shared s JOIN waiting w USING (content_ref) WHERE s.embedding = w.embedding")" = "$images" ]
set_workers 1 0
sql -c "SELECT clip_create_table('direct', index => false)" >/dev/null
start=$(now)
copy direct
rate "COPY into mode sync" "$start"
[ "$(sql -c "SELECT count(*) FROM waiting w JOIN direct d USING (content_ref) WHERE w.embedding = d.embedding")" = "$images" ]
sql -c "SELECT clip_create_table('selected', index => false)" >/dev/null
start=$(now)
sql -c "INSERT INTO selected (modality, content_ref, image) SELECT modality, content_ref, image FROM plain"
rate "INSERT ... SELECT in mode sync" "$start"
sql -c "ALTER TABLE plain SET (parallel_workers = $(($(nproc) - 1)))"
start=$(now)
sql -c "SET clip.threads = 1" -c "SET clip.cache_entries = 0" -c "SET parallel_setup_cost = 0" -c "SET max_parallel_workers_per_gather = 16" \
	-c "CREATE TABLE made AS SELECT content_ref, clip_embed_image(image) AS embedding FROM plain"
rate "parallel CREATE TABLE AS" "$start"
sql -c "SELECT clip_create_table('filled', keep_images => true, index => false)" -c "ALTER TABLE filled DISABLE TRIGGER ALL" \
	-c "INSERT INTO filled (modality, content_ref, image) SELECT modality, content_ref, image FROM plain" -c "ALTER TABLE filled ENABLE TRIGGER ALL" >/dev/null
start=$(now)
sql -c "CALL clip_backfill('filled')" 2>/dev/null
rate "clip_backfill" "$start"

# Writers, one row a statement, 20 a second. Segments of the WAL are there to be used again, as on a server that has run for a while.
sql -c "CREATE TABLE source (id int PRIMARY KEY, image bytea)" -c "\\copy source FROM '$CLUSTER_DIR/large'" \
	-c "CREATE TABLE without (LIKE waiting INCLUDING ALL)" -c "SELECT clip_create_table('with', mode => 'async', index => false)" \
	-c "CREATE TABLE much AS SELECT image FROM source, generate_series(1, 60)" -c "DROP TABLE much" -c "CHECKPOINT" >/dev/null
# time from a statement's start: the third field less the time that it started late, the last
percentile() { cat "$CLUSTER_DIR/$1".*.* | awk '{ print ($3 - $NF) / 1000 }' | sort -n | awk -v p="$2" '{ v[NR] = $1 } END { printf "%.2f", v[int(NR * p + 0.999)] }'; }
echo
echo "| an INSERT of an image of 100 kB, 20 a second | median ms | 95 % ms | 99 % ms |"
echo "|---|---|---|---|"
for fsync in off on; do
	echo "fsync = $fsync" >>"$CLUSTER_DIR/data/postgresql.conf"
	restart_cluster
	for round in 1 2 3 4; do
		for table in without with; do
			printf '\\set r random(0, 99)\nINSERT INTO "%s" (modality, content_ref, image) SELECT '"'image', 'w'"', image FROM source WHERE id = :r;\n' "$table" >"$CLUSTER_DIR/write"
			"$PG_BIN/pgbench" -n -M prepared -f "$CLUSTER_DIR/write" -R 20 -T 20 -l --log-prefix="$CLUSTER_DIR/$fsync.$table.$round" >/dev/null 2>&1
			all_done
		done
	done
	for table in without with; do
		case $table in without) what="no trigger" ;; with) what="mode async, a worker at work" ;; esac
		echo "| fsync $fsync, $what | $(percentile $fsync.$table 0.5) | $(percentile $fsync.$table 0.95) | $(percentile $fsync.$table 0.99) |"
	done
done

#!/usr/bin/env bash
# What SQL adds to the engine, what a connection costs in time and memory, and what two get together, in a throw-away cluster.
# Expects a finished `make` with its extension installed, an idle machine, and pgbench.
#
#   sql.sh MODELS NAME    a directory of installed models and the name of one, as `make bench` leaves in target/bench/models
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cluster.sh
start_cluster
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
pgclip=$(realpath "${CARGO_TARGET_DIR:-target}/release/pgclip")
pgbench() { "$PG_BIN/pgbench" -n -M prepared "$@" 2>&1; }
latency() { pgbench -T 6 "$@" | awk '/latency average/ { print $4 }'; }
best() { for _ in 1 2 3; do latency "$@"; done | sort -n | head -1; }
cp -r "$1" "$CLUSTER_DIR/more" && chmod -R a+rX "$CLUSTER_DIR/more"
cat >>"$CLUSTER_DIR/data/postgresql.conf" <<-END
	clip.model_dir = '$CLUSTER_DIR/more'
	clip.model = '$2'
	max_connections = 120
END
restart_cluster
sql -c "CREATE EXTENSION pg_clip CASCADE" 2>/dev/null
PYTHONPATH=pg_test/sessions python3 -c '
import sys
from rows import pictures
sys.stdout.writelines(f"{i}\t\\\\x{image.hex()}\n" for i, image in enumerate(pictures(64, (256, 192))))' >"$CLUSTER_DIR/images"
sql -c "CREATE TABLE source (id int PRIMARY KEY, image bytea)" -c "\\copy source FROM '$CLUSTER_DIR/images'"
cd "$CLUSTER_DIR"
printf '\\set r random(10000, 99999)\n%s;\n' "SELECT clip_embed_text('a photo of ' || :r)" >text
printf "SELECT clip_embed_text('a photo of a small dog');\n" >same
printf "SELECT 1;\n" >nothing
printf '\\set r random(0, 1000000)\n%s;\n' "SELECT cardinality(clip_embed_images(array_agg(image || int4send(:r)))) FROM source WHERE id < 16" >batch
echo "model $2, $(nproc) cores, clip.precision auto"
threads=$(nproc)
precision=f32
grep -q avx512_bf16 /proc/cpuinfo && precision=bf16 # as auto
engine() { "$pgclip" bench "$2" --model-dir "$1" --precision $precision --threads "$threads" --case text_b1_l10 | awk '{ print $3 }'; }
[ "$(sql -c "SELECT clip_token_count('a photo of 12345')")" = 10 ] || echo "not 10 tokens: the engine's figure is of another length" >&2
export PGOPTIONS="-c clip.cache_entries=0 -c clip.threads=$threads -c clip.precision=$precision"
for _ in 1 2 3; do
	engine "$CLUSTER_DIR/more" "$2" >>engine.ms
	latency -f text -l --log-prefix=text >>text.ms
done
export PGOPTIONS=
nothing=$(best -f nothing)
fastest=$(awk 'NR == 1 || $3 < least { least = $3 } END { print least / 1000 }' text.[0-9]*) # as the engine's: the best of many runs
echo "a text of 10 tokens, $precision, $threads threads: the engine $(sort -n engine.ms | head -1) ms at best, clip_embed_text with the round trip $fastest ms at best, $(sort -n text.ms | head -1) ms on average"
echo "SELECT 1, the round trip: $nothing ms; a repeated text: $(best -f same) ms"
first() { sql -c '\timing on' -c "SELECT clip_embed_text('first $RANDOM') IS NULL" -c "SELECT clip_embed_text('second $RANDOM') IS NULL" | awk '/^Time/ { print $2 }' | paste -sd' '; }
for _ in 1 2 3; do echo "first and second text of a new connection: $(first) ms"; done
{ printf 'SELECT clip_embed_text($$cat$$) IS NULL, clip_embed_image(image) IS NULL FROM source LIMIT 1;\n\\! touch %s/ready.$$; sleep 20\n' "$CLUSTER_DIR"; } >session
for _ in $(seq 50); do sql -f session >/dev/null & done
while [ "$(ls ready.* 2>/dev/null | wc -l)" -lt 50 ]; do sleep 0.2; done
sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()" | while read -r pid; do
	cat "/proc/$pid/smaps_rollup"
done | awk '/^Pss:/ { pss += $2; n++ } /^Private/ { own += $2 } END { printf "%d connections with a text and an image each: PSS %.1f MB, private %.1f MB each\n", n, pss / n / 1000, own / n / 1000 }'
wait $(jobs -p)
export PGOPTIONS="-c clip.cache_entries=0"
for clients in 1 2; do
	for threads in 1 2; do
		rate=$(for _ in 1 2; do PGOPTIONS="$PGOPTIONS -c clip.threads=$threads" pgbench -T 20 -c $clients -j $clients -f batch | awk '/^tps/ { print 16 * $3 }'; done | sort -n | tail -1)
		echo "$clients connections, clip.threads = $threads: $rate images a second"
	done
done
export PGOPTIONS=
printf "shared_preload_libraries = 'pg_clip'\nclip.preload = '%s'\nclip.workers = 0\n" "$2" >>data/postgresql.conf
restart_cluster
for _ in 1 2 3; do echo "preloaded, first and second text of a new connection: $(first) ms"; done

#!/usr/bin/env bash
# pg_upgrade from another major version: attached tables, models, a full queue and a dead letter are there and go on.
#
#   OLD_PG_CONFIG=/path/to/old/pg_config PG_CONFIG=/path/to/new/pg_config pg_upgrade.sh
#
# Both must have the extension installed. The library is preloaded before and after, as it is where a queue is in use.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
new_bin=$("${PG_CONFIG:-pg_config}" --bindir)
PG_CONFIG=$OLD_PG_CONFIG
source "$here/../scripts/cluster.sh"
started=$SECONDS
start_cluster
pgclip=${CARGO_TARGET_DIR:-$CHECKOUT/target}/${BUILD_PROFILE:-release}/pgclip
golden=$CHECKOUT/crates/clip-core/tests/golden/models
"$pgclip" import "$golden/tiny-clip" --name tiny --model-dir "$CLUSTER_DIR/models" >/dev/null
"$pgclip" import "$golden/tiny-clip-eps" --name tiny-eps --model-dir "$CLUSTER_DIR/models" >/dev/null

sql() { "$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
expect() {
	local got
	got=$(sql -d shop -c "$2")
	[ "$got" = "$3" ] || { printf '%s: expected %s, got %s\n%s\n' "$1" "$3" "$got" "$2" >&2; tail -n 30 "$CLUSTER_DIR"/*.log >&2; exit 1; }
}

# f32: as the functions that are given a model, which vectors are compared with
printf '%s\n' "shared_preload_libraries = 'pg_clip'" "clip.precision = 'f32'" >>"$CLUSTER_DIR/data/postgresql.conf"
restart_cluster
sql -c "ALTER SYSTEM SET clip.workers = 0" -c "SELECT pg_reload_conf()" -c "CREATE DATABASE shop" >/dev/null
sql -d shop >/dev/null <<-'END'
	SET client_min_messages = error;
	CREATE EXTENSION pg_clip CASCADE;
	SELECT clip_create_table('items', keep_images => true);
	INSERT INTO items (modality, content_ref) SELECT 'text', 'number ' || i FROM generate_series(1, 50) i;
	-- a queue with work, and a row that was given up
	SELECT clip_create_table('waiting', model => 'tiny', mode => 'async');
	INSERT INTO waiting (modality, content_ref, image) VALUES ('image', 'bad.png', '\x00');
	CALL clip_drain('waiting');
	INSERT INTO waiting (modality, content_ref) SELECT 'text', 'waits ' || i FROM generate_series(1, 500) i;
	-- tables of one's own: two columns, another model, partitions, half the size, a generated column, an index on an expression
	CREATE TABLE products (id int PRIMARY KEY, title text, subtitle text, title_vec vector, subtitle_vec halfvec(24));
	SELECT clip_attach('products', 'title_vec', text_column => 'title');
	SELECT clip_attach('products', 'subtitle_vec', text_column => 'subtitle', model => 'tiny-eps');
	INSERT INTO products SELECT i, 'product ' || i, 'subtitle ' || i FROM generate_series(1, 20) i;
	CREATE TABLE parts (id int, body text, embedding vector, PRIMARY KEY (id)) PARTITION BY RANGE (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
	CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (1000);
	SELECT clip_attach('parts', text_column => 'body', model => 'tiny', mode => 'async');
	INSERT INTO parts SELECT i, 'part ' || i FROM generate_series(1, 200, 10) i;
	CREATE TABLE notes (body text, embedding vector(24) GENERATED ALWAYS AS (clip_embed_text(body, 'tiny')) STORED);
	INSERT INTO notes SELECT 'note ' || i FROM generate_series(1, 20) i;
	CREATE INDEX ON notes (clip_embed_text(body, 'tiny'));
	-- a change of model that was begun
	CREATE TABLE changing (id int PRIMARY KEY, title text, embedding vector);
	SELECT clip_attach('changing', text_column => 'title', model => 'tiny');
	INSERT INTO changing SELECT i, 'title ' || i FROM generate_series(1, 100) i;
END
# Interrupted where it waits for a snapshot that is older than its vectors.
sql -d shop -c "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM items LIMIT 1; SELECT pg_sleep(600)" >/dev/null 2>&1 &
holder=$!
sql -d shop -c "CALL clip_change_model('changing', 'tiny-eps')" >/dev/null 2>&1 &
changer=$!
for _ in $(seq 600); do
	[ "$(sql -d shop -c "SELECT count(*) FROM changing WHERE to_jsonb(changing) ->> 'embedding_next' IS NOT NULL")" = 100 ] && break
	sleep 0.1
done
sql -d shop -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid()" >/dev/null
wait "$holder" "$changer" || true
expect "a change of model under way" "SELECT count(*) FROM clip.model_changes" 1

tables="items waiting products parts notes changing clip.tables clip.queue clip.failures clip.model_changes clip.backfills"
sums() { for table in $tables; do sql -d shop -c "SELECT '$table', count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM $table t"; done; }
sums >"$CLUSTER_DIR/before"

as_server "$PG_BIN/pg_ctl" -D "$CLUSTER_DIR/data" -w -s stop
old_bin=$PG_BIN PG_BIN=$new_bin
options=()
if [[ $(as_server "$new_bin/initdb" --help) == *no-data-checksums* ]]; then options+=(--no-data-checksums); fi
as_server mv "$CLUSTER_DIR/data" "$CLUSTER_DIR/old"
as_server "$new_bin/initdb" -D "$CLUSTER_DIR/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N "${options[@]}" >"$CLUSTER_DIR/initdb.log"
sed -n '/^listen_addresses/,$p' "$CLUSTER_DIR/old/postgresql.conf" >>"$CLUSTER_DIR/data/postgresql.conf"
as_server env -C "$CLUSTER_DIR" "$new_bin/pg_upgrade" -b "$old_bin" -B "$new_bin" -d "$CLUSTER_DIR/old" -D "$CLUSTER_DIR/data" -U postgres \
	--socketdir "$CLUSTER_DIR" >"$CLUSTER_DIR/pg_upgrade.log" 2>&1 ||
	{ cat "$CLUSTER_DIR/pg_upgrade.log" >&2; find "$CLUSTER_DIR/data/pg_upgrade_output.d" -name 'pg_upgrade_dump_*.log' -exec grep -h -A3 "error:" {} + >&2; exit 1; }
echo "clip.workers = 0" >>"$CLUSTER_DIR/data/postgresql.conf"
as_server "$PG_BIN/pg_ctl" -D "$CLUSTER_DIR/data" -l "$CLUSTER_DIR/server.log" -w -s start
sql -d shop -c "ALTER EXTENSION vector UPDATE"

sums >"$CLUSTER_DIR/after"
diff "$CLUSTER_DIR/before" "$CLUSTER_DIR/after" || { echo "rows are not as they were" >&2; exit 1; }
expect "the nearest" "SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', 'number 7') LIMIT 1" "number 7"
expect "search" "SELECT content_ref FROM clip_search('items', 'number 9', k => 1)" "number 9"
expect "an index on an expression" "SET enable_seqscan = off; SELECT body FROM notes WHERE clip_embed_text(body, 'tiny') = clip_embed_text('note 3', 'tiny')" "note 3"
expect "the dead letter" "SELECT sqlstate, state FROM clip_failures" "22P03|dead"
expect "what waits" "SELECT sum(waiting) FROM clip_queue" 520

# Workers find the queue by themselves, and the change of model ends.
sed -i '/^clip.workers/d' "$CLUSTER_DIR/data/postgresql.conf"
as_server "$PG_BIN/pg_ctl" -D "$CLUSTER_DIR/data" -s reload
for _ in $(seq 600); do
	[ "$(sql -d shop -c "SELECT coalesce(sum(waiting + claimed + retrying), 0) FROM clip_queue")" = 0 ] && break
	sleep 0.1
done
expect "vectors of the queue" "SELECT count(*) FROM waiting WHERE embedding <=> clip_embed_text(content_ref, 'tiny') < 1e-5" 500
expect "vectors of partitions" "SELECT count(*) FROM parts WHERE embedding <=> clip_embed_text(body, 'tiny') < 1e-5" 20
sql -d shop -c "SET client_min_messages = error" -c "CALL clip_change_model('changing', 'tiny-eps')"
expect "vectors of the other model" "SELECT count(*) FROM changing WHERE embedding <=> clip_embed_text(title, 'tiny-eps') < 1e-5" 100
sql -d shop -c "INSERT INTO items (modality, content_ref) VALUES ('text', 'new')" -c "UPDATE products SET title = 'new', subtitle = 'new' WHERE id = 1"
expect "triggers" "SELECT (SELECT embedding <=> clip_query('items', 'new') < 1e-5 FROM items WHERE content_ref = 'new'),
	title_vec <=> clip_embed_text('new') < 1e-5, subtitle_vec::vector <=> clip_embed_text('new', 'tiny-eps') < 1e-3 FROM products WHERE id = 1" "t|t|t"
echo "pg_upgrade: $("$old_bin/postgres" --version | sed -E 's/.* ([0-9.]+).*/\1/') to $("$new_bin/postgres" --version | sed -E 's/.* ([0-9.]+).*/\1/'), $(wc -l <"$CLUSTER_DIR/before") tables as they were, in $((SECONDS - started)) s"

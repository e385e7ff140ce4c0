#!/usr/bin/env bash
# clip_search beside the plain statement, on texts and images in two cones, in a throw-away cluster: rows of rows owed, recall against
# the exact scan, latency, plan. Expects an installed extension and an idle machine. No model runs: queries are vectors.
#
#   search.sh [ROWS [TYPE]]    default: 100000 rows of vector(512); TYPE may be halfvec
#
# COMBINED=no leaves out the index of all rows, as a table of a model with a gap has none. QUERIES=n of each kind, SECONDS_EACH=n of
# pgbench, SHARED_BUFFERS and MAINTENANCE_WORK_MEM as PostgreSQL's: an index that does not fit the latter takes far longer.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cluster.sh
rows=${1:-100000} type=${2:-vector} queries=${QUERIES:-20} seconds=${SECONDS_EACH:-10} combined=${COMBINED:-yes}
start_cluster
printf "shared_buffers = '%s'\nmaintenance_work_mem = '%s'\nmax_parallel_maintenance_workers = 2\nautovacuum = off\nmax_wal_size = '16GB'\n" \
	"${SHARED_BUFFERS:-4GB}" "${MAINTENANCE_WORK_MEM:-2GB}" >>"$CLUSTER_DIR/data/postgresql.conf"
restart_cluster
sql() { "$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
sql -c "CREATE EXTENSION pg_clip CASCADE" 2>/dev/null

echo "$rows rows of $type(512), $(nproc) cores"
sql -v rows="$rows" -v type="$type" -v ops="${type}_cosine_ops" -v combined="$combined" -v queries="$queries" <<'END'
SELECT setseed(0.3) \g /dev/null
CREATE FUNCTION unit() RETURNS vector LANGUAGE sql VOLATILE AS $$ SELECT l2_normalize(array_agg(random() + random() + random() - 1.5)::real[]::vector) FROM generate_series(1, 512) $$;
CREATE FUNCTION times(x float8, v vector) RETURNS vector LANGUAGE sql IMMUTABLE AS $$ SELECT array_fill(x::real, ARRAY[512])::vector * v $$;
-- Around the mean of its modality a vector has a topic, which both modalities have, and noise. Topics lie in 24 directions, so that some
-- are like others. 0.71 is the mean cosine of two texts, 0.04 that of a text and an image.
CREATE TABLE means AS SELECT 'text' AS modality, unit() AS v;
INSERT INTO means SELECT 'image', l2_normalize(times(0.04 / 0.71, v) + times(sqrt(1 - (0.04 / 0.71) ^ 2), l2_normalize(u - times(-(u <#> v), v)))) FROM means, unit() u;
CREATE TABLE directions AS SELECT i, unit() AS v FROM generate_series(1, 24) i;
CREATE TABLE topics AS SELECT t AS i, sum(times(sqrt((1 / 0.71 - 1) * 0.64 / 24) * 2 * (random() + random() + random() - 1.5), v)) AS v FROM generate_series(1, 4000) t, directions GROUP BY t;
CREATE TABLE noise AS SELECT i, times(sqrt((1 / 0.71 - 1) * 0.36 / 2), unit()) AS v FROM generate_series(1, 4000) i;
CREATE FUNCTION fill(rows bigint) RETURNS TABLE (n bigint, modality text, v vector) LANGUAGE sql VOLATILE AS $$
	SELECT r.n, m.modality, l2_normalize(m.v + t.v + a.v + b.v) FROM (SELECT n, 1 + floor(random() * 4000) AS t, 1 + floor(random() * 4000) AS a, 1 + floor(random() * 4000) AS b FROM generate_series(1, rows) n) r
	JOIN means m ON m.modality = (ARRAY['text', 'image'])[1 + r.n % 2] JOIN topics t ON t.i = r.t JOIN noise a ON a.i = r.a JOIN noise b ON b.i = r.b $$;
CREATE TABLE items (id bigint PRIMARY KEY, modality clip_modality NOT NULL, content_ref text, metadata jsonb, image bytea, tenant integer, embedding :type(512));
INSERT INTO clip.tables (relation, embedding_column, text_column, image_column, modality_column, keep_images, model, fingerprint, dimensions)
SELECT 'items', 'embedding', 'content_ref', 'image', 'modality', false, name, fingerprint, 512 FROM clip.model_info('pictograms');
SELECT clip.keep_in_line('items', 'embedding', 512, true), clip.fit_rows('items') \g /dev/null
\timing on
\echo rows are written
INSERT INTO items SELECT n, modality::clip_modality, modality || ' ' || n, jsonb_build_object('lot', n / 2 % 100), NULL, n / 200 % 10, v FROM fill(:rows);
CREATE TABLE queries AS SELECT row_number() OVER (PARTITION BY modality) AS n, modality, v FROM fill(400);
\if :combined
\echo an index of all rows
CREATE INDEX items_all ON items USING hnsw (embedding :ops);
\endif
\echo one of each modality
CREATE INDEX items_text ON items USING hnsw (embedding :ops) WHERE modality = 'text';
CREATE INDEX items_image ON items USING hnsw (embedding :ops) WHERE modality = 'image';
\timing off
CREATE INDEX ON items USING gin (metadata jsonb_path_ops);
CREATE INDEX ON items (tenant);
VACUUM ANALYZE items;
SELECT 'table and TOAST ' || pg_size_pretty(pg_table_size('items')) || ', indexes ' || string_agg(relname || ' ' || pg_size_pretty(pg_relation_size(oid)), ', ' ORDER BY relname) FROM pg_class WHERE relname IN ('items_all', 'items_text', 'items_image');
CREATE TABLE more AS SELECT * FROM fill(2000);
\echo 2,000 rows are written, with the indexes
\timing on
INSERT INTO items SELECT n + :rows, modality::clip_modality, modality || ' ' || n, jsonb_build_object('lot', n / 2 % 100), NULL, n / 200 % 10, v FROM more;
\timing off
SELECT 'mean distance from a text: ' || string_agg(modality || ' ' || d, ', ') FROM (SELECT i.modality, avg(i.embedding <=> q.v::vector)::numeric(4, 3) AS d FROM queries q, (SELECT * FROM items LIMIT 5000) i WHERE q.modality = 'text' AND q.n <= 10 GROUP BY 1) m;
CREATE ROLE tenant; GRANT SELECT ON items, queries TO tenant;
CREATE POLICY own ON items TO tenant USING (tenant = 3);
CREATE TABLE results (way text, hidden text, pair text, k integer, given bigint, owed bigint, hits bigint, ms float8); GRANT ALL ON results TO tenant;
CREATE TABLE truths AS SELECT n, modality AS of, hidden, towards, NULL::bigint[] AS ids FROM queries, unnest(ARRAY['all rows', 'a lot of a hundred', 'a tenant of ten']) hidden,
	unnest(ARRAY['text', 'image']) towards WHERE n <= :queries AND (towards = 'text' OR modality = 'text');
-- The thousand nearest rows, by scans.
DO $$ DECLARE t record; BEGIN
	FOR t IN SELECT truths.*, v FROM truths JOIN queries ON queries.n = truths.n AND modality = of LOOP
		EXECUTE format('UPDATE truths SET ids = (SELECT array_agg(id ORDER BY d, id) FROM (SELECT id, (embedding <=> $1::%s) + 0 AS d FROM items WHERE modality = %L %s ORDER BY 2, 1 LIMIT 1000) s) WHERE (n, of, hidden, towards) = ($2, $3, $4, $5)',
			(SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'embedding'), t.towards,
			CASE t.hidden WHEN 'a lot of a hundred' THEN 'AND metadata @> ''{"lot": 7}''' WHEN 'a tenant of ten' THEN 'AND tenant = 3' ELSE '' END) USING t.v, t.n, t.of, t.hidden, t.towards;
	END LOOP;
END $$;
GRANT SELECT ON truths TO tenant;
CREATE FUNCTION times_of(statement text, of text, towards text, k integer, hidden text, way text, many integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	q record; begun timestamptz; found bigint[]; truth bigint[]; line text; scan text;
	condition text := CASE hidden WHEN 'a lot of a hundred' THEN ' AND metadata @> ''{"lot": 7}''' ELSE '' END;
BEGIN
	FOR q IN SELECT n, v FROM queries WHERE modality = of AND n <= many LOOP
		SELECT ids[1:times_of.k] INTO truth FROM truths t WHERE (t.n, t.of, t.hidden, t.towards) = (q.n, times_of.of, times_of.hidden, times_of.towards);
		begun := clock_timestamp();
		EXECUTE format('SELECT array_agg(id) FROM (%s) s', format(statement, towards, condition, k, CASE WHEN condition = '' THEN 'NULL' ELSE '''{"lot": 7}''' END)) INTO found USING q.v;
		INSERT INTO results VALUES (way, hidden, of || ' to ' || towards, k, coalesce(cardinality(found), 0), coalesce(cardinality(truth), 0),
			(SELECT count(*) FROM unnest(found) f WHERE f = ANY (truth)), extract(epoch FROM clock_timestamp() - begun) * 1000);
	END LOOP;
END $$;
END

cast=$([ "$type" = vector ] || echo "::$type")
plain="SELECT id FROM items WHERE modality = %1\$L%2\$s ORDER BY embedding <=> \$1$cast LIMIT %3\$s"
search="SELECT (key ->> ''id'')::bigint AS id FROM clip_search(''items'', \$1, k => %3\$s, modality => %1\$L, filter => %4\$s)"
measure() { # way, statement
	for hidden in 'all rows' 'a lot of a hundred' 'a tenant of ten'; do
		for pair in 'text image' 'image text' 'text text'; do
			for k in 10 100 1000; do
				echo "SELECT times_of('$2', '${pair% *}', '${pair#* }', $k, '$hidden', '$1', $queries);"
			done
		done
	done | awk -v tenant="ALTER TABLE items ENABLE ROW LEVEL SECURITY; SET ROLE tenant;" '/a tenant of ten/ && !seen { print tenant; seen = 1 } { print } END { print "RESET ROLE; ALTER TABLE items DISABLE ROW LEVEL SECURITY;" }' |
		sql >/dev/null
}
# before: what a table had, and a user who knows of no setting; one index of all rows
if [ "$combined" = yes ]; then
	sql -c "UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('items_text'::regclass, 'items_image'::regclass)"
	measure 'plain, one index' "$plain"
	measure 'clip_search, one index' "$search"
	sql -c "UPDATE pg_index SET indisvalid = true WHERE indexrelid IN ('items_text'::regclass, 'items_image'::regclass)"
fi
measure 'plain, an index each' "$plain"
measure 'clip_search, an index each' "$search"
sql -c "\pset fieldsep ' | '" -c "SELECT way, hidden, pair, k, sum(given) || ' of ' || sum(owed) AS rows, round(sum(hits) / nullif(sum(owed), 0), 3) AS recall,
	round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 1) AS median, round(max(ms)::numeric, 1) AS worst FROM results GROUP BY 1, 2, 3, 4 ORDER BY 1 DESC, 2, 3, 4"

cd "$CLUSTER_DIR"
echo "what clip_search does after its first searches:"
for hidden in 'all rows' 'a lot of a hundred' 'a tenant of ten'; do
	for k in 10 100 1000; do
		lot=$([ "$hidden" = 'a lot of a hundred' ] && echo ", filter => '{\"lot\": 7}'") || true
		if [ "$hidden" = 'a tenant of ten' ]; then sql -c "ALTER TABLE items ENABLE ROW LEVEL SECURITY"; role="SET ROLE tenant"; else role="SELECT 1"; fi
		echo "$hidden, $k: $(sql -c "$role" -c "SET client_min_messages = debug1" -c "DO \$\$ DECLARE q record; BEGIN FOR q IN SELECT v FROM queries WHERE modality = 'text' AND n <= 8 LOOP PERFORM * FROM clip_search('items', q.v, k => $k, modality => 'image'$lot); END LOOP; END \$\$" 2>&1 | grep -o 'clip_search: .*' | tail -1)"
	done
done
sql -c "ALTER TABLE items DISABLE ROW LEVEL SECURITY"

# the function's own cost: the same statement under the settings that it uses, and one effort for both, above what sessions learn
ef=${EF_SEARCH:-400}
sql -c "CREATE TABLE one AS SELECT n, v FROM queries WHERE modality = 'text'; ALTER TABLE one ADD PRIMARY KEY (n); CREATE FUNCTION q(integer) RETURNS vector LANGUAGE sql STABLE AS 'SELECT v FROM one WHERE n = \$1';" -c "VACUUM ANALYZE one"
printf '\\set n random(1, 200)\nSELECT id, content_ref, metadata FROM items WHERE modality = $$image$$ ORDER BY embedding <=> (SELECT q(:n))%s LIMIT 10;\n' "$cast" >plain
printf '\\set n random(1, 200)\nSELECT key, content_ref, metadata FROM clip_search($$items$$, (SELECT q(:n)), modality => $$image$$);\n' >search
percentiles() { # file, clients
	PGOPTIONS="-c hnsw.ef_search=$ef -c hnsw.iterative_scan=relaxed_order -c jit=off" "$PG_BIN/pgbench" -n -T "$seconds" -c "$2" -j 2 -f "$1" -l --log-prefix="$1.$2" >"$1.out" 2>&1 || cat "$1.out"
	cat "$1.$2".[0-9]* | awk '{ print $3 / 1000 }' | sort -n | awk '{ t[NR] = $1 } END { printf "%s, p50 %.2f ms, p99 %.2f ms, %d runs", "", t[int(NR * 0.5) + 1], t[int(NR * 0.99) + 1], NR }'
	rm -f "$1.$2".[0-9]*
}
for clients in 1 8; do
	for file in plain search plain search; do echo "$clients clients, $file$(percentiles $file $clients)"; done
done

#!/usr/bin/env bash
# An exact search with clip_query beside the same with it in a sub-select, which every plan evaluates once, in a throw-away cluster: ms
# of rounds that take turns. Their median on the clock wants an idle machine. The least time of the processor, that of parallel
# workers left out, hardly does. Expects an installed extension.
#
#   ROWS="1000 5000 20000" ROUNDS=21 STORAGE=external once.sh    tables of 512 dimensions
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cluster.sh
start_cluster
bench/wide_model.py 512 "$CLUSTER_DIR/source"
"${CARGO_TARGET_DIR:-target}/release/pgclip" import "$CLUSTER_DIR/source" --name wide --model-dir "$CLUSTER_DIR/models" >/dev/null
chmod -R a+rX "$CLUSTER_DIR/models"
echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) processors, ${ROUNDS:=21} rounds, storage ${STORAGE:=external}" >&2
printf '| rows | plan | clip_query | in a sub-select | ratio | clip_query, processor | in a sub-select | ratio |\n|---|---|---|---|---|---|---|---|\n'
"$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -v rows="${ROWS:-1000 5000 20000}" -v rounds="$ROUNDS" -v storage="$STORAGE" <<'END' | awk -F '\t' '{ printf "| %s | %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, $6, $7, $8 }'
SET client_min_messages = error;
\pset fieldsep '\t'
CREATE EXTENSION pg_clip CASCADE;
SELECT set_config('bench.rounds', :'rounds', false), set_config('bench.storage', :'storage', false) \g /dev/null
CREATE TABLE base AS SELECT i, l2_normalize(a::real[]::vector) v
	FROM generate_series(1, 1000) i, LATERAL (SELECT array_agg(random() - 0.5) a FROM generate_series(1, 512 + 0 * i)) numbers;
CREATE TABLE times (rows int, round int, what text, ms double precision, processor double precision);
CREATE TABLE plans (rows int, plan text);
CREATE FUNCTION processor() RETURNS double precision LANGUAGE sql VOLATILE AS
	$$ SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::double precision / 1e6 $$;
CREATE PROCEDURE measure(rows int) LANGUAGE plpgsql AS $$
DECLARE
	plain text := format('SELECT id FROM t%s ORDER BY embedding <=> clip_query(''t%1$s'', ''a red bicycle'') LIMIT 10', rows);
	sub text := format('SELECT id FROM t%s ORDER BY embedding <=> (SELECT clip_query(''t%1$s'', ''a red bicycle'')) LIMIT 10', rows);
	begun timestamptz; before double precision; what text; line text; shown text := '';
	repeated int := greatest(1, 100000 / rows);
BEGIN
	EXECUTE format('CREATE TABLE t%s (id bigint, content text, embedding vector(512))', rows);
	EXECUTE format('ALTER TABLE t%s ALTER embedding SET STORAGE %s', rows, current_setting('bench.storage'));
	PERFORM clip_attach(format('t%s', rows), 'embedding', text_column => 'content', model => 'wide');
	EXECUTE format('INSERT INTO t%s SELECT n, NULL, l2_normalize(a.v + b.v) FROM generate_series(1, %1$s) n
		JOIN base a ON a.i = n %% 1000 + 1 JOIN base b ON b.i = (n - 1) / 1000 + 1', rows);
	COMMIT;
	EXECUTE format('ANALYZE t%s', rows);
	COMMIT;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || plain LOOP
		shown := shown || CASE WHEN line ~ 'Parallel' THEN 'parallel ' ELSE '' END;
	END LOOP;
	INSERT INTO plans VALUES (rows, shown || 'sequential');
	FOR round IN 0 .. current_setting('bench.rounds')::int LOOP
		FOREACH what IN ARRAY ARRAY['plain', 'sub'] LOOP
			begun := clock_timestamp();
			before := processor();
			FOR i IN 1 .. repeated LOOP
				EXECUTE CASE what WHEN 'plain' THEN plain ELSE sub END;
			END LOOP;
			INSERT INTO times VALUES (rows, round, what, extract(epoch FROM clock_timestamp() - begun) * 1000 / repeated, (processor() - before) / repeated);
		END LOOP;
		COMMIT;
	END LOOP;
END $$;
SELECT format('CALL measure(%s)', n) FROM string_to_table(:'rows', ' ') n \gexec
WITH medians AS (SELECT rows, what, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS ms, min(processor) AS processor FROM times WHERE round > 0 GROUP BY 1, 2)
SELECT rows, plan, p.ms::numeric(10, 2), s.ms::numeric(10, 2), (p.ms / s.ms)::numeric(10, 3),
	p.processor::numeric(10, 2), s.processor::numeric(10, 2), (p.processor / s.processor)::numeric(10, 3)
FROM plans JOIN medians p USING (rows) JOIN medians s USING (rows) WHERE p.what = 'plain' AND s.what = 'sub' ORDER BY rows;
END

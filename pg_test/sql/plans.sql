-- How the planner and the executor treat the functions: the index serves, and a scan runs the model once.
SELECT clip_create_table('plans');
INSERT INTO plans (modality, content_ref, embedding) SELECT 'text', 'word ' || i, NULL FROM generate_series(1, 1000) i;
ANALYZE plans;

-- of so few rows the index is not the fastest
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM plans ORDER BY embedding <=> clip_embed_text('x') LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM plans ORDER BY embedding <=> clip_query('plans', 'x') LIMIT 5;
RESET enable_seqscan;
-- rows that a filter leaves few of are all looked at, instead of the index's nearest ones, which may be none of them
EXPLAIN (COSTS OFF) SELECT id FROM plans WHERE id <= 20 ORDER BY embedding <=> clip_query('plans', 'x') LIMIT 5;
-- what the planner is told: a call that is the same for all rows costs little for each, one of a column much
CREATE FUNCTION cost_of(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Total Cost';
END $$;
SELECT cost_of($$SELECT clip_embed_text('x') FROM plans$$) < 200 + 1000 * 0.25 AS same, cost_of($$SELECT clip_embed_text(content_ref) FROM plans$$) > 2000 AS column,
	cost_of($$SELECT clip_embed_text('x' || random()) FROM plans$$) > 2000 AS changing, cost_of($$SELECT clip_embed_text(content_ref, 'pictograms') FROM plans$$) > 2000 AS named;
SET enable_seqscan = off;
PREPARE nearest(text) AS SELECT id FROM plans ORDER BY embedding <=> clip_embed_text($1) LIMIT 5;
EXPLAIN (COSTS OFF) EXECUTE nearest('x');
-- a driver's plan for any parameter
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE nearest('x');
RESET plan_cache_mode;
RESET enable_seqscan;

-- a sequential scan over 1,000 rows calls the function once
SET enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM plans ORDER BY embedding <=> clip_embed_text('never seen before') LIMIT 5;
SELECT calls AS calls_before, items AS items_before FROM clip_stats WHERE kind = 'text' \gset
SELECT count(*) FROM (SELECT id FROM plans ORDER BY embedding <=> clip_embed_text('never seen before') LIMIT 5) q;
SELECT calls - :calls_before AS calls, items - :items_before AS model_runs FROM clip_stats WHERE kind = 'text';
RESET enable_indexscan;
-- what another statement has embedded is remembered, unless the memory is switched off
SELECT count(clip_embed_text('never seen before'));
SELECT calls - :calls_before AS calls, items - :items_before AS model_runs FROM clip_stats WHERE kind = 'text';
SET clip.cache_entries = 0;
SELECT count(clip_embed_text('again ' || i % 2)) FROM generate_series(1, 3) i;
SELECT calls - :calls_before AS calls, items - :items_before AS model_runs FROM clip_stats WHERE kind = 'text';
RESET clip.cache_entries;

-- the oldest entry leaves first
SET clip.cache_entries = 2;
SELECT count(clip_embed_text(t)) FROM unnest(ARRAY['one', 'two', 'one', 'three', 'one']) t;
SELECT items AS items_before FROM clip_stats WHERE kind = 'text' \gset
SELECT count(clip_embed_text(t)) FROM unnest(ARRAY['one', 'three']) t;
SELECT items - :items_before AS model_runs FROM clip_stats WHERE kind = 'text';
SELECT count(clip_embed_text('two'));
SELECT items - :items_before AS model_runs FROM clip_stats WHERE kind = 'text';
RESET clip.cache_entries;

-- IMMUTABLE with a named model: generated columns and expression indexes
CREATE TABLE generated (title text, embedding vector GENERATED ALWAYS AS (clip_embed_text(title, 'pictograms')) STORED);
INSERT INTO generated (title) VALUES ('cat'), ('airplane');
SELECT title FROM generated ORDER BY embedding <=> clip_embed_text('cat') LIMIT 1;
CREATE INDEX ON generated USING hnsw ((clip_embed_text(title, 'pictograms')::vector(256)) vector_cosine_ops);
CREATE TABLE refused (title text, embedding vector GENERATED ALWAYS AS (clip_embed_text(title)) STORED);

-- parallel workers have the functions too
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT count(*) FROM plans WHERE embedding <=> clip_embed_text('word 7') < 1e-6;
SELECT count(*) FROM plans WHERE embedding <=> clip_embed_text('word 7') < 1e-6;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET max_parallel_workers_per_gather;

-- an index of half the size, on the column cast to halfvec
DROP INDEX plans_embedding_idx;
SET enable_seqscan = off;
CREATE INDEX plans_half_idx ON plans USING hnsw ((embedding::halfvec(256)) halfvec_cosine_ops);
EXPLAIN (COSTS OFF) SELECT id FROM plans ORDER BY embedding::halfvec(256) <=> clip_query('plans', 'x')::halfvec(256) LIMIT 5;
SELECT content_ref FROM plans ORDER BY embedding::halfvec(256) <=> clip_query('plans', 'word 7')::halfvec(256) LIMIT 1;
-- exact order among the index's candidates
EXPLAIN (COSTS OFF) SELECT content_ref FROM (
	SELECT content_ref, embedding FROM plans ORDER BY embedding::halfvec(256) <=> clip_query('plans', 'word 7')::halfvec(256) LIMIT 40
) candidates ORDER BY embedding <=> clip_query('plans', 'word 7') LIMIT 3;
DROP TABLE plans, generated;

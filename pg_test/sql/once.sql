-- Once a statement: what stays the same within one is computed once, whatever the plan; what changes is computed anew.
SELECT clip_create_table('things', index => false);
INSERT INTO things (modality, content_ref) SELECT 'text', 'thing ' || i FROM generate_series(1, 300) i;
ANALYZE things;
\set red '\'\\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000000000ff0000ff00000000ff0000ff0000\'::bytea'
SET clip.cache_entries = 0;  -- so that nothing else spares a computation
CREATE FUNCTION calls() RETURNS bigint LANGUAGE sql AS 'SELECT coalesce(sum(calls), 0)::bigint FROM clip_stats';

-- a sequential scan, for each of the functions
EXPLAIN (COSTS OFF) SELECT id FROM things ORDER BY embedding <=> clip_query('things', 'x') LIMIT 3;
CREATE TABLE scans (expression text, calls bigint);
CREATE PROCEDURE scan(expression text) LANGUAGE plpgsql AS $$
DECLARE
	before bigint := calls();
	different bigint;
BEGIN
	EXECUTE format('SELECT count(DISTINCT (%s)::text) FROM things', expression) INTO different;
	INSERT INTO scans VALUES (expression, calls() - before);
	ASSERT different = 1, format('%s: %s results', expression, different);
END $$;
CALL scan($$clip_query('things', 'x')$$);
CALL scan($$clip_query('things', 'x', 'embedding')$$);
CALL scan(format('clip_query(''things'', %L::bytea)', :red));
CALL scan(format('clip_query(''things'', %L::bytea, ''embedding'')', :red));
CALL scan($$clip_embed_text('x')$$);
CALL scan(format('clip_embed_image(%L)', :red));
CALL scan($$clip_embed_texts('{a,b}')$$);
CALL scan(format('clip_embed_images(ARRAY[%L]::bytea[])', :red));
-- planned as a constant
CALL scan($$clip_embed_text('x', 'pictograms')$$);
-- what is made of results that stay the same
CALL scan($$clip_combine(ARRAY[clip_query('things', 'x'), clip_embed_text('y')], '{1,-0.5}')$$);
-- each place of a statement for itself
CALL scan($$ARRAY[clip_query('things', 'x'), clip_query('things', 'x')]$$);
SELECT regexp_replace(expression, '\\x\w+', '...') AS expression, calls FROM scans;
SELECT count(DISTINCT clip_token_count('one two')) FROM things;

-- parameters: of plans made for their values, and of plans for any
PREPARE nearest(text) AS SELECT count(DISTINCT embedding <=> clip_query('things', $1)) > 200 AS answers FROM things;
PREPARE alike(bytea) AS SELECT count(DISTINCT embedding <=> clip_query('things', $1)) > 200 AS answers FROM things;
SELECT calls() AS before \gset
SET plan_cache_mode = force_custom_plan;
EXECUTE nearest('a cat');
EXECUTE nearest('a dog');
EXECUTE alike(:red);
SELECT calls() - :before AS calls;
SET plan_cache_mode = force_generic_plan;
-- as up to version 15, where DISTINCT is sorted within the aggregate
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'enable_presorted_aggregate' \g /dev/null
EXPLAIN (COSTS OFF) EXECUTE nearest('a cat');
SELECT calls() AS before \gset
EXECUTE nearest('a cat');
EXECUTE nearest('a dog');
EXECUTE alike(:red);
SELECT calls() - :before AS calls;
RESET plan_cache_mode;

-- a nested loop: once for each new argument, though the expression is the same
CREATE TABLE queries (n int, words text, picture bytea);
INSERT INTO queries VALUES (1, 'a cat', :red), (2, 'a cat', :red), (3, repeat('a dog ', 3000), :red || decode(repeat('00', 10000), 'hex')), (4, 'a cat', NULL);
ALTER TABLE queries ALTER picture SET STORAGE EXTERNAL;
UPDATE queries SET picture = picture || ''::bytea;  -- out of line
SELECT pg_column_size(words) < 5000 AS compressed, pg_relation_size(reltoastrelid) > 0 AS out_of_line FROM queries, pg_class c WHERE n = 3 AND c.oid = 'queries'::regclass;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;
EXPLAIN (COSTS OFF) SELECT n, d FROM queries q CROSS JOIN LATERAL (SELECT min(embedding <=> clip_query('things', q.words)) d FROM things) m;
SELECT calls() AS before \gset
SELECT n, d = (SELECT min(embedding <=> v) FROM things, (SELECT clip_query('things', q.words) OFFSET 0) AS fresh (v)) AS right_distance
FROM queries q CROSS JOIN LATERAL (SELECT min(embedding <=> clip_query('things', q.words)) d FROM things) m ORDER BY n;
SELECT calls() - :before AS calls;  -- a cat, a dog, a cat, and as many for the comparison
SELECT calls() AS before \gset
SELECT n, d IS NULL AS no_picture FROM queries q CROSS JOIN LATERAL (SELECT min(embedding <=> clip_query('things', q.picture)) d FROM things) m ORDER BY n;
SELECT calls() - :before AS calls;
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material; RESET enable_memoize;

-- an argument that changes from row to row
SELECT calls() AS before \gset
SELECT count(*), bool_and(clip_embed_text(content_ref) <=> embedding < 1e-5) AS each_its_own FROM things;
SELECT calls() - :before AS calls;
SELECT bool_and(clip_token_count(repeat('a ', i)) = i + 2) AS each_its_own FROM generate_series(1, 20) i;
-- several results of one expression in use at a time: the elements of an array, each cast
CREATE CAST (text AS vector) WITH FUNCTION clip_embed_text(text);
WITH w AS (SELECT ARRAY['a', 'a', 'b', 'a', 'c', 'c', 'b'] words FROM things LIMIT 1 OFFSET 7)
SELECT cast_all[i] = clip_embed_text(words[i]) AS same FROM w, (SELECT words::vector[] AS cast_all FROM w) c, generate_subscripts(words, 1) i;
DROP CAST (text AS vector);

-- a cursor, read in parts
SELECT calls() AS before \gset
BEGIN;
DECLARE c CURSOR FOR SELECT embedding <=> clip_query('things', 'a cursor') < 2 AS near FROM things;
FETCH 2 FROM c;
MOVE 100 IN c;
FETCH 2 FROM c;
COMMIT;
SELECT calls() - :before AS calls;

-- PL/pgSQL keeps an expression for a transaction, and gives it other values in the same memory
CREATE FUNCTION in_a_loop(words text[], OUT calls bigint, OUT wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
	word text; v vector; fresh vector; made vector[];
BEGIN
	calls := calls();
	FOREACH word IN ARRAY words LOOP
		v := clip_embed_text(word);
		made := made || v;
	END LOOP;
	calls := calls() - calls;
	wrong := 0;
	FOR i IN 1..cardinality(words) LOOP
		EXECUTE 'SELECT clip_embed_text($1)' INTO fresh USING words[i];
		wrong := wrong + (fresh <> made[i])::int;
	END LOOP;
END $$;
SELECT * FROM in_a_loop(array_fill('the same'::text, '{50}'));
SELECT * FROM in_a_loop(ARRAY(SELECT 'word ' || i % 10 FROM generate_series(1, 50) i));
SELECT * FROM in_a_loop(ARRAY(SELECT 'word ' || i / 10 FROM generate_series(10, 59) i));
DO $$
DECLARE
	x text; a vector; b vector; fresh vector;
BEGIN
	FOREACH x IN ARRAY ARRAY['one', 'two', 'six'] LOOP
		a := clip_embed_text(x);
		x := 'ten';  -- as long, so that it may lie where another one lay
		b := clip_embed_text(x);
		EXECUTE 'SELECT clip_embed_text(''ten'')' INTO fresh;
		ASSERT b = fresh AND a <> b;
	END LOOP;
END $$;

-- a setting between two uses of an expression
DO $$
DECLARE
	v vector[]; of_one vector; format text;
BEGIN
	FOREACH format IN ARRAY ARRAY['f32', 'int8', 'f32'] LOOP
		PERFORM set_config('clip.precision', format, true);
		of_one := clip_embed_text('a cat');
		v := v || of_one;
	END LOOP;
	ASSERT v[1] = v[3], 'the first precision again';
	ASSERT v[1] <> v[2], 'another precision';
END $$;
CREATE FUNCTION with_model(name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('clip.model', name, true);
	RETURN clip_embed_text('a cat') IS NOT NULL;
END $$;
BEGIN;
SELECT with_model('pictograms');
SELECT with_model('pictograms');
SELECT with_model('no-such-model');
ROLLBACK;
-- also one that ends with a function
CREATE FUNCTION elsewhere() RETURNS boolean LANGUAGE plpgsql SET clip.precision = 'int8' AS $$ BEGIN RETURN false; END $$;
CREATE FUNCTION plain() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN clip_embed_text('a cat')::text; END $$;
CREATE FUNCTION plain_as_int8() RETURNS text LANGUAGE plpgsql SET clip.precision = 'int8' AS $$ BEGIN RETURN plain(); END $$;
SET clip.precision = 'f32';
SELECT plain() = plain() AND plain() <> plain_as_int8() AND plain() = plain() AND NOT elsewhere() AS right_precision;
RESET clip.precision;

-- a table that is no longer embedded, in the same transaction
DO $$
DECLARE
	v vector;
BEGIN
	FOR i IN 1..3 LOOP
		v := clip_query('things', 'x');
		IF i = 2 THEN
			PERFORM clip_detach('things');
		END IF;
	END LOOP;
EXCEPTION WHEN undefined_object THEN
	RAISE NOTICE '%', SQLERRM;
END $$;
-- a lock that went with a subtransaction is taken again
CREATE FUNCTION is_locked() RETURNS boolean LANGUAGE sql AS
	$$ SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE relname = 'things' AND pid = pg_backend_pid() AND mode = 'AccessShareLock') $$;
DO $$
DECLARE
	v vector;
BEGIN
	FOR i IN 1..2 LOOP
		BEGIN
			v := clip_query('things', 'x');
			IF i = 1 THEN
				RAISE EXCEPTION 'back';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			ASSERT NOT is_locked();
		END;
	END LOOP;
	ASSERT is_locked();
END $$;
-- another role is not answered from what this one has
CREATE ROLE clip_once;
CREATE FUNCTION calls_as(roles text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v vector; role text; before bigint := calls();
BEGIN
	FOREACH role IN ARRAY roles LOOP
		PERFORM set_config('role', role, true);
		v := clip_embed_text('confidential');
	END LOOP;
	PERFORM set_config('role', 'none', true);
	RETURN calls() - before;
END $$;
SELECT calls_as('{clip_once,clip_once,none,none}') AS calls;
-- a procedure that commits: the next transaction looks anew
CREATE PROCEDURE committing() LANGUAGE plpgsql AS $$
DECLARE
	v vector; before bigint := calls();
BEGIN
	FOR i IN 1..4 LOOP
		v := clip_embed_text('x');
		IF i = 2 THEN
			COMMIT;
		END IF;
	END LOOP;
	RAISE NOTICE '% calls', calls() - before;
END $$;
CALL committing();

-- a result that comes from an error does not come again
DO $$
DECLARE
	v vector; errors int := 0;
BEGIN
	FOR i IN 1..3 LOOP
		BEGIN
			v := clip_embed_image(CASE WHEN i = 2 THEN '\x00'::bytea ELSE '\x01' END);
		EXCEPTION WHEN invalid_binary_representation THEN
			errors := errors + 1;
		END;
	END LOOP;
	ASSERT errors = 3;
END $$;
-- whoever makes a function CALLED ON NULL INPUT
BEGIN;
ALTER FUNCTION clip_embed_text(text) CALLED ON NULL INPUT;
SELECT i, clip_embed_text(CASE WHEN i <> 2 THEN 'x' END) IS NULL AS no_vector FROM generate_series(1, 3) i;
ROLLBACK;
DROP TABLE things, queries, scans;
DROP ROLE clip_once;

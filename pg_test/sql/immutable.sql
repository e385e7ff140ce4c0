-- IMMUTABLE is what it says: with a model by name a function computes in f32, whatever the session's precision is.
CREATE FUNCTION square(colour text) RETURNS bytea LANGUAGE sql IMMUTABLE AS
	$$ SELECT decode('424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000' || repeat(repeat(colour, 2) || '0000', 2), 'hex') $$;
SET clip.cache_entries = 0;  -- so that each vector is computed

-- no function is forgotten
SELECT p.oid::regprocedure AS immutable FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_clip' WHERE p.provolatile = 'i' AND p.pronamespace <> 'clip'::regnamespace ORDER BY p.oid::regprocedure::text COLLATE "C";

-- how many values an expression has under every precision and number of threads; each time planned anew, as a plan holds constants
CREATE FUNCTION values_of(expression text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE value text; found text[] := '{}';
BEGIN
	FOR i IN 0..7 LOOP
		PERFORM set_config('clip.precision', (ARRAY['auto', 'f32', 'bf16', 'int8'])[i / 2 + 1], true), set_config('clip.threads', (i % 2 + 1)::text, true);
		EXECUTE format('SELECT (%s)::text', expression) INTO value;
		found := found || value;
	END LOOP;
	RETURN (SELECT count(DISTINCT f) FROM unnest(found) f);
END $$;
SELECT expression, values_of(expression) FROM unnest(ARRAY[
	'clip_embed_text(''a cat'', ''pictograms'')', 'clip_embed_texts(ARRAY[''a'', ''cat and a dog'', NULL, ''''], ''pictograms'')',
	'clip_embed_image(square(''2010e0''), ''pictograms'')', 'clip_embed_images(ARRAY[square(''2010e0''), square(''ff0000'')], ''pictograms'')',
	'clip_token_count(''a cat'', ''pictograms'')']) expression;
-- what names no model follows the session
SELECT values_of('clip_embed_text(''a cat'')') > 1 AS text, values_of('clip_embed_image(square(''2010e0''))') > 1 AS image;

-- an index made under one precision answers under every other as the table does
CREATE TABLE notes (body text);
INSERT INTO notes SELECT 'text ' || i FROM generate_series(1, 20) i;
SET clip.precision = 'int8';
CREATE INDEX ON notes (clip_embed_text(body, 'pictograms'));
CREATE FUNCTION found_by(index boolean) RETURNS TABLE ("precision" text, matches bigint, indexed boolean) LANGUAGE plpgsql AS $$
DECLARE
	query text := 'SELECT count(*) FROM notes WHERE clip_embed_text(body, ''pictograms'') = clip_embed_text(''text 7'', ''pictograms'')';
	plan text;
BEGIN
	PERFORM set_config('enable_seqscan', (NOT index)::text, true), set_config('enable_indexscan', index::text, true), set_config('enable_bitmapscan', 'off', true);
	FOREACH "precision" IN ARRAY ARRAY['auto', 'f32', 'bf16', 'int8'] LOOP
		PERFORM set_config('clip.precision', "precision", true);
		EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
		EXECUTE query INTO matches;
		indexed := plan ~ 'Index (Only )?Scan';
		RETURN NEXT;
	END LOOP;
END $$;
SELECT * FROM found_by(index => false);
SELECT * FROM found_by(index => true);

-- a vector that is remembered in one precision is not another's
SET clip.cache_entries = 256;
SET clip.precision = 'int8';
SELECT clip_embed_text('remembered') = clip_embed_text('remembered', 'pictograms') AS int8_is_f32;
SET clip.precision = 'f32';
SELECT items AS items_before FROM clip_stats WHERE kind = 'text' \gset
SELECT clip_embed_text('remembered') = clip_embed_text('remembered', 'pictograms') AS f32_is_f32;
SELECT items - :items_before AS model_runs FROM clip_stats WHERE kind = 'text';
RESET ALL;
DROP TABLE notes;
DROP FUNCTION found_by, values_of, square;

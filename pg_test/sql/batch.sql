-- Batches: one call, many vectors, in order.
CREATE FUNCTION model_runs() RETURNS bigint LANGUAGE sql AS 'SELECT coalesce(sum(items), 0)::bigint FROM clip_stats';
CREATE FUNCTION square(colour text) RETURNS bytea LANGUAGE sql AS
	$$ SELECT decode('424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000' || repeat(repeat(colour, 2) || '0000', 2), 'hex') $$;

-- order kept, NULL in gives NULL out, the same vectors as single calls
SET clip.cache_entries = 0;  -- so that single calls are really computed singly
SELECT i, left(t, 20) AS text, vector_norm(v) > 0.99 AS unit, v <=> clip_embed_text(t) < 1e-5 AS as_single
FROM (SELECT ARRAY['cat', NULL, 'a dog and a cat', '', repeat('word ', 200), NULL] AS texts) q,
	unnest(texts, clip_embed_texts(texts)) WITH ORDINALITY u (t, v, i) ORDER BY i;
SELECT i, vector_norm(v) > 0.99 AS unit, v <=> clip_embed_image(b) < 1e-5 AS as_single
FROM (SELECT ARRAY[square('ff0000'), NULL, square('00ff00'), square('0000ff')] AS images) q,
	unnest(images, clip_embed_images(images)) WITH ORDINALITY u (b, v, i) ORDER BY i;
-- more than one forward pass, other lengths in each
SELECT count(*), bool_and(v <=> clip_embed_text(t) < 1e-5) AS as_single
FROM (SELECT array_agg(repeat('cat ', i % 7) || i ORDER BY i) AS texts FROM generate_series(1, 100) i) q, unnest(texts, clip_embed_texts(texts)) u (t, v);
SELECT count(*), bool_and(v <=> clip_embed_image(b) < 1e-5) AS as_single
FROM (SELECT array_agg(square(to_hex(1048576 + 99991 * i)) ORDER BY i) AS images FROM generate_series(1, 20) i) q, unnest(images, clip_embed_images(images)) u (b, v);
RESET clip.cache_entries;
SELECT clip_embed_texts(ARRAY['cat'], 'pictograms') = ARRAY[clip_embed_text('cat', 'pictograms')] AS named,
	clip_embed_images(ARRAY[square('ff0000')], 'pictograms') = ARRAY[clip_embed_image(square('ff0000'), 'pictograms')] AS named_images;

-- equal inputs run the model once, in one batch and over several
SELECT model_runs() AS before \gset
SELECT cardinality(clip_embed_texts(ARRAY['twin', 'twin', 'twin', 'sister']));
SELECT model_runs() - :before AS model_runs;
SELECT cardinality(clip_embed_texts(ARRAY['sister', 'brother', 'twin'])), vector_dims(clip_embed_text('brother')) > 0 AS known;
SELECT model_runs() - :before AS model_runs;
SELECT cardinality(clip_embed_images(ARRAY[square('123456'), square('123456'), NULL]));
SELECT model_runs() - :before AS model_runs;
-- also where nothing is remembered between calls
SET clip.cache_entries = 0;
SELECT cardinality(clip_embed_texts(ARRAY['twin', 'twin', 'sister']));
SELECT model_runs() - :before AS model_runs;
RESET clip.cache_entries;
-- a batch larger than the memory comes back whole
SET clip.cache_entries = 3;
SELECT count(v) FROM (SELECT clip_embed_texts(array_agg('many ' || i)) AS vectors FROM generate_series(1, 50) i) q, unnest(vectors) v;
RESET clip.cache_entries;
-- however many are asked for, they take a quarter of clip.max_memory at most
SET clip.cache_entries = 1000000;
SET clip.max_memory = '16MB';
SELECT cardinality(clip_embed_texts(array_agg('one of ' || i))) FROM generate_series(1, 4000) i;
SELECT model_runs() AS before \gset
SELECT vector_dims(clip_embed_text('one of 4000')) > 0 AS known, vector_dims(clip_embed_text('one of 1')) > 0 AS forgotten;
SELECT model_runs() - :before AS model_runs;
RESET clip.max_memory;
RESET clip.cache_entries;

-- nothing to do; arrays of other shapes keep their shape
SELECT clip_embed_texts('{}') = '{}' AS empty_texts, clip_embed_images('{}') = '{}' AS empty_images,
	clip_embed_texts(NULL) IS NULL AS null_texts, clip_embed_texts('{x}', NULL) IS NULL AS null_model, clip_embed_texts('{NULL,NULL}') = '{NULL,NULL}' AS only_nulls;
SELECT array_dims(v), v[2][1] = clip_embed_text('c') AS in_place, v[1][2] IS NULL AS null FROM clip_embed_texts(ARRAY[['a', NULL], ['c', 'd']]) v;
SELECT array_dims(v), v[0] = clip_embed_text('a') AS in_place FROM clip_embed_texts('[0:1]={a,b}') v;
SELECT array_dims(v), v[1][1][1] = clip_embed_image(square('ff0000')) AS in_place FROM clip_embed_images(ARRAY[[[square('ff0000')], [NULL::bytea]]]) v;

-- errors name the input by its place in the array
\set VERBOSITY terse
SELECT clip_embed_images(ARRAY[NULL, square('ff0000'), square('00ff00'), '\x00', square('0000ff')]) IS NULL;
SELECT clip_embed_images(ARRAY[NULL, '\x00'::bytea]) IS NULL;
SELECT clip_embed_images(ARRAY[square('ff0000'), square('ff0000'), 'no image']) IS NULL;
SELECT clip_embed_texts(array_agg('x'::text)) IS NULL FROM generate_series(1, 16385);
SELECT clip_embed_images(array_agg('x'::bytea)) IS NULL FROM generate_series(1, 16385);
SELECT clip_embed_texts('{x}', 'no-such-model') IS NULL;
-- NULLs do not count
SELECT cardinality(clip_embed_texts(array_agg(CASE WHEN i % 2 = 0 THEN 'x' END))) FROM generate_series(1, 30000) i;
\set VERBOSITY sqlstate
SELECT clip_embed_images(ARRAY[square('ff0000'), '\x00'::bytea]) IS NULL;
SELECT clip_embed_images(array_agg('x'::bytea)) IS NULL FROM generate_series(1, 16385);
DROP FUNCTION model_runs, square;

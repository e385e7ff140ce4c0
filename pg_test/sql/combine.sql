-- clip_combine: one direction out of several vectors.
\set VERBOSITY sqlstate
SELECT clip_combine('{"[3,4]"}') = '[0.6,0.8]' AS one, clip_combine('{"[1,0]","[0,1]"}', '{3,4}') = '[0.6,0.8]' AS weighted,
	clip_combine('{"[1,0]","[0,1]"}', '{3,-4}') = '[0.6,-0.8]' AS taken_away, clip_combine('{"[8,0]","[0,6]"}') = '[0.8,0.6]' AS longer_counts_more;
SELECT vector_norm(clip_combine(ARRAY[clip_embed_text('a'), clip_embed_text('b')], '{1,-0.3}')) BETWEEN 0.99999 AND 1.00001 AS unit;
-- it lies between its parts, nearer to the heavier one
SELECT c <=> a < a <=> b AND c <=> b < a <=> b AS between_them, c <=> a < c <=> b AS nearer
FROM clip_embed_text('cat') a, clip_embed_text('airplane') b, clip_combine(ARRAY[a, b], '{2,1}') c;
-- NULL in, NULL out; no weights are equal weights
SELECT clip_combine(NULL) IS NULL AS nothing, clip_combine(NULL, '{1}') IS NULL AS weighted, clip_combine('{"[1,1]","[1,-1]"}', NULL) = clip_combine('{"[1,1]","[1,-1]"}', '{1,1}') AS equal;
-- any lower bound
SELECT clip_combine('[5:6]={"[1,0]","[0,1]"}', '[0:1]={3,4}') = '[0.6,0.8]' AS bounds;

-- errors
SELECT clip_combine(ARRAY['[1]', NULL]::vector[]);
SELECT clip_combine('{"[1]"}', '{NULL}');
SELECT clip_combine('{}');
SELECT clip_combine('{}', '{}');
SELECT clip_combine('{"[1,2]","[1,2,3]"}');
SELECT clip_combine('{"[1]","[2]"}', '{1}');
SELECT clip_combine('{"[1]"}', '{1,2}');
SELECT clip_combine('{"[1]"}', '{}');
SELECT clip_combine('{{"[1]","[2]"}}');
SELECT clip_combine('{"[1]"}', '{{1}}');
SELECT clip_combine('{"[1]","[2]"}', '{1,NaN}');
SELECT clip_combine('{"[1]","[2]"}', '{-Infinity,1}');
SELECT clip_combine('{"[1,2]","[1,2]"}', '{1,-1}');
SELECT clip_combine('{"[0,0]"}');
SELECT clip_combine('{"[1,2]"}', '{0}');
-- what rounding leaves of nothing is nothing
SELECT clip_combine('{"[0.1,0.2]","[0.2,0.4]","[0.3,0.6]"}', '{1,1,-1}');
\set VERBOSITY terse
SELECT clip_combine('{"[1,2]","[1,2,3]"}');
SELECT clip_combine('{"[1]","[2]"}', '{1,NaN}');
SELECT clip_combine('{"[1,2]","[1,2]"}', '{1,-1}');
-- a small difference is none of rounding
SELECT clip_combine('{"[1,0]","[1,0.01]"}', '{-1,1}') = '[0,1]' AS difference;

-- in every form that a value may have: out of line, compressed, in a row
CREATE TABLE kept (v vector[], w real[]);
INSERT INTO kept SELECT array_agg(clip_embed_text('text ' || i) ORDER BY i), array_agg(i) FROM generate_series(1, 20) i;
SELECT clip_combine(v, w) = clip_combine(v[1:20], w[1:20]) AS same FROM kept;
SELECT bool_and(clip_combine(v[1:n], w[1:n]) = (SELECT clip_combine(array_agg(clip_embed_text('text ' || i) ORDER BY i), array_agg(i::real)) FROM generate_series(1, n) i)) AS row_by_row
FROM kept, generate_series(1, 20) n;

-- this one, but red
CREATE TABLE shop (id int, embedding vector);
INSERT INTO shop SELECT i, clip_embed_text(t) FROM unnest(ARRAY['blue circle', 'red circle', 'blue square', 'tree']) WITH ORDINALITY AS u (t, i);
SELECT id FROM shop WHERE id <> 1
ORDER BY embedding <=> clip_combine(ARRAY[(SELECT embedding FROM shop WHERE id = 1), clip_embed_text('red'), clip_embed_text('blue')], '{1,0.5,-0.5}') LIMIT 1;
DROP TABLE kept, shop;

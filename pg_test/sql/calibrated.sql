-- The bundled model is calibrated for lists that mix texts and pictures; the plain one lies beside it.
SELECT p.fingerprint <> c.fingerprint AS other_space, p.dimensions = c.dimensions AS same_dimensions
FROM clip_models() p, clip_models() c WHERE p.name = 'pictograms-plain' AND c.name = 'pictograms';
SELECT abs(vector_norm(clip_embed_text(t, m)) - 1) < 1e-5 AS unit
FROM unnest(ARRAY['cat', 'an old house']) t, unnest(ARRAY['pictograms', 'pictograms-plain']) m;
-- unrelated words are far apart in the calibrated space, and lie in one cone in the plain one
SELECT m AS model, avg(clip_embed_text(a, m) <=> clip_embed_text(b, m)) > 0.7 AS spread
FROM unnest(ARRAY['cat', 'train', 'rain', 'pizza', 'happy']) a, unnest(ARRAY['cat', 'train', 'rain', 'pizza', 'happy']) b,
	unnest(ARRAY['pictograms', 'pictograms-plain']) m
WHERE a < b GROUP BY m ORDER BY m;
-- classification uses the scale that the model learnt, on vectors as it learnt them: both give the same probabilities
SELECT max(abs(p.probability - c.probability)) < 1e-3 AS same, count(*)
FROM (SELECT decode('iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR4nGM4ISeHFTEMLQkAkL9BAbKfPiIAAAAASUVORK5CYII=', 'base64') AS image) i,
	clip_classify(i.image, ARRAY['red', 'blue', 'a cat', 'a ball'], '{}', 'pictograms') c
	JOIN clip_classify(i.image, ARRAY['red', 'blue', 'a cat', 'a ball'], '{}', 'pictograms-plain') p USING (label);
-- a table of one is not read with the other
SELECT clip_create_table('plain_items', model => 'pictograms-plain');
INSERT INTO plain_items (modality, content_ref) VALUES ('text', 'cat');
SELECT (embedding <=> clip_query('plain_items', 'cat')) < 1e-5 AS found, embedding = clip_embed_text('cat', 'pictograms-plain') AS plain FROM plain_items;
DROP TABLE plain_items;

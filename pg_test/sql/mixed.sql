-- One table, two modalities, one ORDER BY.
SELECT clip_create_table('gallery');
CREATE FUNCTION square(colour text) RETURNS bytea LANGUAGE sql AS
	$$ SELECT decode('424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000' || repeat(repeat(colour, 2) || '0000', 2), 'hex') $$;
INSERT INTO gallery (modality, content_ref, metadata) VALUES
	('text', 'cat', '{"shelf": 1}'), ('text', 'red square', '{"shelf": 1}'), ('text', 'airplane', '{"shelf": 2}');
INSERT INTO gallery (modality, content_ref, image, metadata) VALUES
	('image', 'red.bmp', square('0000ff'), '{"shelf": 1}'), ('image', 'green.bmp', square('00ff00'), '{"shelf": 2}');
SELECT modality, count(*), bool_and(abs(vector_norm(embedding) - 1) < 1e-5) AS unit, count(DISTINCT vector_dims(embedding)) AS widths FROM gallery GROUP BY modality ORDER BY modality;

-- asked with words, and with a picture: the row itself comes first, and every row of either kind has its place
SELECT modality, content_ref FROM gallery ORDER BY embedding <=> clip_query('gallery', 'cat') LIMIT 1;
SELECT modality, content_ref FROM gallery ORDER BY embedding <=> clip_query('gallery', square('00ff00')) LIMIT 1;
SELECT count(*), count(distance) AS distances, count(DISTINCT modality) AS modalities, bool_and(distance BETWEEN 0 AND 2) AS in_range
FROM (SELECT modality, embedding <=> clip_query('gallery', 'cat') AS distance FROM gallery ORDER BY distance) q;
-- the index gives the same order as the scan
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT content_ref FROM gallery ORDER BY embedding <=> clip_query('gallery', 'red square') LIMIT 5;
SELECT array_agg(content_ref) AS by_index FROM (SELECT content_ref FROM gallery ORDER BY embedding <=> clip_query('gallery', 'red square') LIMIT 5) q \gset
RESET enable_seqscan;
SET enable_indexscan = off;
SELECT array_agg(content_ref)::text = :'by_index' AS same_order FROM (SELECT content_ref FROM gallery ORDER BY embedding <=> clip_query('gallery', 'red square') LIMIT 5) q;
RESET enable_indexscan;

-- pictures that match words, with a filter on what a row is and says
SELECT content_ref FROM gallery WHERE modality = 'image' AND metadata @> '{"shelf": 1}' ORDER BY embedding <=> clip_query('gallery', 'cat') LIMIT 5;
-- each row's nearest row of the other kind
SELECT a.modality, count(b.id) AS pairs FROM gallery a, LATERAL (SELECT id FROM gallery o WHERE o.modality <> a.modality ORDER BY o.embedding <=> a.embedding LIMIT 1) b GROUP BY 1 ORDER BY 1;
DROP TABLE gallery;
DROP FUNCTION square;

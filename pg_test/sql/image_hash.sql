-- clip_image_hash, and what the guide says about rows like another one and near-duplicates.
-- A shot of a scene: three of them shortly one after the other are a burst, in which something moves.
CREATE FUNCTION shot(scene int, moment int, side int DEFAULT 64, brighter int DEFAULT 0) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
	SELECT set_byte(set_byte(decode('424d000000000000000036000000' || '28000000000000000000000001001800' || repeat('00', 24), 'hex'), 18, side), 22, side)
		|| string_agg(decode(lpad(to_hex((b << 16) + (g << 8) + r), 6, '0'), 'hex'), '' ORDER BY y, x)
	FROM generate_series(0, side - 1) y, generate_series(0, side - 1) x,
		LATERAL (SELECT x::float8 / side AS u, y::float8 / side AS v) p,
		LATERAL (SELECT 110 + 55 * sin(scene * 2.1 + u * 6) + 45 * cos(scene * 1.3 + v * 5 + u * scene) + brighter AS level,
			(u - 0.25 - 0.15 * moment) ^ 2 + (v - 0.4) ^ 2 < 0.02 AS is_ball) l,
		LATERAL (SELECT CASE WHEN is_ball THEN 240 ELSE level::int END AS r, CASE WHEN is_ball THEN 60 ELSE (level * 0.8)::int END AS g,
			CASE WHEN is_ball THEN 40 ELSE (level * 0.6)::int END AS b) c
$$;
CREATE TABLE photos (id int PRIMARY KEY, scene int, what text, image bytea, hash bit(64) GENERATED ALWAYS AS (clip_image_hash(image)) STORED, embedding vector(256));
SELECT clip_attach('photos', 'embedding', image_column => 'image');
INSERT INTO photos (id, scene, what, image) SELECT 10 * s + m, s, 'shot', shot(s, m) FROM generate_series(1, 8) s, generate_series(0, 2) m;
-- copies of one of them: smaller, larger, brighter
INSERT INTO photos (id, scene, what, image) VALUES (101, 3, 'copy', shot(3, 0, 48)), (102, 3, 'copy', shot(3, 0, 96)), (103, 3, 'copy', shot(3, 0, 64, 9));

-- 64 bits; NULL for NULL
SELECT DISTINCT length(clip_image_hash(image)), pg_typeof(clip_image_hash(image)) FROM photos;
SELECT clip_image_hash(NULL) IS NULL AS null_image;
-- the bits of imagehash.phash: a flat picture has no frequency but the lowest
SELECT clip_image_hash(decode('424d00000000000000003600000028000000040000000400000001001800' || repeat('00', 24) || repeat('2010e0', 16), 'hex')) AS flat;
-- the errors of an embedding
\set VERBOSITY sqlstate
SELECT clip_image_hash('\x00');
SELECT clip_image_hash(substr(image, 1, 3000)) FROM photos WHERE id = 10;
SET clip.max_image_pixels = 4095;
SELECT clip_image_hash(image) FROM photos WHERE id = 30;
RESET clip.max_image_pixels;
SET clip.max_image_bytes = 1000;
SELECT clip_image_hash(image) FROM photos WHERE id = 30;
RESET clip.max_image_bytes;
\set VERBOSITY default

-- like this row: itself left out
SELECT id FROM photos WHERE id <> 30 ORDER BY embedding <=> (SELECT embedding FROM photos WHERE id = 30) LIMIT 3;
-- with an index
CREATE INDEX photos_embedding ON photos USING hnsw (embedding vector_cosine_ops);
CREATE INDEX photos_hash ON photos USING hnsw (hash bit_hamming_ops);
SET enable_seqscan = off; SET enable_sort = off;
-- how PostgreSQL 17 and later write what a sub-select gives
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		RETURN NEXT regexp_replace(replace(line, '(InitPlan 1).col1', '$0'), '(InitPlan 1)$', '\1 (returns $0)');
	END LOOP;
END $$;
SELECT plan('SELECT id FROM photos WHERE id <> 30 ORDER BY embedding <=> (SELECT embedding FROM photos WHERE id = 30) LIMIT 3');
SELECT id FROM photos WHERE id <> 30 ORDER BY embedding <=> (SELECT embedding FROM photos WHERE id = 30) LIMIT 3;

-- copies of a picture that is not in the table
EXPLAIN (COSTS OFF) SELECT id, hash <~> clip_image_hash(shot(3, 0, 80)) AS bits FROM photos ORDER BY hash <~> clip_image_hash(shot(3, 0, 80)) LIMIT 4;
SELECT id, bits <= 4 AS is_copy FROM (SELECT id, hash <~> clip_image_hash(shot(3, 0, 80)) AS bits FROM photos ORDER BY hash <~> clip_image_hash(shot(3, 0, 80)) LIMIT 4) n ORDER BY id;
RESET enable_seqscan; RESET enable_sort;
SELECT id FROM photos WHERE bit_count(hash # clip_image_hash(shot(3, 0, 80))) <= 4 ORDER BY id;

-- all copies in the table: each with those of the nearest that are near enough
SELECT p.id, near.id AS copy FROM photos p CROSS JOIN LATERAL
	(SELECT o.id, o.hash <~> p.hash AS bits FROM photos o WHERE o.id <> p.id ORDER BY o.hash <~> p.hash LIMIT 5) near
WHERE near.bits <= 4 AND p.id < near.id ORDER BY 1, 2;
-- by CLIP alone every burst is one of copies, and so are scenes of one kind
SELECT count(*) FILTER (WHERE a.what = 'copy' OR b.what = 'copy') > 0 AS copies, count(*) FILTER (WHERE a.scene = b.scene AND a.what = 'shot' AND b.what = 'shot') AS bursts,
	count(*) FILTER (WHERE a.scene <> b.scene) > 0 AS strangers
FROM photos a JOIN photos b ON a.id < b.id WHERE a.embedding <=> b.embedding < 0.05;
-- and whoever draws the line below them loses copies that were edited: here the hash does not
SELECT min(embedding <=> (SELECT embedding FROM photos WHERE id = 30)) > 0.0005 AS edited, bool_and(bit_count(hash # (SELECT hash FROM photos WHERE id = 30)) <= 4) AS found FROM photos WHERE id = 103;

-- a table that keeps no images takes the hash with the row
SELECT clip_create_table('album', index => false);
ALTER TABLE album ADD COLUMN hash bit(64);
INSERT INTO album (modality, content_ref, image, hash) SELECT 'image', 'shot', i, clip_image_hash(i) FROM shot(3, 0) i;
SELECT image IS NULL AS cleared, hash = (SELECT hash FROM photos WHERE id = 30) AS hashed FROM album;
DROP TABLE photos, album;
DROP FUNCTION shot;

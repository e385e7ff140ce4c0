-- Columns of half the size: whatever writes a vector rounds it as pgvector's cast does.
SELECT clip_create_table('small', type => 'halfvec', mode => 'sync');
SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 'small'::regclass AND attname = 'embedding';
SELECT indexdef FROM pg_indexes WHERE tablename = 'small' AND indexdef LIKE '%hnsw%' ORDER BY 1;
\set red '''\\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000'''
CREATE FUNCTION wrong(relation regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE wrong bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s WHERE halfvec_send(embedding) IS DISTINCT FROM halfvec_send(CASE modality::text
		WHEN ''text'' THEN clip_embed_text(content_ref) ELSE clip_embed_image(%L) END::halfvec(256))', relation,
		'\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000'::bytea) INTO wrong;
	RETURN wrong;
END $$;
INSERT INTO small (modality, content_ref) SELECT 'text', 'number ' || i FROM generate_series(1, 100) i;
INSERT INTO small (modality, content_ref, image) VALUES ('image', 'red.bmp', :red);
UPDATE small SET content_ref = 'changed' WHERE content_ref = 'number 100';
INSERT INTO small (id, modality, image) VALUES (101, 'image', :red) ON CONFLICT (id) DO UPDATE SET image = EXCLUDED.image;
SELECT count(*), wrong('small') FROM small;

-- asked like any other: the cast of the question is pgvector's, and the index serves
ANALYZE small;
SET enable_sort = off;  -- a hundred rows need no index
EXPLAIN (COSTS OFF) SELECT content_ref FROM small WHERE modality = 'text' ORDER BY embedding <=> clip_query('small', 'number 7') LIMIT 3;
EXPLAIN (COSTS OFF) SELECT content_ref FROM small ORDER BY embedding <=> clip_query('small', 'number 7') LIMIT 3;
RESET enable_sort;
SELECT content_ref FROM small ORDER BY embedding <=> clip_query('small', 'number 7') LIMIT 1;
SELECT content_ref FROM small ORDER BY embedding <=> clip_query('small', :red::bytea) LIMIT 1;

-- in the background, with a row that fails
SELECT clip_set_mode('small', 'async');
INSERT INTO small (modality, content_ref) SELECT 'text', 'later ' || i FROM generate_series(1, 50) i;
INSERT INTO small (modality, content_ref, image) VALUES ('image', 'red.bmp', :red), ('image', 'bad.bmp', '\x00');
UPDATE small SET content_ref = 'changed later' WHERE content_ref = 'changed';
CALL clip_drain('small');
SELECT relation, modality, sqlstate, state FROM clip_failures;
DELETE FROM small WHERE content_ref = 'bad.bmp';
SELECT count(*), wrong('small') FROM small;

-- a table of one's own, with rows that were there before; a domain, and partitions
CREATE TABLE mine (content_ref text, modality text DEFAULT 'text', embedding halfvec(256));
INSERT INTO mine SELECT 'before ' || i FROM generate_series(1, 50) i;
SELECT clip_attach('mine', text_column => 'content_ref');
CALL clip_backfill('mine');
INSERT INTO mine VALUES ('after');
SELECT count(*), wrong('mine') FROM mine;
CALL clip_create_index('mine');
SELECT indexdef FROM pg_indexes WHERE tablename = 'mine';
CREATE DOMAIN unit AS halfvec(256) CHECK (l2_norm(VALUE) BETWEEN 0.99 AND 1.01);
CREATE TABLE checked (id int PRIMARY KEY, content_ref text, modality text DEFAULT 'text', embedding unit) PARTITION BY LIST (id);
CREATE TABLE checked_1 PARTITION OF checked FOR VALUES IN (1);
CREATE TABLE checked_2 PARTITION OF checked FOR VALUES IN (2);
SELECT clip_attach('checked', text_column => 'content_ref');
INSERT INTO checked VALUES (1, 'one');
SELECT clip_set_mode('checked', 'async');
INSERT INTO checked VALUES (2, 'two');
CALL clip_drain('checked');
SELECT count(*), wrong('checked') FROM checked;

-- a column that becomes smaller, and larger again
SELECT clip_create_table('shrunk', index => false);
INSERT INTO shrunk (modality, content_ref) VALUES ('text', 'cat');
ALTER TABLE shrunk ALTER embedding TYPE halfvec(256);
INSERT INTO shrunk (modality, content_ref) VALUES ('text', 'dog');
SELECT count(*), wrong('shrunk') FROM shrunk;
SELECT clip_set_mode('shrunk', 'async');
INSERT INTO shrunk (modality, content_ref) VALUES ('text', 'mouse');
CALL clip_drain('shrunk');
SELECT count(*), wrong('shrunk') FROM shrunk;
ALTER TABLE shrunk ALTER embedding TYPE vector(256);
INSERT INTO shrunk (modality, content_ref) VALUES ('text', 'bird');
CALL clip_drain('shrunk');
SELECT bool_and(embedding IS NOT NULL) FROM shrunk;

-- refused
\set VERBOSITY terse
CREATE TABLE narrow (content_ref text, embedding halfvec(3), other halfvec, third sparsevec(256));
SELECT clip_attach('narrow', text_column => 'content_ref');
SELECT clip_attach('narrow', 'embedding', text_column => 'content_ref');
SELECT clip_attach('narrow', 'third', text_column => 'content_ref');
SELECT clip_attach('narrow', 'other', text_column => 'content_ref');
CALL clip_create_index('narrow');
CALL clip_create_index('narrow', type => 'vector');
ALTER TABLE narrow ALTER other TYPE halfvec(5);
INSERT INTO narrow VALUES ('cat');
\set VERBOSITY default

-- a bit for each dimension: the index finds candidates, and the vectors sort them
CREATE INDEX small_bits_idx ON small USING hnsw ((binary_quantize(embedding)::bit(256)) bit_hamming_ops);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT content_ref FROM (
	SELECT content_ref, embedding FROM small ORDER BY binary_quantize(embedding)::bit(256) <~> binary_quantize(clip_query('small', 'number 7')) LIMIT 40
) candidates ORDER BY embedding <=> clip_query('small', 'number 7') LIMIT 3;
RESET enable_seqscan;
SELECT content_ref FROM (
	SELECT content_ref, embedding FROM small ORDER BY binary_quantize(embedding)::bit(256) <~> binary_quantize(clip_query('small', 'number 7')) LIMIT 40
) candidates ORDER BY embedding <=> clip_query('small', 'number 7') LIMIT 1;
DROP TABLE small, mine, checked, shrunk, narrow;
DROP DOMAIN unit;
DROP FUNCTION wrong;

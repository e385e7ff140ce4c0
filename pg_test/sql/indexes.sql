-- Each modality has an index of its own, as texts and images lie in two cones of the space.
SET client_min_messages = warning;
\set two_cones `echo "$PG_ABS_SRCDIR"/sql/include/two_cones.sql`
\set ECHO none
\i :two_cones
\set ECHO all
RESET client_min_messages;

CREATE VIEW indexes AS SELECT c.relname AS index, i.indisvalid AS valid, regexp_replace(pg_get_indexdef(c.oid), '.* USING ', '') AS definition, i.indrelid::regclass AS relation
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw' ORDER BY c.relname COLLATE "C";
SELECT clip_create_table('cones');
SELECT index, definition FROM indexes WHERE relation = 'cones'::regclass;
CALL fill_with_two_cones('cones', 1000, 256);
SELECT a.modality, b.modality, round(avg(a.embedding <=> b.embedding)::numeric, 1) AS distance FROM cones a, cones b
WHERE a.content_ref LIKE '% 7' AND b.id <> a.id GROUP BY 1, 2 ORDER BY 1, 2;
SELECT embedding AS a_text FROM cones WHERE content_ref = 'text 7' \gset
SELECT embedding AS an_image FROM cones WHERE content_ref = 'image 7' \gset

-- the README's query: rows of those that are owed, and the plan
SELECT count(*) AS of_5 FROM (SELECT FROM cones WHERE modality = 'image' ORDER BY embedding <=> :'a_text' LIMIT 5) q;
SELECT count(*) AS of_5 FROM (SELECT FROM cones WHERE modality = 'text' ORDER BY embedding <=> :'an_image' LIMIT 5) q;
SELECT count(*) AS of_40 FROM (SELECT FROM cones WHERE modality = 'image' ORDER BY embedding <=> :'a_text' LIMIT 40) q;
SELECT content_ref FROM cones WHERE modality = 'image' ORDER BY embedding <=> :'a_text' LIMIT 1;
EXPLAIN (COSTS OFF) SELECT content_ref FROM cones WHERE modality = 'image' ORDER BY embedding <=> clip_query('cones', 'cat') LIMIT 5;
EXPLAIN (COSTS OFF) SELECT content_ref FROM cones WHERE modality = 'text' ORDER BY embedding <=> clip_query('cones', 'cat') LIMIT 5;
EXPLAIN (COSTS OFF) SELECT content_ref FROM cones ORDER BY embedding <=> clip_query('cones', 'cat') LIMIT 5;
-- a driver's statement, after more than the five executions that are planned for their parameters
PREPARE by_modality AS SELECT count(*) FROM (SELECT FROM cones WHERE modality = $1 ORDER BY embedding <=> $2 LIMIT 5) q;
\set ECHO none
SELECT format('EXECUTE by_modality(%L, %L)', CASE WHEN n % 2 = 0 THEN 'text' ELSE 'image' END, :'a_text') FROM generate_series(1, 8) n
\gexec
\set ECHO all
SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = 'by_modality';
CREATE FUNCTION plan_of(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || statement; END $$;
-- drivers declare strings as text or varchar: the cast tells the planner enough
PREPARE by_text(text) AS SELECT count(*) FROM (SELECT FROM cones WHERE modality = $1::clip_modality ORDER BY embedding <=> $2 LIMIT 5) q;
SELECT format('EXECUTE by_text(''image'', %L)', :'a_text') AS statement \gset
SELECT p FROM plan_of(:'statement') p WHERE p LIKE '%Scan%';
EXECUTE by_text('image', :'a_text');
PREPARE by_varchar(varchar) AS SELECT count(*) FROM (SELECT FROM cones WHERE modality = $1::clip_modality ORDER BY embedding <=> $2 LIMIT 5) q;
EXECUTE by_varchar('image', :'a_text');
EXECUTE by_varchar('sound', :'a_text');
BEGIN;
PREPARE one_more(varchar, text) AS INSERT INTO cones (modality, content_ref) VALUES ($1, $2) RETURNING modality;
EXECUTE one_more('text', 'a cat');
ROLLBACK;
DEALLOCATE one_more;
-- without an index of its own a modality gets nothing: what all rows' index finds is filtered away
BEGIN;
DROP INDEX cones_embedding_image_idx, cones_embedding_text_idx;
SET LOCAL enable_seqscan = off;
SELECT count(*) AS of_5 FROM (SELECT FROM cones WHERE modality = 'image' ORDER BY embedding <=> :'a_text' LIMIT 5) q;
ROLLBACK;

-- what is there is not built again, by any name
CALL clip_create_index('cones');
BEGIN;
ALTER INDEX cones_embedding_image_idx RENAME TO renamed;
ALTER TABLE cones RENAME TO renamed_cones;
ALTER TABLE renamed_cones RENAME COLUMN embedding TO vec;
ALTER TABLE renamed_cones RENAME COLUMN modality TO kind;
CALL clip_create_index('renamed_cones', concurrently => false);
SELECT count(*) AS of_5 FROM (SELECT FROM renamed_cones WHERE kind = 'image' ORDER BY vec <=> :'a_text' LIMIT 5) q;
ROLLBACK;
-- what is missing is built, by a background worker or in the transaction, with HNSW's parameters
DROP INDEX cones_embedding_image_idx, cones_embedding_idx;
CALL clip_create_index('cones', modality => 'image', m => 8, ef_construction => 32);
BEGIN;
CALL clip_create_index('cones', concurrently => false);
COMMIT;
SELECT index, valid, definition FROM indexes WHERE relation = 'cones'::regclass;
-- in half the size, on the column cast to halfvec
CALL clip_create_index('cones', modality => 'image', type => 'halfvec');
CALL clip_create_index('cones', modality => 'image', type => 'halfvec');
EXPLAIN (COSTS OFF) SELECT content_ref FROM cones WHERE modality = 'image' ORDER BY embedding::halfvec(256) <=> clip_query('cones', 'cat')::halfvec(256) LIMIT 5;
SELECT index, valid, definition FROM indexes WHERE relation = 'cones'::regclass AND index LIKE '%half%';

-- refused
\set VERBOSITY terse
CALL clip_create_index('cones', modality => 'sound');
CALL clip_create_index('cones', type => 'sparsevec');
CALL clip_create_index('cones', 'image');
CALL clip_create_index('indexes');
CALL clip_create_index(NULL);
BEGIN;
CALL clip_create_index('cones');
ROLLBACK;
SELECT clip_create_table('others', type => 'sparsevec');
SELECT clip_create_table('others', type => NULL);
-- a build that fails leaves nothing behind
DROP INDEX cones_embedding_image_idx;
CALL clip_create_index('cones', m => 1000);
CALL clip_create_index('cones', m => 1000, concurrently => false);
SELECT count(*) FROM indexes WHERE relation = 'cones'::regclass;
CALL clip_create_index('cones');
SELECT count(*), bool_and(valid) FROM indexes WHERE relation = 'cones'::regclass;
\set VERBOSITY default

-- without the index of all rows, and with none
SELECT clip_create_table('by_modality', combined_index => false);
SELECT clip_create_table('none', index => false);
SELECT relation, index FROM indexes WHERE relation <> 'cones'::regclass;
-- no generic plan is as good as one for the parameters then
ALTER TABLE by_modality DISABLE TRIGGER USER;
INSERT INTO by_modality SELECT * FROM cones;
ANALYZE by_modality;
DROP TABLE cones;
PREPARE in_one AS SELECT count(*) FROM (SELECT FROM by_modality WHERE modality = $1 ORDER BY embedding <=> $2 LIMIT 5) q;
\set ECHO none
SELECT format('EXECUTE in_one(''image'', %L)', :'a_text') FROM generate_series(1, 8)
\gexec
\set ECHO all
SELECT format('EXECUTE in_one(''image'', %L)', :'a_text') AS statement \gset
SELECT p FROM plan_of(:'statement') p WHERE p LIKE '%Scan%';
SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = 'in_one';
DROP TABLE by_modality, none;

-- a table of one's own: one index of each modality, or one where a column tells of none or all rows are of one
CREATE TABLE pages (id int PRIMARY KEY, kind varchar, body text, scan bytea, vec vector(256), caption_vec vector(256), caption text, loose vector);
SELECT clip_attach('pages', 'vec', text_column => 'body', image_column => 'scan', modality_column => 'kind');
SELECT clip_attach('pages', 'caption_vec', text_column => 'caption', modality_column => 'kind');
SELECT clip_attach('pages', 'loose', text_column => 'caption', image_column => 'scan');
CALL clip_create_index('pages', 'vec', combined => false);
CALL clip_create_index('pages', 'caption_vec');
CALL clip_create_index('pages', 'vec', combined => false);
CALL clip_create_index('pages', 'loose', type => 'halfvec');
\set VERBOSITY terse
CALL clip_create_index('pages');
CALL clip_create_index('pages', 'loose');
CALL clip_create_index('pages', 'loose', modality => 'text');
\set VERBOSITY default
SELECT index, definition FROM indexes WHERE relation = 'pages'::regclass;
EXPLAIN (COSTS OFF) SELECT id FROM pages WHERE kind = 'image' ORDER BY vec <=> clip_query('pages', 'cat', 'vec') LIMIT 5;
DROP TABLE pages;
-- names that are long or odd
CREATE SCHEMA "Odd Schema";
SELECT clip_create_table('"Odd Schema"."Odd ''Täble"');
SELECT clip_create_table(repeat('ä', 31));
SELECT index, octet_length(index::text) <= 63 AS fits FROM indexes WHERE relation::text NOT LIKE '%cones%';
CALL clip_create_index('"Odd Schema"."Odd ''Täble"');
CREATE TABLE parted (id int, kind clip_modality, body text, scan bytea, vec vector(256)) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
SELECT clip_attach('parted', text_column => 'body', image_column => 'scan', modality_column => 'kind');
\set VERBOSITY terse
CALL clip_create_index('parted');
\set VERBOSITY default
CALL clip_create_index('parted', combined => false, concurrently => false);
CALL clip_create_index('parted', combined => false, concurrently => false);
SELECT index FROM indexes WHERE relation = 'parted_1'::regclass;
SET client_min_messages = warning;
DROP SCHEMA "Odd Schema" CASCADE;
SELECT format('DROP TABLE %I', repeat('ä', 31)) \gexec
DROP TABLE parted;
DROP VIEW indexes;
DROP FUNCTION plan_of, two_cones, uniform;
DROP PROCEDURE fill_with_two_cones;
SELECT count(*) FROM clip.tables;

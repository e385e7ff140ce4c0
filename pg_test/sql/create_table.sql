-- The one table: made, filled, searched by words and by picture in one ORDER BY.
SELECT clip_create_table('things');
SELECT attname, format_type(atttypid, NULL) AS type, attnotnull, attstorage FROM pg_attribute
WHERE attrelid = 'things'::regclass AND attnum > 0 ORDER BY attnum;
SELECT indexdef FROM pg_indexes WHERE tablename = 'things' ORDER BY 1;
SELECT relation, embedding_column, text_column, image_column, modality_column, keep_images, model FROM clip.tables WHERE relation = 'things'::regclass;

INSERT INTO things (modality, content_ref) VALUES ('text', 'cat'), ('text', 'airplane');
INSERT INTO things (modality, content_ref, metadata) VALUES ('text', 'dog', '{"source": "test"}') RETURNING modality, content_ref, metadata, vector_dims(embedding) > 0 AS embedded;
SELECT content_ref FROM things ORDER BY embedding <=> clip_query('things', 'cat') LIMIT 1;
SELECT content_ref FROM things ORDER BY embedding <=> clip_embed_text('airplane') LIMIT 1;

-- what a row must have
\set VERBOSITY sqlstate
INSERT INTO things (modality, content_ref) VALUES ('text', NULL);
INSERT INTO things (modality, content_ref) VALUES ('image', 'no bytes.png');
INSERT INTO things (content_ref) VALUES ('no modality');
INSERT INTO things (modality, content_ref) VALUES ('sound', 'x');
SELECT clip_create_table('things');
SELECT clip_create_table('a.b.c');
SELECT clip_create_table('nowhere.things');
SELECT clip_create_table('others', model => 'no-such-model');
\set VERBOSITY default

-- options, schemas, odd names
CREATE SCHEMA "Odd Schema";
SELECT clip_create_table('"Odd Schema"."Odd ''Table"', keep_images => true, index => false);
SELECT count(*) FROM pg_indexes WHERE schemaname = 'Odd Schema';
INSERT INTO "Odd Schema"."Odd 'Table" (modality, content_ref) VALUES ('text', 'cat');
SELECT vector_norm(embedding) > 0.99 AS embedded FROM "Odd Schema"."Odd 'Table";

-- a dropped table is forgotten, by any way of dropping it
DROP SCHEMA "Odd Schema" CASCADE;
DROP TABLE things;
SELECT count(*) FROM clip.tables;

-- clip_search: the nearest rows of a table, whatever its columns are called.
SELECT clip_create_table('items');
INSERT INTO items (modality, content_ref, metadata) VALUES
	('text', 'a cat', '{"shelf": 1}'), ('text', 'a dog', '{"shelf": 2}'), ('text', 'an airplane', '{"shelf": 2}'), ('text', 'a red bicycle', NULL);
CREATE FUNCTION square(colour text) RETURNS bytea LANGUAGE sql AS
	$$ SELECT decode('424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000' || repeat(repeat(colour, 2) || '0000', 2), 'hex') $$;
INSERT INTO items (modality, content_ref, image, metadata) VALUES ('image', 'red.bmp', square('0000ff'), '{"shelf": 1}'), ('image', 'green.bmp', square('00ff00'), '{"shelf": 2}');

-- untyped literals are a text, as with clip_query
SELECT key, modality, content_ref, metadata, distance < 1e-6 AS is_it, rank FROM clip_search('items', 'a cat', k => 1);
SELECT content_ref, rank FROM clip_search('items', square('00ff00'), k => 1);
SELECT content_ref FROM clip_search('items', (SELECT embedding FROM items WHERE content_ref = 'a dog'), k => 1);
PREPARE by_parameter(text) AS SELECT content_ref FROM clip_search('items', $1, k => 1);
EXECUTE by_parameter('an airplane');
-- every row once, in order
SELECT count(*), count(DISTINCT key), bool_and(rank = row) AS in_order, bool_and(distance >= previous IS NOT FALSE) AS by_distance
FROM (SELECT *, row_number() OVER () AS row, lag(distance) OVER () AS previous FROM clip_search('items', 'a cat')) s;
SELECT content_ref FROM clip_search('items', 'a cat', modality => 'image') ORDER BY content_ref;
SELECT modality, count(*) FROM clip_search('items', 'a cat', modality => 'text') GROUP BY 1;
-- a filter is what metadata contains
SELECT content_ref FROM clip_search('items', 'a cat', filter => '{"shelf": 2}') ORDER BY 1;
SELECT count(*) FROM clip_search('items', 'a cat', filter => '{"shelf": 3}');
-- what is further away than asked for is none of the answer, on no page; what has the words is
SELECT content_ref FROM clip_search('items', 'a cat', max_distance => 1e-6);
SELECT content_ref, rank FROM clip_search('items', 'a cat', k => 1, max_distance => 0.5);
SELECT count(*) FROM clip_search('items', 'a cat', max_distance => 1e-6, after => (SELECT cursor FROM clip_search('items', 'a cat', k => 1, max_distance => 1e-6)));
SELECT count(*) FILTER (WHERE distance > limits) AS too_far, count(*) = min(owed) AS all_others FROM (SELECT (percentile_cont(0.4) WITHIN GROUP (ORDER BY distance)) AS limits FROM clip_search('items', 'a cat')) l,
	LATERAL (SELECT count(*) AS owed FROM clip_search('items', 'a cat') WHERE distance <= limits) o, LATERAL clip_search('items', 'a cat', max_distance => limits);
SELECT count(*) FROM clip_search('items', 'a cat', max_distance => -1);
SELECT count(*) FROM clip_search('items', 'a cat', max_distance => 'infinity');
SELECT content_ref FROM clip_search('items', 'a cat', max_distance => 1e-6, words => 'bicycle') ORDER BY rank;
-- as a column of another query
SELECT i.content_ref, s.content_ref AS nearest FROM items i, LATERAL clip_search('items', i.embedding, k => 1) s WHERE i.modality = 'text' ORDER BY 1;
SELECT (clip_search('items', 'a cat', k => 1)).content_ref;
-- no query, no rows
SELECT count(*) FROM clip_search('items', NULL::text);
SELECT count(*) FROM clip_search('items', NULL::bytea);
SELECT count(*) FROM clip_search('items', NULL::vector);

-- what is wrong is said
CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN format('%s %s%s', SQLSTATE, SQLERRM, ' / ' || nullif(hint, ''));
END $$;
SELECT arguments, pg_temp.refused(format('SELECT * FROM clip_search(%s)', arguments)) FROM (VALUES
	($$NULL, 'x'$$), ($$'items', 'x', k => 0$$), ($$'items', 'x', k => -7$$), ($$'items', 'x', k => NULL$$), ($$'items', 'x', k => 2147483647$$),
	($$'items', 'x', modality => 'video'$$), ($$'items', '[1, 2, 3]'::vector$$), ($$'items', (SELECT array_agg(0)::vector FROM generate_series(1, 256))$$),
	($$'items', '\x00'::bytea$$), ($$'pg_class', 'x'$$), ($$'items', 'x', embedding_column => 'image'$$), ($$'items', 'x', max_distance => 'NaN'$$),
	($$'items', 'x', words => 'y', after => '{}'$$),
	($$'items', 'x', after => 'null'$$), ($$'items', 'x', after => '{"v": 1}'$$),
	($$'items', 'x', after => (SELECT cursor FROM clip_search('items', 'y', k => 1))$$),
	($$'items', 'x', after => (SELECT cursor FROM clip_search('items', 'x', k => 1, modality => 'text'))$$),
	($$'items', 'x', modality => 'text', after => (SELECT jsonb_set(cursor, '{at,text,key}', '{"ID": 1}') FROM clip_search('items', 'x', k => 1, modality => 'text'))$$)
) a (arguments);

-- pages: each row once, ranks go on; rows of one distance in the order of their keys
INSERT INTO items (modality, content_ref, embedding) SELECT 'text', 'a cat', embedding FROM items, generate_series(1, 20) WHERE content_ref = 'a cat' AND id = 1;
CREATE FUNCTION pages(relation regclass, query text, k integer, modality text DEFAULT NULL) RETURNS TABLE (page integer, key jsonb, rank bigint, distance double precision) LANGUAGE plpgsql AS $$
DECLARE
	at jsonb;
BEGIN
	FOR n IN 1..100 LOOP
		RETURN QUERY SELECT n, s.key, s.rank, s.distance FROM clip_search(relation, query, k, modality, after => at) s;
		EXIT WHEN NOT FOUND;
		SELECT s.cursor INTO at FROM clip_search(relation, query, k, modality, after => at) s ORDER BY s.rank DESC LIMIT 1;
	END LOOP;
END $$;
SELECT count(*), count(DISTINCT key), max(page) AS pages, bool_and(rank = row) AS in_order FROM (SELECT *, row_number() OVER () AS row FROM pages('items', 'a cat', 4)) p;
SELECT count(*), count(DISTINCT key), max(page) AS pages FROM pages('items', 'a cat', 3, 'text');
SELECT bool_and((key ->> 'id')::int > previous) AS by_key FROM (SELECT key, lag((key ->> 'id')::int) OVER (ORDER BY rank) AS previous FROM pages('items', 'a cat', 3, 'text') WHERE distance < 1e-6) p;
-- the same by index
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT key), max(page) AS pages FROM pages('items', 'a cat', 3, 'text');
RESET enable_seqscan;

-- words: what a model cannot know
INSERT INTO items (modality, content_ref, metadata) VALUES ('text', 'spare part', '{"code": "QX-7731", "price": 1250}'), ('text', 'invoice 2024', NULL);
INSERT INTO items (modality, content_ref, image) VALUES ('image', 'photos/HV-2210.bmp', square('ff0000'));
SELECT content_ref FROM clip_search('items', 'a cat', words => 'QX-7731', k => 1);
SELECT content_ref FROM clip_search('items', 'a cat', words => '1250', k => 1);
SELECT content_ref FROM clip_search('items', 'a cat', words => 'invoice -2023', k => 1);
SELECT content_ref FROM clip_search('items', 'a cat', words => 'HV-2210', k => 1, modality => 'image');
SELECT content_ref FROM clip_search('items', 'a cat', words => 'HV-2210', k => 1, modality => 'text');
SELECT content_ref FROM clip_search('items', 'a cat', words => 'nothing has this', k => 1);
SELECT content_ref FROM clip_search('items', 'a cat', words => '', k => 1);
SELECT content_ref FROM clip_search('items', 'a cat', words => 'invoice', filter => '{"shelf": 1}', k => 1);
SELECT count(*) = (SELECT count(*) FROM items) AS all_once, count(DISTINCT key) = count(*) AS once FROM clip_search('items', 'a cat', words => 'cat', k => 1000);
SELECT clip_create_words_index('items');
SELECT indexdef FROM pg_indexes WHERE tablename = 'items' AND indexdef LIKE '%gin%';
SET enable_seqscan = off;
SELECT content_ref FROM clip_search('items', 'a cat', words => 'QX-7731', k => 1);
RESET enable_seqscan;
SET clip.text_search_config = 'german';
SELECT content_ref FROM clip_search('items', 'a cat', words => 'invoices', k => 1);
SET clip.text_search_config = 'english';
SELECT content_ref FROM clip_search('items', 'a cat', words => 'invoices', k => 1);
SET clip.text_search_config = 'klingon';
SELECT pg_temp.refused($$SELECT * FROM clip_search('items', 'a cat', words => 'invoices')$$);
RESET clip.text_search_config;
DROP TABLE items;

-- tables of yours: other names, types, keys
CREATE SCHEMA "Odd one";
CREATE TABLE "Odd one"."My ""table""" ("Part" text COLLATE "C", "No." int, "Title" varchar(100), "Kind" varchar, "Vector" vector, PRIMARY KEY ("Part", "No."));
SELECT clip_attach('"Odd one"."My ""table"""', text_column => 'Title', modality_column => 'Kind');
INSERT INTO "Odd one"."My ""table""" ("Part", "No.", "Title", "Kind") SELECT p, i, 'a cat', 'text' FROM unnest(ARRAY['a', 'B', 'b']) p, generate_series(1, 3) i;
INSERT INTO "Odd one"."My ""table""" ("Part", "No.", "Title", "Kind") VALUES ('z', 1, 'a train', 'text'), ('z', 2, 'nothing', NULL);
SELECT key, modality, content_ref, metadata FROM clip_search('"Odd one"."My ""table"""', 'a train', k => 1);
SELECT count(*), count(DISTINCT key), max(page) AS pages FROM pages('"Odd one"."My ""table"""', 'a cat', 4);
SELECT count(*), count(DISTINCT key), max(page) AS pages FROM pages('"Odd one"."My ""table"""', 'a cat', 4, 'text');
SELECT count(*) FROM clip_search('"Odd one"."My ""table"""', 'a cat', modality => 'image');
SELECT pg_temp.refused($$SELECT * FROM clip_search('"Odd one"."My ""table"""', 'a cat', filter => '{}')$$);
SELECT content_ref FROM clip_search('"Odd one"."My ""table"""', 'a cat', words => 'train', k => 1);
SELECT clip_create_words_index('"Odd one"."My ""table"""');
DROP SCHEMA "Odd one" CASCADE;

-- without a modality column a row is an image where it has one
CREATE TABLE products (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text, photo bytea, embedding vector(256), metadata json);
SELECT clip_attach('products', text_column => 'title', image_column => 'photo');
INSERT INTO products (title, photo) VALUES ('a cat', NULL), ('red', square('0000ff')), (NULL, square('00ff00')), ('a dog', NULL);
SELECT modality, content_ref FROM clip_search('products', 'a cat', k => 1);
SELECT modality, count(*) FROM clip_search('products', 'a cat') GROUP BY 1 ORDER BY 1;
SELECT content_ref FROM clip_search('products', square('0000ff'), modality => 'image', k => 1);
SELECT content_ref FROM clip_search('products', square('0000ff'), modality => 'text') ORDER BY 1;
SELECT pg_temp.refused($$SELECT * FROM clip_search('products', 'a cat', filter => '{}')$$);
DROP TABLE products;

-- images alone, no key: no pages
CREATE TABLE photos (photo bytea, embedding vector);
SELECT clip_attach('photos', image_column => 'photo');
INSERT INTO photos VALUES (square('0000ff')), (square('00ff00'));
SELECT key, modality, content_ref, cursor FROM clip_search('photos', 'red', k => 1);
SELECT count(*) FROM clip_search('photos', 'red', modality => 'text');
SELECT count(*) FROM clip_search('photos', 'red', words => 'red');
SELECT pg_temp.refused($$SELECT * FROM clip_search('photos', 'red', after => '{}')$$);
DROP TABLE photos;

-- partitions; rows without a vector, or with one of no direction, are in no answer
CREATE TABLE parts (id int, title text, embedding vector(256), PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
SELECT clip_attach('parts', text_column => 'title');
INSERT INTO parts SELECT i, 'cat ' || i FROM generate_series(1, 199) i;
INSERT INTO parts VALUES (0, NULL);
CREATE INDEX ON parts USING hnsw (embedding vector_cosine_ops);
ANALYZE parts;
SELECT key FROM clip_search('parts', 'cat 150', k => 1);
SELECT count(*) FROM clip_search('parts', 'cat', k => 1000);
SELECT count(*), count(DISTINCT key), max(page) AS pages FROM pages('parts', 'cat', 50);
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT key), max(page) AS pages FROM pages('parts', 'cat', 50);
RESET enable_seqscan;
DROP TABLE parts;

-- who must name a column
CREATE TABLE twice (id int PRIMARY KEY, a text, b text, of_a vector, of_b vector);
SELECT clip_attach('twice', 'of_a', text_column => 'a'), clip_attach('twice', 'of_b', text_column => 'b');
INSERT INTO twice VALUES (1, 'a cat', 'a train'), (2, 'a train', 'a cat');
SELECT pg_temp.refused($$SELECT * FROM clip_search('twice', 'a cat')$$);
SELECT key, content_ref FROM clip_search('twice', 'a cat', k => 1, embedding_column => 'of_b');
DROP TABLE twice;
DROP FUNCTION square, pages;

-- clip_backfill embeds the rows that were there before, in batches of its own transactions; a bad row stops nothing.
\set red '''\\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000'''
CREATE TABLE products (id int PRIMARY KEY, title text, photo bytea, note text, embedding vector);
INSERT INTO products (id, title) SELECT i, 'word ' || i FROM generate_series(1, 100) i;
INSERT INTO products (id, title, photo) VALUES (101, 'an image where there is one', :red), (102, 'damaged', '\x00'), (103, NULL, NULL), (104, '', NULL);
SELECT clip_attach('products', text_column => 'title', image_column => 'photo');
CALL clip_backfill('products', batch_size => 7);
SELECT id, embedding IS NULL AS missing FROM products WHERE id > 100 ORDER BY id;
SELECT count(*) AS wrong FROM products WHERE embedding <> coalesce(clip_embed_image(nullif(photo, '\x00')), clip_embed_text(title));
SELECT relation, embedding_column, key, modality, sqlstate, message, state FROM clip_failures;
SELECT count(*) AS unfinished FROM clip_progress;
SELECT rows_total, rows_done, rows_failed FROM clip.backfills;

-- a second call tries what failed again, and only that
SELECT coalesce(sum(items + memo_hits), 0) AS before FROM clip_stats \gset
CALL clip_backfill('products');
SELECT sum(items + memo_hits) - :before AS inputs FROM clip_stats;
UPDATE products SET photo = NULL WHERE id = 102;
CALL clip_backfill('products');
SELECT count(*) AS missing FROM products WHERE embedding IS NULL;
SELECT count(*) AS errors FROM clip_failures;

-- with a modality column, and images that are cleared
CREATE TABLE items (kind text, body text, image bytea, embedding vector(256));
INSERT INTO items VALUES ('text', 'cat', NULL), ('image', 'red.bmp', :red), ('image', 'damaged', '\x4749'), ('text', NULL, NULL), (NULL, 'neither', NULL), ('audio', 'a sound', NULL);
SELECT clip_attach('items', text_column => 'body', image_column => 'image', modality_column => 'kind', keep_images => false);
CALL clip_backfill('items');
SELECT body, image IS NULL AS no_image, embedding IS NULL AS missing FROM items ORDER BY body;
SELECT key, modality, sqlstate, message FROM clip_failures ORDER BY sqlstate;
-- without a primary key a failure is known by where its row lies
UPDATE items SET kind = 'text' WHERE kind = 'audio';
DELETE FROM items WHERE body = 'damaged';
CALL clip_backfill('items');
SELECT count(*) AS failures FROM clip_failures;
SELECT body, embedding IS NULL AS missing FROM items WHERE body = 'a sound';

-- what code of the table's owner refuses fails alone
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.title = 'word 13' THEN RAISE EXCEPTION 'not this one' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON products FOR EACH ROW EXECUTE FUNCTION refuse();
ALTER TABLE products DISABLE TRIGGER USER;
UPDATE products SET embedding = NULL WHERE id BETWEEN 10 AND 14;
ALTER TABLE products ENABLE TRIGGER USER;
CALL clip_backfill('products');
SELECT key, sqlstate, message, state, attempts FROM clip_failures;
SELECT count(*) AS missing FROM products WHERE embedding IS NULL AND id <> 103;
DROP TRIGGER refuse ON products;
DROP FUNCTION refuse();
CALL clip_backfill('products');
SELECT count(*) AS failures FROM clip_failures;

-- partitions; columns with names that need quoting
CREATE TABLE parted (id int, "the Text" text, "Embedding ""x""" vector, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_b PARTITION OF parted FOR VALUES FROM (10) TO (100) PARTITION BY RANGE (id);
CREATE TABLE parted_b1 PARTITION OF parted_b FOR VALUES FROM (10) TO (100);
INSERT INTO parted SELECT i, 'word ' || i FROM generate_series(1, 30) i;
SELECT clip_attach('parted', 'Embedding "x"', text_column => 'the Text');
CALL clip_backfill('parted', 'Embedding "x"', 4);
SELECT count(*) AS wrong FROM parted WHERE "Embedding ""x""" IS DISTINCT FROM clip_embed_text("the Text");

-- images that are large together: batches are cut by size, and nothing is lost
CREATE TABLE large (id int, image bytea, embedding vector);
ALTER TABLE large ALTER image SET STORAGE EXTERNAL;
INSERT INTO large SELECT i, decode(repeat('00', 30000000 + i), 'hex') FROM generate_series(1, 4) i;
SELECT clip_attach('large', image_column => 'image');
SET client_min_messages = error;
CALL clip_backfill('large');
RESET client_min_messages;
SELECT rows_total, rows_done, rows_failed FROM clip.backfills WHERE relation = 'large'::regclass;

-- refused
\set VERBOSITY terse
CALL clip_backfill('pg_class');
CALL clip_backfill('products', 'title');
CALL clip_backfill(NULL);
CALL clip_backfill('products', batch_size => 0);
CALL clip_backfill('products', batch_size => NULL);
ALTER TABLE products ADD second vector;
SELECT clip_attach('products', 'second', text_column => 'note');
CALL clip_backfill('products');
BEGIN;
CALL clip_backfill('products', 'embedding');
ROLLBACK;
CREATE ROLE clip_other;
GRANT ALL ON products TO clip_other;
SET ROLE clip_other;
CALL clip_backfill('products', 'embedding');
SELECT count(*) AS visible FROM clip_failures;
SELECT clip.note('backfill: again', 'products', 'embedding', '');
RESET ROLE;
REVOKE ALL ON products FROM clip_other;
DROP ROLE clip_other;
SELECT clip.note('no such entry', 'products', 'embedding', '');
\set VERBOSITY default
SELECT clip_detach('products', 'embedding'), clip_detach('products');
DROP TABLE products, items, parted, large;
SELECT count(*) FROM clip.backfills;
SELECT count(*) FROM clip.failures;

-- The same trigger on a table that is there already.
CREATE TABLE products (sku text PRIMARY KEY, title text, photo bytea, title_vec vector, photo_vec vector(256), price numeric);
INSERT INTO products (sku, title) VALUES ('a', 'cat'), ('b', 'airplane');
SELECT clip_attach('products', 'title_vec', text_column => 'title');
SELECT clip_attach('products', 'photo_vec', image_column => 'photo');
SELECT relation, embedding_column, text_column, image_column, modality_column, keep_images, model FROM clip.tables ORDER BY 2;

-- rows from before are embedded when their source is written again
UPDATE products SET title = title WHERE title_vec IS NULL;
\set red '''\\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000'''
INSERT INTO products (sku, title, photo) VALUES ('c', 'red square', :red);
SELECT sku, title_vec = clip_embed_text(title) AS title_vec, photo_vec = clip_embed_image(photo) AS photo_vec FROM products ORDER BY sku;
-- a source that is taken away takes its vector along
UPDATE products SET photo = NULL, title = NULL WHERE sku = 'c';
SELECT title_vec IS NULL AS title_vec, photo_vec IS NULL AS photo_vec FROM products WHERE sku = 'c';

-- two columns: clip_query has to be told which
\set VERBOSITY terse
SELECT clip_query('products', 'cat') IS NULL;
SELECT sku FROM products WHERE title_vec IS NOT NULL ORDER BY title_vec <=> clip_query('products', 'cat', 'title_vec') LIMIT 1;
SELECT clip_query('products', 'cat', 'price') IS NULL;
SELECT clip_query('pg_class', 'cat') IS NULL;

-- refused
SELECT clip_attach('products', 'title_vec', text_column => 'title');
SELECT clip_attach('products', 'title', text_column => 'title');
SELECT clip_attach('products', 'title_vec', text_column => 'price');
SELECT clip_attach('products', 'title_vec', image_column => 'title');
SELECT clip_attach('products', 'title_vec', text_column => 'missing');
SELECT clip_attach('products', 'title_vec');
SELECT clip_attach('products', 'title_vec', text_column => 'title', image_column => 'photo', keep_images => false);
CREATE VIEW product_view AS SELECT * FROM products;
SELECT clip_attach('product_view', 'title_vec', text_column => 'title');
DROP VIEW product_view;
CREATE TABLE narrow (title text, upper_title text GENERATED ALWAYS AS (upper(title)) STORED, embedding vector(3));
SELECT clip_attach('narrow', text_column => 'title');
SELECT clip_attach('narrow', text_column => 'upper_title');
SELECT clip_attach('products', 'title_vec', text_column => 'title', model => '../../etc');
\set VERBOSITY default

-- detached: vectors stay, nothing is embedded any more
SELECT clip_detach('products', 'photo_vec');
SELECT clip_detach('products', 'title_vec');
INSERT INTO products (sku, title) VALUES ('d', 'dog');
SELECT sku, title_vec IS NOT NULL AS embedded FROM products ORDER BY sku;
SELECT count(*) FROM clip.tables;
\set VERBOSITY terse
SELECT clip_detach('products', 'title_vec');

-- a trigger by hand with wrong columns is an error, never a crash
CREATE TRIGGER hand BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION clip_embed_trigger('title_vec', 'price', '', '', 'true', 'pictograms', 'x');
INSERT INTO products (sku) VALUES ('e');
DROP TRIGGER hand ON products;
CREATE TRIGGER hand BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION clip_embed_trigger('price', 'title', '', '', 'true', 'pictograms', 'x');
INSERT INTO products (sku) VALUES ('e');
DROP TRIGGER hand ON products;
CREATE TRIGGER hand BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION clip_embed_trigger();
INSERT INTO products (sku) VALUES ('e');
DROP TRIGGER hand ON products;
CREATE TRIGGER hand AFTER INSERT ON products FOR EACH ROW EXECUTE FUNCTION clip_embed_trigger('title_vec', 'title', '', '', 'true', 'pictograms', 'x');
INSERT INTO products (sku) VALUES ('e');
DROP TRIGGER hand ON products;

-- a renamed column stays what it was
SELECT clip_attach('products', 'title_vec', text_column => 'title');
ALTER TABLE products RENAME title TO headline;
INSERT INTO products (sku, headline) VALUES ('f', 'bird');
SELECT title_vec = clip_embed_text('bird') AS embedded FROM products WHERE sku = 'f';
-- a dropped embedding column is forgotten, and rows can be written as before
SELECT clip_attach('products', 'photo_vec', image_column => 'photo');
ALTER TABLE products DROP COLUMN photo_vec;
SELECT embedding_column FROM clip.tables;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'products'::regclass;
INSERT INTO products (sku, photo) VALUES ('g', 'no image');

-- partitioned tables embed in every partition
CREATE TABLE parted (id int, title text, embedding vector) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
SELECT clip_attach('parted', text_column => 'title');
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
INSERT INTO parted VALUES (1, 'cat'), (2, 'dog');
SELECT id, embedding = clip_embed_text(title) AS embedded FROM parted ORDER BY id;
DROP TABLE parted, narrow, products CASCADE;
SELECT count(*) FROM clip.tables;

-- Triggers name the columns that matter, and yet the types of these can be changed.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE VIEW triggers AS
	SELECT g.tgrelid::regclass AS relation, regexp_replace(p.proname, '^clip_|_trigger$', '', 'g') AS trigger, g.tgenabled AS enabled,
		(SELECT string_agg(a.attname, ', ' ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = g.tgrelid AND a.attnum = ANY (g.tgattr)) AS columns
	FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
	WHERE p.proname IN ('clip_embed_trigger', 'enqueue_trigger') AND g.tgparentid = 0 ORDER BY 1, 2;
CREATE TABLE later (id int PRIMARY KEY, content varchar(40), price int, embedding vector);
SELECT clip_attach('later', text_column => 'content', mode => 'async');
CREATE TABLE at_once (id int PRIMARY KEY, content varchar(40), price int, embedding vector);
SELECT clip_attach('at_once', text_column => 'content');
TABLE triggers;
INSERT INTO later VALUES (1, 'a red square', 1, NULL), (2, 'a green circle', 1, NULL);
CALL clip_drain();

-- what is not named makes nobody wait; what is, does
UPDATE later SET price = 2;
SELECT count(*) FROM clip.queue;
UPDATE later SET content = 'a blue circle' WHERE id = 2;
SELECT key FROM clip.queue;
UPDATE later SET id = 3 WHERE id = 2;
SELECT key FROM clip.queue ORDER BY 1;
CALL clip_drain();
UPDATE later SET embedding = NULL WHERE id = 1;
SELECT key FROM clip.queue;
CALL clip_drain();
SELECT id, embedding = clip_embed_text(content) AS is_right FROM later ORDER BY id;

-- source, key and vector, one by one and together
ALTER TABLE later ALTER content TYPE text;
ALTER TABLE later ALTER id TYPE bigint;
ALTER TABLE later ALTER embedding TYPE halfvec;
ALTER TABLE ONLY public.later ALTER COLUMN id SET DATA TYPE int, ALTER content TYPE varchar(50), ALTER price TYPE bigint, ADD note text;
ALTER TABLE at_once ALTER content TYPE text, ALTER id TYPE bigint;
TABLE triggers;
INSERT INTO later VALUES (5, 'a dog', 1, NULL);
UPDATE later SET content = 'a cat' WHERE id = 1;
SELECT key FROM clip.queue ORDER BY 1;
CALL clip_drain();
SELECT id, embedding = clip_embed_text(content)::halfvec AS is_right FROM later ORDER BY id;

-- values of an expression: rows that wait have other keys, also those of partitions; vectors may be of other words
CREATE TABLE retyped (id int, region text, content text, price int, embedding vector, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE retyped_x PARTITION OF retyped FOR VALUES IN ('x');
CREATE TABLE retyped_y PARTITION OF retyped FOR VALUES IN ('y');
SELECT clip_attach('retyped', text_column => 'content', mode => 'async');
INSERT INTO retyped VALUES (1, 'x', 'a dog', 1, NULL);
CALL clip_drain('retyped');
INSERT INTO retyped VALUES (2, 'x', 'a cat', 1, NULL), (2, 'y', 'a horse', 1, NULL);
ALTER TABLE retyped ALTER price TYPE bigint USING price + 1;
SELECT relation::regclass, key FROM clip.queue ORDER BY 1;
ALTER TABLE retyped ALTER id TYPE text USING 'no. ' || id, ALTER content TYPE varchar(50) USING content || ' runs';
SELECT relation::regclass, key FROM clip.queue ORDER BY 1;
CALL clip_drain('retyped');
SELECT id, region, embedding = clip_embed_text(content) AS is_right FROM retyped ORDER BY id, region;
UPDATE public.retyped SET embedding = NULL WHERE content IS NOT NULL;
CALL clip_backfill('public.retyped');
SELECT bool_and(embedding = clip_embed_text(content)) AS are_right FROM retyped;
DROP TABLE retyped;

-- one that fails leaves all as it was, and so does one of somebody else
ALTER TABLE later ALTER content TYPE int USING content::int;
BEGIN;
SAVEPOINT here;
ALTER TABLE later ALTER content TYPE text, ALTER missing TYPE int;
ROLLBACK TO here;
COMMIT;
CREATE ROLE regress_types;
SET ROLE regress_types;
ALTER TABLE later ALTER content TYPE text;
ALTER TABLE IF EXISTS missing ALTER content TYPE text;
ALTER TABLE missing ALTER content TYPE text;
RESET ROLE;
DROP ROLE regress_types;
SELECT clip.follow_columns();
TABLE triggers;

-- triggers stay enabled as they were
ALTER TABLE later DISABLE TRIGGER USER;
ALTER TABLE later ALTER content TYPE text;
SELECT DISTINCT enabled FROM triggers WHERE relation = 'later'::regclass;
ALTER TABLE later ENABLE TRIGGER USER;

-- another trigger may change any column; when another key comes, it is named
CREATE FUNCTION as_it_is() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER other BEFORE UPDATE ON later FOR EACH ROW EXECUTE FUNCTION as_it_is();
SELECT * FROM triggers WHERE relation = 'later'::regclass;
ALTER TABLE later ALTER content TYPE varchar(60);
SELECT * FROM triggers WHERE relation = 'later'::regclass;
ALTER TABLE at_once DROP CONSTRAINT at_once_pkey, ADD PRIMARY KEY (price);
SELECT * FROM triggers WHERE relation = 'at_once'::regclass;

-- a column goes without CASCADE, and its bookkeeping with it
ALTER TABLE at_once DROP COLUMN price;
SELECT * FROM triggers WHERE relation = 'at_once'::regclass;
DROP TRIGGER other ON later;
UPDATE later SET price = id;
ALTER TABLE later ALTER content TYPE text, DROP COLUMN id, ADD PRIMARY KEY (price);
SELECT * FROM triggers WHERE relation = 'later'::regclass;
ALTER TABLE later DROP COLUMN embedding;
SELECT * FROM triggers WHERE relation = 'later'::regclass;
SELECT count(*) FROM clip.tables WHERE relation = 'later'::regclass;

-- partitions have their parent's, and keys of their own
CREATE TABLE parts (id int, content text, price int, embedding vector) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
ALTER TABLE part1 ADD PRIMARY KEY (price);
SELECT clip_attach('parts', text_column => 'content');
INSERT INTO parts VALUES (1, 'a dog', 1, NULL);
ALTER TABLE parts ALTER content TYPE varchar(30), ALTER price TYPE bigint;
UPDATE parts SET content = 'a cat';
SELECT embedding = clip_embed_text('a cat') AS is_right FROM parts;
SELECT g.tgrelid::regclass, pg_get_triggerdef(g.oid) ~ 'UPDATE OF content, price ON' AS named FROM pg_trigger g
WHERE g.tgrelid IN ('parts'::regclass, 'part1'::regclass) AND pg_get_triggerdef(g.oid) ~ 'clip_embed_trigger' ORDER BY 1;
-- rows of partitions that wait, or have failed, go with the column
CREATE TABLE waiting (id int, region text, body text, image bytea, of_text vector, of_image vector, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE waiting_x PARTITION OF waiting FOR VALUES IN ('x');
CREATE TABLE waiting_y PARTITION OF waiting FOR VALUES IN ('y') PARTITION BY RANGE (id);
CREATE TABLE waiting_y1 PARTITION OF waiting_y FOR VALUES FROM (0) TO (100);
SELECT clip_attach('waiting', 'of_text', text_column => 'body', mode => 'async');
SELECT clip_attach('waiting', 'of_image', image_column => 'image', mode => 'async');
INSERT INTO waiting VALUES (1, 'x', 'a dog', 'no picture'), (2, 'y', 'a cat', 'no picture');
CALL clip_drain('waiting');
UPDATE waiting SET body = 'a bird';
SELECT relation, embedding_column FROM clip.queue ORDER BY relation::text;
SELECT relation, embedding_column, state FROM clip_failures ORDER BY relation::text;
ALTER TABLE waiting DROP COLUMN of_image;
ALTER TABLE waiting DROP COLUMN of_text;
SELECT count(*) FROM clip.queue;
SELECT count(*) FROM clip_failures;
-- a parent's column is its children's
CREATE TABLE parent (content varchar(20));
CREATE TABLE child (id int PRIMARY KEY, embedding vector) INHERITS (parent);
SELECT clip_attach('child', text_column => 'content');
ALTER TABLE parent ALTER content TYPE text;
SELECT * FROM triggers WHERE relation = 'child'::regclass;
DROP VIEW triggers;
DROP TABLE later, at_once, parts, waiting, child, parent;
DROP FUNCTION as_it_is;

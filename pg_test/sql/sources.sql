-- A vector is of the row's own source, whatever statement wrote it: upserts, other triggers, labels, keys, renamed columns.
\set VERBOSITY terse
\set red '''\\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000'''
\set blue '''\\x424d460000000000000036000000280000000200000002000000010018000000000010000000000000000000000000000000000000000000ff0000ff00000000ff0000ff'''
CREATE FUNCTION made_of(v vector) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce((SELECT name FROM (VALUES ('red', clip_embed_image('\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000')),
		('blue', clip_embed_image('\x424d460000000000000036000000280000000200000002000000010018000000000010000000000000000000000000000000000000000000ff0000ff00000000ff0000ff')),
		('cat', clip_embed_text('cat')), ('dog', clip_embed_text('dog')), ('cat!', clip_embed_text('cat!'))) s (name, w) WHERE w = v), CASE WHEN v IS NOT NULL THEN 'something else' END)
$$;

-- upserts of images that are cleared: EXCLUDED.image is NULL, and still the new image's vector is written
SELECT clip_create_table('up', index => false);
ALTER TABLE up ADD code text, ADD lower_code text GENERATED ALWAYS AS (lower(code)) STORED, ADD UNIQUE (lower_code);
CREATE UNIQUE INDEX up_partial ON up (content_ref) WHERE modality = 'image';
INSERT INTO up (id, modality, content_ref, image, code) VALUES (1, 'image', 'a', :red, 'A'), (2, 'image', 'b', :red, 'B'), (3, 'text', 'cat', NULL, 'C');
INSERT INTO up (id, modality, content_ref, image) VALUES (1, 'image', 'a1', :blue) ON CONFLICT (id) DO UPDATE SET content_ref = EXCLUDED.content_ref, image = EXCLUDED.image;
SELECT made_of(embedding) AS blue, image FROM up WHERE id = 1;
INSERT INTO up (id, modality, content_ref, image) VALUES (1, 'image', 'a', :red) ON CONFLICT (id) DO UPDATE SET (content_ref, image) = (EXCLUDED.content_ref, coalesce(EXCLUDED.image, up.image));
SELECT made_of(embedding) AS red FROM up WHERE id = 1;
INSERT INTO up (modality, content_ref, image) VALUES ('image', 'a', :blue) ON CONFLICT (content_ref) WHERE modality = 'image' DO UPDATE SET image = EXCLUDED.image;
SELECT made_of(embedding) AS blue FROM up WHERE id = 1;
INSERT INTO up (modality, content_ref, image, code) VALUES ('image', 'x', :red, 'a') ON CONFLICT (lower_code) DO UPDATE SET image = EXCLUDED.image;
SELECT made_of(embedding) AS red FROM up WHERE id = 1;
-- two keys in the way, several rows, some of them new
INSERT INTO up (id, modality, content_ref, image) VALUES (1, 'image', 'a', :blue), (10, 'image', 'c', :red), (2, 'image', 'b', :blue)
	ON CONFLICT (id) DO UPDATE SET image = EXCLUDED.image;
SELECT id, made_of(embedding) AS made_of FROM up ORDER BY id;
-- what does not name the image, or finds none proposed, leaves the vector alone
INSERT INTO up (id, modality, content_ref, image) VALUES (1, 'image', 'a', :red) ON CONFLICT (id) DO UPDATE SET metadata = '{}';
INSERT INTO up (id, modality, content_ref) VALUES (2, 'text', 'dog') ON CONFLICT (id) DO UPDATE SET image = EXCLUDED.image;
INSERT INTO up (id, modality, content_ref, image) VALUES (10, 'image', 'c', :blue) ON CONFLICT (id) DO NOTHING;
INSERT INTO up (id, modality, content_ref, image) VALUES (10, 'image', 'c', :blue) ON CONFLICT (id) DO UPDATE SET image = EXCLUDED.image WHERE up.metadata IS NOT NULL;
SELECT id, made_of(embedding) AS made_of FROM up ORDER BY id;
-- a text over an image and the reverse
INSERT INTO up (id, modality, content_ref) VALUES (1, 'text', 'dog') ON CONFLICT (id) DO UPDATE SET modality = EXCLUDED.modality, content_ref = EXCLUDED.content_ref, image = EXCLUDED.image;
INSERT INTO up (id, modality, content_ref, image) VALUES (3, 'image', 'd', :red) ON CONFLICT (id) DO UPDATE SET modality = EXCLUDED.modality, content_ref = EXCLUDED.content_ref, image = EXCLUDED.image;
SELECT id, made_of(embedding) AS made_of FROM up ORDER BY id;
-- MERGE: one row is inserted with an image, another one's is not given: it keeps its own
MERGE INTO up USING (VALUES (20, :blue::bytea), (2, NULL), (21, :red), (3, NULL)) s (id, image) ON up.id = s.id
	WHEN MATCHED THEN UPDATE SET image = s.image
	WHEN NOT MATCHED THEN INSERT (id, modality, content_ref, image) VALUES (s.id, 'image', 'm' || s.id, s.image);
SELECT id, made_of(embedding) AS made_of FROM up ORDER BY id;
-- an image that is still there, as its row waited in another mode
ALTER TABLE up DISABLE TRIGGER USER;
UPDATE up SET image = :red, embedding = NULL WHERE id = 20;
ALTER TABLE up ENABLE TRIGGER USER;
INSERT INTO up (id, modality, content_ref, image) VALUES (20, 'image', 'e', :blue) ON CONFLICT (id) DO UPDATE SET image = coalesce(EXCLUDED.image, up.image);
SELECT made_of(embedding) AS blue, image FROM up WHERE id = 20;
-- SET image = NULL, as an ORM writes every column, keeps the vector of the image that was cleared
UPDATE up SET image = NULL, metadata = '{"saved": true}';
SELECT count(*) FROM up WHERE embedding IS NULL;

-- a source that another trigger makes, whatever its name
CREATE TABLE doc (id int PRIMARY KEY, name text, search text, touched int DEFAULT 0, embedding vector);
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.search := NEW.name; RETURN NEW; END $$;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.search := NEW.name || '!'; RETURN NEW; END $$;
CREATE TRIGGER a_fill BEFORE INSERT OR UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION fill();
SELECT clip_attach('doc', text_column => 'search');
INSERT INTO doc (id, name) VALUES (1, 'cat');
UPDATE doc SET name = 'dog';
SELECT made_of(embedding) AS dog FROM doc;
UPDATE doc SET name = 'cat';
CREATE TRIGGER zzz BEFORE INSERT OR UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION shout();
UPDATE doc SET touched = 1;
SELECT made_of(embedding) AS "cat!" FROM doc;
ALTER TRIGGER zzz ON doc RENAME TO "überall";
INSERT INTO doc (id, name) VALUES (2, 'cat');
SELECT id, made_of(embedding) AS "cat!" FROM doc ORDER BY id;
DROP TRIGGER "überall" ON doc;
CREATE TRIGGER "~~~" BEFORE UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION shout();
SELECT clip_set_mode('doc', 'async');
UPDATE doc SET touched = 2 WHERE id = 1;
UPDATE doc SET name = 'dog' WHERE id = 2;
SELECT id, made_of(embedding) AS made_of, (SELECT count(*) FROM clip.queue q WHERE q.key[1] = doc.id::text) AS jobs FROM doc ORDER BY id;

-- the image is taken away from a row that also has a text; a row under another label; no label
CREATE TABLE many (id int PRIMARY KEY, kind text, title text, photo bytea, v vector, w vector);
SELECT clip_attach('many', 'v', text_column => 'title', image_column => 'photo');
SELECT clip_attach('many', 'w', text_column => 'title', image_column => 'photo', modality_column => 'kind');
INSERT INTO many VALUES (1, 'image', 'cat', :red), (2, 'text', 'dog', :blue), (3, NULL, 'cat', NULL);
SELECT id, made_of(v) AS v, made_of(w) AS w FROM many ORDER BY id;
UPDATE many SET photo = NULL WHERE id = 1;
UPDATE many SET kind = 'image' WHERE id = 2;
UPDATE many SET kind = 'text' WHERE id = 3;
SELECT id, made_of(v) AS v, made_of(w) AS w FROM many ORDER BY id;
UPDATE many SET kind = NULL;
SELECT id, made_of(v) AS v, made_of(w) AS w FROM many ORDER BY id;
UPDATE many SET kind = 'sound' WHERE id = 1;
-- the same in mode async, where a vector that comes with its source stays, and an unknown label is a failure of the row
SELECT clip_set_mode('many', 'async', 'w'), clip_set_mode('many', 'async', 'v');
TRUNCATE many, clip.queue;
INSERT INTO many VALUES (1, 'text', 'cat', NULL);
UPDATE many SET kind = 'sound', title = 'dog';
SELECT made_of(w) AS w FROM many;
CALL clip_drain('many');
SELECT made_of(v) AS v, made_of(w) AS w FROM many;
UPDATE many SET title = 'cat', v = clip_embed_text('cat');
SELECT made_of(v) AS cat FROM many;
DROP TABLE many CASCADE;

-- a key that changes while its row waits
CREATE TABLE owners (id text PRIMARY KEY);
CREATE TABLE kept (a text REFERENCES owners ON UPDATE CASCADE, b int, title text, embedding vector, PRIMARY KEY (a, b));
SELECT clip_attach('kept', text_column => 'title', mode => 'async');
INSERT INTO owners VALUES ('x'), ('y');
INSERT INTO kept VALUES ('x', 1, 'cat'), ('y', 1, 'dog'), ('y', 2, 'dog');
UPDATE owners SET id = 'z' WHERE id = 'x';
UPDATE kept SET b = 3 WHERE b = 2;
UPDATE kept SET b = b + 10;
CALL clip_drain('kept');
SELECT a, b, made_of(embedding) AS made_of FROM kept ORDER BY a, b;

-- and in mode sync, where rows still wait; who changes another column of a bad one is not told
SELECT clip_attach('owners', text_column => 'id');
ALTER TABLE owners ADD photo bytea, ADD note text, ADD v vector;
SELECT clip_attach('owners', image_column => 'photo', mode => 'async');
INSERT INTO owners VALUES ('w', :red), ('bad', '\x00');
SELECT clip_set_mode('owners', 'sync');
CREATE TRIGGER touch BEFORE UPDATE ON owners FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
UPDATE owners SET note = 'changed';
UPDATE owners SET id = id || '2' WHERE photo IS NOT NULL;
CALL clip_drain('owners');
SELECT id, made_of(v) AS made_of FROM owners WHERE photo IS NOT NULL ORDER BY id;
SELECT key, sqlstate FROM clip_failures;
UPDATE owners SET photo = :blue WHERE id = 'bad2';
SELECT id, made_of(v) AS made_of FROM owners WHERE photo IS NOT NULL ORDER BY id;
SELECT key, sqlstate FROM clip_failures;

-- columns that are renamed or dropped
ALTER TABLE kept RENAME title TO "the Title";
ALTER TABLE kept RENAME embedding TO "the vector";
UPDATE kept SET "the Title" = 'cat';
CALL clip_drain('kept');
SELECT count(*) FROM kept WHERE made_of("the vector") = 'cat';
SELECT relation, embedding_column, text_column FROM clip.tables WHERE relation = 'kept'::regclass;
ALTER TABLE kept DROP COLUMN "the Title";
INSERT INTO kept (a, b) VALUES ('y', 100);
SELECT count(*) FROM clip.tables WHERE relation = 'kept'::regclass;

-- a partition that leaves while rows of it wait goes on, and is its parent's again when it comes back
CREATE TABLE parted (id int, region text, title text, embedding vector, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a');
CREATE TABLE parted_b PARTITION OF parted FOR VALUES IN ('b');
SELECT clip_attach('parted', text_column => 'title', mode => 'async');
INSERT INTO parted VALUES (1, 'a', 'cat'), (2, 'b', 'dog');
ALTER TABLE parted DETACH PARTITION parted_a;
INSERT INTO parted_a VALUES (3, 'a', 'dog');
SELECT relation, mode FROM clip.tables WHERE relation::text ~ 'parted' ORDER BY 1;
CALL clip_drain();
SELECT id, made_of(embedding) AS made_of FROM (SELECT * FROM parted_a UNION SELECT * FROM parted) p ORDER BY id;
INSERT INTO parted_a VALUES (4, 'a', 'cat');
ALTER TABLE parted ATTACH PARTITION parted_a FOR VALUES IN ('a');
SELECT relation, mode FROM clip.tables WHERE relation::text ~ 'parted' ORDER BY 1;
UPDATE parted SET title = 'cat', region = 'a' WHERE id = 2;
CALL clip_drain();
SELECT id, region, made_of(embedding) AS made_of FROM parted ORDER BY id;
DROP TABLE parted;

-- two embedding columns whose long names begin alike, and the only column where none is named
CREATE TABLE long (id int PRIMARY KEY, title text, embedding_of_the_title_with_a_name_that_is_very_long_indeed_1 vector, embedding_of_the_title_with_a_name_that_is_very_long_indeed_2 vector);
SELECT clip_attach('long', text_column => 'title');
SELECT clip_attach('long', 'embedding_of_the_title_with_a_name_that_is_very_long_indeed_1', text_column => 'title');
SELECT clip_set_mode('long', 'async'), clip_set_mode('long', 'sync');
SELECT clip_attach('long', 'embedding_of_the_title_with_a_name_that_is_very_long_indeed_2', text_column => 'title');
INSERT INTO long (id, title) VALUES (1, 'cat');
SELECT made_of(embedding_of_the_title_with_a_name_that_is_very_long_indeed_1) AS cat, made_of(embedding_of_the_title_with_a_name_that_is_very_long_indeed_2) AS cat FROM long;
SELECT clip_set_mode('long', 'async');

-- which row an error is about
\set VERBOSITY default
\set SHOW_CONTEXT errors
INSERT INTO up (id, modality, content_ref, image) SELECT i, 'image', 'ref ' || i, CASE i WHEN 33 THEN '\x00'::bytea ELSE :red END FROM generate_series(30, 39) i;
CREATE TABLE keyless (name text, photo bytea, embedding vector);
SELECT clip_attach('keyless', text_column => 'name', image_column => 'photo');
INSERT INTO keyless VALUES ('good', :red), ('bad one', '\x00');
DROP TABLE up, doc, kept, owners, long, keyless CASCADE;
DROP FUNCTION fill, shout, made_of;

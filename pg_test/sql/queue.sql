-- Mode async: rows wait in clip.queue, clip_drain embeds them.
\set red '''\\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000'''
\set blue '''\\x424d460000000000000036000000280000000200000002000000010018000000000010000000000000000000000000000000000000000000ff0000ff00000000ff0000ff'''
SET client_min_messages = warning;
SELECT clip_create_table('waiting', mode => 'async', index => false);
SELECT mode FROM clip.tables WHERE relation = 'waiting'::regclass;
SELECT tgname, tgtype & 1 AS row_level, tgnewtable FROM pg_trigger WHERE tgrelid = 'waiting'::regclass ORDER BY 1;

-- enqueued once a statement, only rows with a source and without a vector
INSERT INTO waiting (modality, content_ref) VALUES ('text', 'cat'), ('text', 'dog');
INSERT INTO waiting (modality, content_ref, image) VALUES ('image', 'red.bmp', :red);
INSERT INTO waiting (modality, content_ref, embedding) SELECT 'image', 'restored.bmp', clip_embed_image(:blue);
COPY waiting (modality, content_ref) FROM stdin;
text	from copy
\.
SELECT relation, embedding_column, key, attempts FROM clip.queue ORDER BY id;
SELECT relation, waiting, claimed, retrying, dead, workers FROM clip_queue;
SELECT content_ref, embedding IS NULL AS waits, image IS NOT NULL AS has_bytes FROM waiting ORDER BY id;
CALL clip_drain('waiting');
SELECT count(*) FROM clip.queue;
SELECT content_ref, image IS NULL AS cleared, embedding = CASE content_ref WHEN 'red.bmp' THEN clip_embed_image(:red)
	WHEN 'restored.bmp' THEN clip_embed_image(:blue) ELSE clip_embed_text(content_ref) END AS right_vector FROM waiting ORDER BY id;

-- a change of the source takes the vector away at once; other changes enqueue nothing
UPDATE waiting SET metadata = '{"a": 1}';
UPDATE waiting SET content_ref = 'moved.bmp' WHERE content_ref = 'red.bmp';
SELECT count(*) AS enqueued FROM clip.queue;
UPDATE waiting SET content_ref = 'bird' WHERE content_ref = 'cat';
UPDATE waiting SET image = :blue WHERE content_ref = 'moved.bmp';
SELECT content_ref, embedding IS NULL AS waits FROM waiting WHERE content_ref IN ('bird', 'moved.bmp') ORDER BY 1;
SELECT count(*) AS enqueued FROM clip.queue;
-- a change while it waits
UPDATE waiting SET content_ref = 'fish' WHERE content_ref = 'bird';
CALL clip_drain();
SELECT content_ref, embedding = CASE content_ref WHEN 'fish' THEN clip_embed_text('fish') ELSE clip_embed_image(:blue) END AS follows
FROM waiting WHERE content_ref IN ('fish', 'moved.bmp') ORDER BY 1;
SELECT count(*) FROM clip.queue;
-- a row that goes while it waits, a vector that is taken away
INSERT INTO waiting (modality, content_ref) VALUES ('text', 'short-lived');
DELETE FROM waiting WHERE content_ref = 'short-lived';
UPDATE waiting SET embedding = NULL WHERE content_ref = 'fish';
CALL clip_drain('waiting');
SELECT embedding = clip_embed_text('fish') AS again FROM waiting WHERE content_ref = 'fish';
SELECT count(*) FROM clip.queue;

-- bad images: dead letters, each with its SQLSTATE, and the others go on
INSERT INTO waiting (modality, content_ref, image) SELECT 'image', 'bad ' || i, CASE i WHEN 4 THEN '\x00'::bytea
	WHEN 11 THEN '\x89504e470d0a1a0a0000000d4948445200007530000075300802000000'::bytea ELSE :red END FROM generate_series(1, 20) i;
CALL clip_drain('waiting');
SELECT content_ref, embedding IS NULL AS lacks_vector, image IS NOT NULL AS has_bytes FROM waiting WHERE content_ref LIKE 'bad %' AND embedding IS NULL ORDER BY id;
SELECT count(*) FROM waiting WHERE content_ref LIKE 'bad %' AND embedding = clip_embed_image(:red);
SELECT relation, modality, sqlstate, message, attempts, state FROM clip_failures ORDER BY sqlstate;
SELECT waiting, dead FROM clip_queue;
CALL clip_drain('waiting');
-- mended: it waits again, and nothing is left to be put back
UPDATE waiting SET image = :blue WHERE content_ref = 'bad 4';
SELECT clip_retry('waiting', sqlstate => '22P03');
SELECT clip_retry('waiting', embedding_column => 'other');
CALL clip_drain('waiting');
SELECT embedding = clip_embed_image(:blue) AS mended FROM waiting WHERE content_ref = 'bad 4';
SELECT sqlstate FROM clip_failures;
SELECT clip_retry('waiting');
SELECT count(*) FROM clip_failures;
CALL clip_drain('waiting', 1);
SELECT sqlstate FROM clip_failures;

-- a failure goes with its reason: a row that is repaired, one that is gone, one that a backfill comes to
SELECT clip_retry('waiting');
CALL clip_drain('waiting');
INSERT INTO waiting (modality, content_ref, image) SELECT 'image', 'worse ' || i, '\x00' FROM generate_series(1, 3) i;
CALL clip_drain('waiting');
SELECT sqlstate, count(*) FROM clip_failures GROUP BY 1 ORDER BY 1;
UPDATE waiting SET image = :red WHERE content_ref = 'worse 1';
CALL clip_drain('waiting');
SELECT key = (SELECT jsonb_build_object('id', id) FROM waiting WHERE content_ref = 'worse 1') AS repaired FROM clip_failures WHERE sqlstate = '22P03';
DELETE FROM waiting WHERE content_ref = 'worse 2';
SELECT clip_retry('waiting', sqlstate => '22P03');
CALL clip_drain('waiting');
SELECT count(*) FROM clip_failures WHERE sqlstate = '22P03';
ALTER TABLE waiting DISABLE TRIGGER USER;
UPDATE waiting SET image = :blue WHERE content_ref = 'worse 3';
ALTER TABLE waiting ENABLE TRIGGER USER;
CALL clip_backfill('waiting');
SELECT sqlstate, state FROM clip_failures;
SELECT embedding = clip_embed_image(:blue) AS repaired FROM waiting WHERE content_ref = 'worse 3';

-- an error that may pass is tried again later, with growing delays, and given up in the end
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON waiting FOR EACH ROW WHEN (NEW.content_ref = 'mouse') EXECUTE FUNCTION refuse();
INSERT INTO waiting (modality, content_ref) VALUES ('text', 'mouse');
CALL clip_drain('waiting');
\set failing 'clip.queue q JOIN clip.failures f USING (relation, embedding_column, key)'
SELECT q.attempts, f.sqlstate, modality, state, round(extract(epoch FROM not_before - now())) BETWEEN 1 AND 5 AS soon FROM :failing;
UPDATE clip.queue SET not_before = now();
CALL clip_drain('waiting');
SELECT q.attempts, f.attempts AS known, state, round(extract(epoch FROM not_before - now())) BETWEEN 15 AND 20 AS later FROM :failing;
SELECT waiting, retrying, dead FROM clip_queue;
UPDATE clip.queue SET not_before = now(), attempts = 5;
CALL clip_drain('waiting');
SELECT attempts, sqlstate, message, state FROM clip_failures WHERE sqlstate = 'P0001';
DROP TRIGGER refuse ON waiting;
DROP FUNCTION refuse();
-- what is missing around the row is waited for, and not counted
UPDATE clip.tables SET model = 'no-such-model' WHERE relation = 'waiting'::regclass;
SELECT clip_retry('waiting', sqlstate => 'P0001');
CALL clip_drain('waiting');
UPDATE clip.queue SET not_before = now(), pauses = 20;
CALL clip_drain('waiting');
SELECT q.attempts, f.sqlstate, message, state, round(extract(epoch FROM not_before - now())) BETWEEN 200 AND 300 AS later FROM :failing;
UPDATE clip.tables SET model = 'pictograms' WHERE relation = 'waiting'::regclass;
-- a claim that its process did not live to use: the next one takes the row
UPDATE clip.queue SET claimed_by = 1, claimer_start = now(), not_before = 'infinity',
	claimed_in = (SELECT oid FROM pg_database WHERE datname = current_database());
CALL clip_drain('waiting');
SELECT embedding = clip_embed_text('mouse') AS embedded FROM waiting WHERE content_ref = 'mouse';
-- one that killed it twice is given up; one that was copied with its claim is none of these
UPDATE waiting SET content_ref = 'killer' WHERE content_ref = 'mouse';
UPDATE clip.queue SET claimed_by = 1, claimer_start = now(), not_before = 'infinity', crashes = 1,
	claimed_in = (SELECT oid FROM pg_database WHERE datname = current_database());
CALL clip_drain('waiting');
SELECT sqlstate, message FROM clip_failures WHERE sqlstate = '57P02';
SELECT clip_retry('waiting', sqlstate => '57P02');
UPDATE clip.queue SET claimed_by = 1, claimer_start = now(), not_before = 'infinity', claimed_in = 1, crashes = 1;
CALL clip_drain('waiting');
SELECT embedding = clip_embed_text('killer') AS embedded FROM waiting WHERE content_ref = 'killer';

-- that the whole server was killed, too, is seldom a row's doing
UPDATE waiting SET content_ref = 'power is lost' WHERE content_ref = 'killer';
UPDATE clip.queue SET claimed_by = 1, claimer_start = pg_postmaster_start_time() - interval '1 s', not_before = 'infinity', crashes = 2,
	claimed_in = (SELECT oid FROM pg_database WHERE datname = current_database());
CALL clip_drain('waiting');
SELECT embedding = clip_embed_text('power is lost') AS embedded FROM waiting WHERE content_ref = 'power is lost';
UPDATE waiting SET content_ref = 'killer of servers' WHERE content_ref = 'power is lost';
UPDATE clip.queue SET claimed_by = 1, claimer_start = pg_postmaster_start_time() - interval '1 s', not_before = 'infinity', crashes = 3,
	claimed_in = (SELECT oid FROM pg_database WHERE datname = current_database());
CALL clip_drain('waiting');
SELECT sqlstate, message, state FROM clip_failures WHERE sqlstate = '57P02';
SELECT clip_retry('waiting', sqlstate => '57P02');
CALL clip_drain('waiting');

-- modes can change; what waits is embedded all the same
INSERT INTO waiting (modality, content_ref) VALUES ('text', 'waits across the change');
SELECT clip_set_mode('waiting', 'sync');
INSERT INTO waiting (modality, content_ref) VALUES ('text', 'embedded at once') RETURNING embedding IS NOT NULL AS embedded;
CALL clip_drain('waiting');
SELECT embedding = clip_embed_text(content_ref) AS embedded FROM waiting WHERE content_ref LIKE 'waits %';
SELECT clip_set_mode('waiting', 'async');
INSERT INTO waiting (modality, content_ref) VALUES ('text', 'waits again') RETURNING embedding IS NOT NULL AS embedded;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'waiting'::regclass ORDER BY 1;
\set VERBOSITY terse
SELECT clip_set_mode('waiting', 'later');
SELECT clip_set_mode('pg_class', 'async');
SELECT clip_create_table('others', mode => 'later');
BEGIN;
CALL clip_drain('waiting');
ROLLBACK;
\set VERBOSITY default
DROP TABLE waiting;
SELECT count(*) FROM clip.queue;

-- any primary key; keys with delimiters, domains, enums, several columns, in the index's order
CREATE TYPE colour AS ENUM ('light green', 'dark "blue"');
CREATE DOMAIN code AS text CHECK (value <> '');
CREATE TABLE keyed (title text, c colour, "at Time" timestamptz, n numeric, code code, raw bytea, span interval, ratio float8, "of" regclass, vec vector,
	PRIMARY KEY (span, "at Time", c, n, code, raw, ratio, "of"));
CREATE SCHEMA elsewhere CREATE TABLE here ();
SELECT clip_attach('keyed', 'vec', text_column => 'title', mode => 'async');
SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard'; SET extra_float_digits = -10; SET bytea_output = 'escape';
SET search_path = elsewhere, public;
INSERT INTO keyed SELECT 'row ' || i, (enum_range(NULL::colour))[1 + i % 2], timestamptz '2026-03-04 05:06:07.891+02' + i * interval '1 day',
	i / 3.0, E'a,b"{\\''}' || i, decode('00ff5c', 'hex'), -i * interval '1 day 2 hours', i / 7.0, 'here' FROM generate_series(1, 5) i;
RESET search_path;
CALL clip_drain('keyed');
RESET datestyle; RESET intervalstyle; RESET extra_float_digits; RESET bytea_output;
SELECT count(*), bool_and(vec = clip_embed_text(title)) AS embedded FROM keyed;
\set VERBOSITY terse
-- a queue that somebody has changed is not written to
BEGIN;
ALTER TABLE clip.queue RENAME enqueued_at TO since;
INSERT INTO keyed (title, c, "at Time", n, code, raw, span, ratio, "of") SELECT title, c, "at Time", 99, code, raw, span, ratio, "of" FROM keyed LIMIT 1;
ROLLBACK;
CREATE TABLE keyless (title text, embedding vector);
SELECT clip_attach('keyless', text_column => 'title', mode => 'async');
SELECT clip_attach('keyless', text_column => 'title');
SELECT clip_set_mode('keyless', 'async');
CREATE TABLE loses (id int PRIMARY KEY, title text, embedding vector);
SELECT clip_attach('loses', text_column => 'title', mode => 'async');
INSERT INTO loses VALUES (1, 'cat');
ALTER TABLE loses DROP CONSTRAINT loses_pkey;
INSERT INTO loses VALUES (2, 'dog');
CALL clip_drain('loses');
SELECT sqlstate, message, state FROM clip_failures;
\set VERBOSITY default
ALTER TABLE loses ADD COLUMN "the Key" timestamptz NOT NULL DEFAULT '2026-03-04 05:06:07.891+02', ADD PRIMARY KEY ("the Key", id);
SELECT key FROM clip.queue;
CALL clip_drain('loses');
SELECT id, embedding = clip_embed_text(title) AS embedded FROM loses;
SELECT count(*) FROM clip_failures;

-- a key of the same columns in another order, and one of others, at once or in two steps, of partitions, too
CREATE TABLE pairs (a int, b int, c int, title text, embedding vector, PRIMARY KEY (a, b)) PARTITION BY LIST (a);
CREATE TABLE pairs_1 PARTITION OF pairs FOR VALUES IN (1);
CREATE TABLE pairs_2 PARTITION OF pairs DEFAULT;
SELECT clip_attach('pairs', text_column => 'title', mode => 'async');
INSERT INTO pairs VALUES (1, 2, 5, 'cat'), (2, 1, 6, NULL), (2, 3, 7, 'dog'), (3, 3, 8, 'bird');
ALTER TABLE pairs DROP CONSTRAINT pairs_pkey, ADD PRIMARY KEY (b, a);
SELECT relation, key FROM clip.queue ORDER BY 1, 2;
INSERT INTO pairs VALUES (1, 3, 9, 'fish');
ALTER TABLE pairs DROP CONSTRAINT pairs_pkey;
CALL clip_drain('pairs');
SELECT relation, key FROM clip.queue ORDER BY 1, 2;
ALTER TABLE pairs ADD PRIMARY KEY (a, c);
CALL clip_drain('pairs');
SELECT a, b, embedding = clip_embed_text(title) AS embedded FROM pairs ORDER BY a, b;
SELECT count(*) FROM clip.queue;

-- partitioned: rows of every partition, however they come
CREATE TABLE parted (id int PRIMARY KEY, title text, embedding vector) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
SELECT clip_attach('parted', text_column => 'title', mode => 'async');
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (1, 'cat'), (11, 'dog');
INSERT INTO parted_2 VALUES (12, 'bird');
UPDATE parted SET id = 13 WHERE id = 1;
UPDATE parted SET title = title WHERE id = 12;
SELECT relation, key FROM clip.queue ORDER BY id;
CALL clip_drain('parted');
SELECT tableoid::regclass, id, embedding = clip_embed_text(title) AS embedded FROM parted ORDER BY id;
UPDATE parted SET title = 'fish' WHERE id = 13;
UPDATE parted SET id = id WHERE id = 11;
DROP TABLE parted_1;
SELECT relation, key FROM clip.queue ORDER BY id;
SELECT clip_detach('parted');
SELECT count(*) FROM clip.queue;

-- foreign keys and their locks, user triggers, and one that says no
CREATE TABLE parents (id int PRIMARY KEY, title text, embedding vector);
CREATE TABLE children (parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE seen (who name, what text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.title = 'unwanted' AND NEW.embedding IS NOT NULL THEN RETURN NULL; END IF;
	IF NEW.title = 'raises' AND NEW.embedding IS NOT NULL THEN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END IF;
	INSERT INTO seen VALUES (current_user, NEW.title); RETURN NEW; END $$;
CREATE TRIGGER see BEFORE UPDATE ON parents FOR EACH ROW EXECUTE FUNCTION see();
SELECT clip_attach('parents', text_column => 'title', mode => 'async');
INSERT INTO parents VALUES (1, 'wanted'), (2, 'unwanted'), (3, 'raises');
INSERT INTO children VALUES (1);
CALL clip_drain('parents');
SELECT id, embedding IS NOT NULL AS embedded FROM parents ORDER BY id;
SELECT key, attempts, sqlstate, message, state FROM clip_failures ORDER BY failed_at;
SELECT what FROM seen;
-- rows are written many in a statement; one that fails does not keep the others from it
TRUNCATE seen;
CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO seen SELECT current_user, count(*) || ' rows' FROM written; RETURN NULL; END $$;
CREATE TRIGGER count_rows AFTER UPDATE ON parents REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION count_rows();
INSERT INTO parents SELECT i, 'child ' || i FROM generate_series(11, 18) i;
CALL clip_drain('parents');
INSERT INTO parents SELECT i, CASE WHEN i = 22 THEN 'raises' ELSE 'child ' || i END FROM generate_series(21, 28) i;
CALL clip_drain('parents');
SELECT what FROM seen WHERE what LIKE '% rows';
SELECT id FROM parents WHERE embedding IS NULL ORDER BY id;
SELECT count(*), bool_and(embedding = clip_embed_text(title)) FROM parents WHERE embedding IS NOT NULL;
-- a restore may bring what waits before what says that the table is embedded
CREATE TABLE restored (id int PRIMARY KEY, title text, embedding vector);
INSERT INTO restored VALUES (1, 'a cat');
INSERT INTO clip.queue (relation, embedding_column, key) VALUES ('restored', 'embedding', '{1}');
SET statement_timeout = '2s';
CALL clip_drain();
RESET statement_timeout;
SELECT attempts, claimed_by IS NULL AS free FROM clip.queue WHERE relation = 'restored'::regclass;
SELECT count(*) FROM clip_failures;
SELECT clip_attach('restored', text_column => 'title', mode => 'async');
UPDATE clip.queue SET not_before = now() WHERE relation = 'restored'::regclass;
CALL clip_drain('restored');
SELECT embedding = clip_embed_text(title) AS is_right FROM restored;
DROP TABLE restored;
DROP TABLE children, seen;
DROP TABLE parents, keyed, keyless, loses, pairs, parted CASCADE;
DROP FUNCTION see(), count_rows();
DROP SCHEMA elsewhere CASCADE;
DROP TYPE colour;
DROP DOMAIN code;
SELECT count(*) FROM clip.queue;
SELECT count(*) FROM clip.failures;

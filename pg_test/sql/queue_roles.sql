-- Who may do what with the queue, and in whose name rows are embedded.
SET client_min_messages = warning;
CREATE ROLE clip_owner;
CREATE ROLE clip_writer;
CREATE SCHEMA clip_queue_roles;
GRANT ALL ON SCHEMA clip_queue_roles TO clip_owner, clip_writer;
SET ROLE clip_owner;
SELECT clip_create_table('clip_queue_roles.owned', mode => 'async', index => false);
GRANT INSERT ON clip_queue_roles.owned TO clip_writer;

-- a writer needs no rights but those on the table
SET ROLE clip_writer;
INSERT INTO clip_queue_roles.owned (modality, content_ref) VALUES ('text', 'cat');
-- and sees nothing of the queue without SELECT on the table
SELECT count(*) FROM clip_queue;
SELECT count(*) FROM clip_failures;
CALL clip_drain();
\set VERBOSITY sqlstate
SELECT count(*) FROM clip.queue;
SELECT count(*) FROM clip.failures;
INSERT INTO clip.queue (relation, embedding_column, key) VALUES ('clip_queue_roles.owned', 'embedding', '{1}');
UPDATE clip.queue SET not_before = now();
CALL clip_drain('clip_queue_roles.owned');
SELECT clip_retry('clip_queue_roles.owned');
SELECT clip_set_mode('clip_queue_roles.owned', 'sync');
SELECT clip.save_mode('clip_queue_roles.owned', 'embedding', 'sync');
SELECT clip.enqueue_trigger();
\set VERBOSITY default

-- the owner drains, whatever is in his search_path
SET ROLE clip_owner;
CREATE FUNCTION clip_queue_roles.evil(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END $$;
CREATE OPERATOR clip_queue_roles.= (LEFTARG = text, RIGHTARG = text, FUNCTION = clip_queue_roles.evil);
SET search_path = clip_queue_roles, pg_catalog, public;
SELECT waiting FROM clip_queue;
CALL clip_drain('owned');
SELECT embedding IS NOT NULL AS embedded FROM owned;
RESET search_path;

-- what the table's triggers call runs with the owner's rights, also where a superuser drains, and cannot leave them
CREATE TABLE clip_queue_roles.seen (who name, is_superuser boolean);
CREATE FUNCTION clip_queue_roles.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO clip_queue_roles.seen SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user;
	SET work_mem = '77MB';
	IF NEW.content_ref = 'climbs' THEN SET ROLE NONE; END IF;
	RETURN NEW; END $$;
CREATE TRIGGER see BEFORE UPDATE ON clip_queue_roles.owned FOR EACH ROW EXECUTE FUNCTION clip_queue_roles.see();
CREATE CONSTRAINT TRIGGER see_later AFTER UPDATE ON clip_queue_roles.owned DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION clip_queue_roles.see();
INSERT INTO clip_queue_roles.owned (modality, content_ref) VALUES ('text', 'dog'), ('text', 'climbs');
RESET ROLE;
CALL clip_drain();
SELECT content_ref, embedding IS NOT NULL AS embedded FROM clip_queue_roles.owned ORDER BY id;
SELECT * FROM clip_queue_roles.seen;
SELECT sqlstate, message, state FROM clip_failures;
SELECT current_setting('work_mem') <> '77MB' AS unchanged, current_user = session_user AS same_user;

-- a policy that hides rows from their owner does not hide them from what runs in his name
SET ROLE clip_owner;
DROP TRIGGER see ON clip_queue_roles.owned;
DROP TRIGGER see_later ON clip_queue_roles.owned;
DELETE FROM clip_queue_roles.owned;
ALTER TABLE clip_queue_roles.owned ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON clip_queue_roles.owned FOR INSERT WITH CHECK (true);
INSERT INTO clip_queue_roles.owned (modality, content_ref) VALUES ('text', 'hidden');
CALL clip_drain('clip_queue_roles.owned');
SELECT waiting, retrying FROM clip_queue;
RESET ROLE;
SELECT content_ref, embedding IS NOT NULL AS embedded FROM clip_queue_roles.owned;

-- a hand-made trigger of the queue's function can but name rows of its own table
SET ROLE clip_writer;
CREATE TABLE clip_queue_roles.mine (id int PRIMARY KEY, title text, embedding public.vector);
CREATE TRIGGER hand AFTER INSERT ON clip_queue_roles.mine REFERENCING NEW TABLE AS clip_new FOR EACH STATEMENT EXECUTE FUNCTION clip.enqueue_trigger('embedding', 'title', '', '');
INSERT INTO clip_queue_roles.mine VALUES (1, 'x');
CALL clip_drain();
SELECT embedding FROM clip_queue_roles.mine;
DROP TRIGGER hand ON clip_queue_roles.mine;
\set VERBOSITY terse
CREATE TRIGGER hand AFTER INSERT ON clip_queue_roles.mine FOR EACH STATEMENT EXECUTE FUNCTION clip.enqueue_trigger('embedding', 'title', '', '');
INSERT INTO clip_queue_roles.mine VALUES (2, 'x');
DROP TRIGGER hand ON clip_queue_roles.mine;
CREATE TRIGGER hand BEFORE INSERT ON clip_queue_roles.mine FOR EACH ROW EXECUTE FUNCTION clip.enqueue_trigger('embedding', 'title', '', '');
INSERT INTO clip_queue_roles.mine VALUES (2, 'x');
DROP TRIGGER hand ON clip_queue_roles.mine;
CREATE TRIGGER hand AFTER INSERT ON clip_queue_roles.mine FOR EACH ROW EXECUTE FUNCTION clip.enqueue_trigger('embedding', 'nothing', '', '');
INSERT INTO clip_queue_roles.mine VALUES (2, 'x');
\set VERBOSITY default
RESET ROLE;
SELECT attempts, pauses > 0 AS waits FROM clip.queue;
DROP SCHEMA clip_queue_roles CASCADE;
SELECT count(*) FROM clip.queue;
DROP ROLE clip_owner, clip_writer;

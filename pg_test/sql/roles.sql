-- Who may do what.
CREATE ROLE clip_owner;
CREATE ROLE clip_reader;
CREATE SCHEMA clip_roles;
GRANT ALL ON SCHEMA clip_roles TO clip_owner;
GRANT USAGE ON SCHEMA clip_roles TO clip_reader;

SET ROLE clip_owner;
SELECT clip_create_table('clip_roles.owned');
CREATE TABLE clip_roles.plain (title text, embedding vector);
GRANT ALL ON clip_roles.owned, clip_roles.plain TO clip_reader;
INSERT INTO clip_roles.owned (modality, content_ref) VALUES ('text', 'cat');

-- whoever may use the schema may embed and write rows
SET ROLE clip_reader;
SELECT vector_dims(clip_embed_text('x')) > 0 AS embeds;
INSERT INTO clip_roles.owned (modality, content_ref) VALUES ('text', 'dog') RETURNING vector_dims(embedding) > 0 AS embedded;
SELECT content_ref FROM clip_roles.owned ORDER BY embedding <=> clip_query('clip_roles.owned', 'dog') LIMIT 1;
SELECT count(*) FROM clip.tables;
-- but only the owner attaches, detaches and registers, even with every privilege on the table
\set VERBOSITY sqlstate
SELECT clip_attach('clip_roles.plain', text_column => 'title');
SELECT clip_detach('clip_roles.owned');
SELECT clip.register('clip_roles.plain', 'embedding', 'title', NULL, NULL, true, 'pictograms', 'x', 1);
SELECT clip.unregister('clip_roles.owned', 'embedding');
INSERT INTO clip.tables SELECT * FROM clip.tables;
UPDATE clip.tables SET model = 'x';
DELETE FROM clip.tables;
SELECT clip_create_table('clip_roles.more');
CREATE TABLE clip.mine ();
-- no function takes a path, and no file's content can be had through one
SELECT clip_embed_image('/etc/passwd');
SELECT clip_embed_text('x', '/etc/passwd');
\set VERBOSITY default

SET ROLE clip_owner;
SELECT clip_attach('clip_roles.plain', text_column => 'title');
INSERT INTO clip_roles.plain VALUES ('cat');
SELECT vector_dims(embedding) > 0 AS embedded FROM clip_roles.plain;
-- a search_path with look-alikes changes nothing: these would be found first
RESET ROLE;
CREATE SCHEMA clip_evil;
GRANT ALL ON SCHEMA clip_evil TO clip_reader;
SET ROLE clip_reader;
CREATE FUNCTION clip_evil.evil_eq(regclass, regclass) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END $$;
CREATE OPERATOR clip_evil.= (LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = clip_evil.evil_eq);
CREATE TABLE clip_evil.mine (title text, embedding public.vector);
SET search_path = clip_evil, pg_catalog, public;
SELECT clip_attach('clip_evil.mine', text_column => 'title');
INSERT INTO clip_evil.mine VALUES ('cat');
SELECT public.vector_dims(embedding) > 0 AS embedded FROM clip_evil.mine;
SELECT public.vector_dims(clip_query('clip_evil.mine', 'cat'::text)) > 0 AS embedded;
SELECT clip_detach('clip_evil.mine');
RESET search_path;
RESET ROLE;
SET client_min_messages = warning;  -- what the cascade drops comes in no order
DROP SCHEMA clip_roles, clip_evil CASCADE;
SELECT count(*) FROM clip.tables;
DROP ROLE clip_owner, clip_reader;

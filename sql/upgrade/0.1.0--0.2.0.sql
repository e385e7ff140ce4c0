-- From 0.1.0 to 0.2.0 -------------------------------------------------------------------------------------------------

SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
-- The queue first, as writers and workers take them.
LOCK TABLE clip.queue, clip.tables, clip.model_changes, clip.backfills, clip.backfill_errors IN ACCESS EXCLUSIVE MODE;

-- Functions whose results have another type, and those that nothing calls any more. C functions under other names were theirs.
DROP FUNCTION clip.vector_schema();
DROP FUNCTION clip.set_mode(regclass, name, text);
DROP FUNCTION clip.start_index_build(regclass);
DROP FUNCTION clip.index_build_running();
DROP FUNCTION clip.drop_change_trigger(regclass, name);
DROP FUNCTION clip.change_index(clip.model_changes);
DROP FUNCTION clip.change_step(regclass, name, integer);
-- It did not see tables that go with their access method. The functions make it again.
DROP EVENT TRIGGER clip_forget_dropped;

-- Bookkeeping
SELECT pg_catalog.pg_extension_config_dump('clip.tables', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
GRANT INSERT ON clip.tables TO pg_database_owner;

-- The queue
ALTER TABLE clip.queue ALTER not_before DROP NOT NULL, ADD pauses integer, ADD crashes integer, ADD claimed_in oid;
COMMENT ON COLUMN clip.queue.not_before IS 'the next attempt; infinity while it is claimed, NULL when it is given up';
COMMENT ON COLUMN clip.queue.attempts IS 'that failed';
COMMENT ON COLUMN clip.queue.pauses IS 'how often it had to wait without an attempt, for a lock or what is missing around it';
COMMENT ON COLUMN clip.queue.crashes IS 'how often the process that worked on it died; such a row goes alone';
COMMENT ON COLUMN clip.queue.claimed_by IS 'process that works on it, with the start of that process and its database: a claim that was copied is none';
DROP INDEX clip.queue_ready;
-- What was given up is out of the index's way. What is being worked on is free: to do it twice does no harm, and a claim counted as
-- an attempt before it had failed.
UPDATE clip.queue SET not_before = CASE WHEN failed_at IS NULL THEN now() END,
	attempts = CASE WHEN claimed_by IS NULL THEN attempts ELSE greatest(attempts - 1, 0) END, claimed_by = NULL, claimer_start = NULL
	WHERE failed_at IS NOT NULL OR claimed_by IS NOT NULL;
CREATE INDEX queue_ready ON clip.queue (relation, not_before);
SELECT pg_catalog.pg_extension_config_dump('clip.queue', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
GRANT SELECT, INSERT ON clip.queue TO pg_database_owner;
GRANT SELECT, UPDATE ON SEQUENCE clip.queue_id TO pg_database_owner;

-- Backfills
ALTER TABLE clip.backfills DROP CONSTRAINT backfills_relation_embedding_column_fkey,  -- columns may be renamed
	ADD FOREIGN KEY (relation, embedding_column) REFERENCES clip.tables ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE clip.backfills ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON clip.backfills FOR SELECT
	USING (EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND pg_has_role(c.relowner, 'USAGE')));
COMMENT ON POLICY owner ON clip.backfills IS 'a table''s owner alone sees how many rows it has';

-- Changes of model
CREATE TABLE clip.index_failures (
	relation regclass NOT NULL,
	old_index oid NOT NULL,
	message text NOT NULL,
	PRIMARY KEY (relation, old_index)
);
COMMENT ON TABLE clip.index_failures IS 'indexes that could not be built for a new model';
ALTER TABLE clip.index_failures ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON clip.index_failures FOR SELECT
	USING (EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND pg_has_role(c.relowner, 'USAGE')));
COMMENT ON POLICY owner ON clip.index_failures IS 'a table''s owner alone sees why';
GRANT SELECT ON clip.index_failures TO PUBLIC;
-- A failed build is tried again: its message was kept beside the index's number.
UPDATE clip.model_changes SET index_failure = NULL WHERE index_failure IS NOT NULL;
COMMENT ON COLUMN clip.model_changes.index_failure IS 'of 0.1.0: its dumps name the column';
ALTER TABLE clip.model_changes DROP CONSTRAINT model_changes_relation_embedding_column_fkey;
SELECT pg_catalog.pg_extension_config_dump('clip.model_changes', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
GRANT INSERT ON clip.model_changes TO pg_database_owner;

-- What waits has waited for this: a statement wakes the workers when it commits, as a restore does.
INSERT INTO clip.queue SELECT * FROM clip.queue WHERE false;

-- From 0.1.0 to 0.2.0 -------------------------------------------------------------------------------------------------

SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
-- In the order in which writers and workers take locks. Their triggers are made anew at the end.
DO $$
DECLARE
	attached regclass;
BEGIN
	FOR attached IN SELECT DISTINCT t.relation FROM clip.tables t JOIN pg_class c ON c.oid = t.relation ORDER BY 1 LOOP
		EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', attached);
	END LOOP;
END $$;
LOCK TABLE clip.queue, clip.tables, clip.model_changes, clip.backfills, clip.backfill_errors IN ACCESS EXCLUSIVE MODE;

-- Functions whose results have another type, and those that nothing calls any more. C functions under other names were theirs.
DROP FUNCTION clip.vector_schema();
DROP FUNCTION clip.set_mode(regclass, name, text);
DROP FUNCTION clip.start_index_build(regclass);
DROP FUNCTION clip.index_build_running();
DROP FUNCTION clip.drop_change_trigger(regclass, name);
DROP FUNCTION clip.change_index(clip.model_changes);
DROP FUNCTION clip.change_step(regclass, name, integer);
-- Those that take more arguments, or give more columns.
DROP FUNCTION @extschema@.clip_models();
DROP FUNCTION @extschema@.clip_create_table(text, text, boolean, boolean, text);
DROP FUNCTION clip.create_table(name, name, text, boolean, boolean, text);
-- What the row pipeline does now. Views and functions name the tables that go.
DROP VIEW @extschema@.clip_queue, @extschema@.clip_dead_letters, @extschema@.clip_backfill_errors;
DROP FUNCTION clip.backfill_step(regclass, name, integer);
DROP FUNCTION clip.backfill_begin(regclass, name, integer);
DROP FUNCTION clip.key_of(regclass, tid);
DROP FUNCTION clip.source_sql(clip.tables);
DROP FUNCTION clip.rows_without(regclass, clip.tables, name);
DROP FUNCTION clip.try_embed_images(bytea[], text, text);
DROP FUNCTION clip.try_embed_texts(text[], text, text);
DROP TYPE clip.embedded;
-- It did not see tables that go with their access method. The functions make it again.
DROP EVENT TRIGGER clip_forget_dropped;

-- Bookkeeping
SELECT pg_catalog.pg_extension_config_dump('clip.tables', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
GRANT INSERT ON clip.tables TO pg_database_owner;

-- The queue
ALTER TABLE clip.queue ALTER not_before DROP NOT NULL, ADD pauses integer, ADD crashes integer, ADD claimed_in oid, ADD isolated boolean;
COMMENT ON COLUMN clip.queue.not_before IS 'the next attempt; infinity while it is claimed';
COMMENT ON COLUMN clip.queue.attempts IS 'that failed';
COMMENT ON TABLE clip.queue IS 'rows that wait for their vectors';
COMMENT ON COLUMN clip.queue.isolated IS 'the time was up when it was worked on; such a row goes alone';
COMMENT ON COLUMN clip.queue.sqlstate IS 'of 0.1.0: its dumps name the column; see clip.failures';
COMMENT ON COLUMN clip.queue.error IS 'of 0.1.0, as sqlstate';
COMMENT ON COLUMN clip.queue.failed_at IS 'of 0.1.0, as sqlstate';
COMMENT ON COLUMN clip.queue.pauses IS 'how often it had to wait without an attempt, for a lock or what is missing around it';
COMMENT ON COLUMN clip.queue.crashes IS 'how often the process that worked on it died; such a row goes alone';
COMMENT ON COLUMN clip.queue.claimed_by IS 'process that works on it, with the start of that process and its database: a claim that was copied is none';
DROP INDEX clip.queue_ready;
-- What is being worked on is free: to do it twice does no harm, and a claim counted as an attempt before it had failed.
UPDATE clip.queue SET not_before = now(), attempts = greatest(attempts - 1, 0), claimed_by = NULL, claimer_start = NULL
	WHERE claimed_by IS NOT NULL;
CREATE INDEX queue_ready ON clip.queue (relation, not_before);
SELECT pg_catalog.pg_extension_config_dump('clip.queue', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
GRANT SELECT, INSERT ON clip.queue TO pg_database_owner;
GRANT SELECT, UPDATE ON SEQUENCE clip.queue_id TO pg_database_owner;

-- Failures
CREATE TABLE clip.failures (
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	key text[],
	key_hash bigint GENERATED ALWAYS AS (hash_array_extended(key, 0)) STORED,
	place tid,
	version xid,
	modality text,
	sqlstate text NOT NULL,
	message text NOT NULL,
	attempts integer NOT NULL DEFAULT 1,
	state text NOT NULL CHECK (state IN ('waiting', 'dead', 'embedded')),
	enqueued_at timestamptz NOT NULL DEFAULT now(),
	failed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE clip.failures IS 'rows that could not be embedded, or in part; clip_failures shows them';
COMMENT ON COLUMN clip.failures.relation IS 'the table, or the partition that the row lies in';
COMMENT ON COLUMN clip.failures.key IS 'as in clip.queue; NULL where the table has no primary key';
COMMENT ON COLUMN clip.failures.key_hash IS 'a key may be too long for an index';
COMMENT ON COLUMN clip.failures.place IS 'where a backfill came to the row; once it is changed, it is another and is tried again';
COMMENT ON COLUMN clip.failures.version IS 'the row''s xmin at that time';
COMMENT ON COLUMN clip.failures.state IS 'waiting for the next attempt in the queue; dead: given up; embedded: the row has a vector of an image that is not all there';
CREATE UNIQUE INDEX failures_row ON clip.failures (relation, embedding_column, key_hash);
CREATE INDEX failures_place ON clip.failures (relation, embedding_column, place);
SELECT pg_catalog.pg_extension_config_dump('clip.failures', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
-- Keys and messages are content, so that nobody reads them here but who dumps the database.
GRANT SELECT, INSERT ON clip.failures TO pg_database_owner;
INSERT INTO clip.failures (relation, embedding_column, key, sqlstate, message, attempts, state, enqueued_at, failed_at)
SELECT DISTINCT ON (q.relation, q.embedding_column, q.key) q.relation, q.embedding_column, q.key, q.sqlstate, coalesce(q.error, ''),
	q.attempts, CASE WHEN q.failed_at IS NULL THEN 'waiting' ELSE 'dead' END, q.enqueued_at, coalesce(q.failed_at, now())
FROM clip.queue q WHERE q.sqlstate IS NOT NULL ORDER BY q.relation, q.embedding_column, q.key, q.id DESC;
DELETE FROM clip.queue WHERE failed_at IS NOT NULL;
UPDATE clip.queue SET sqlstate = NULL, error = NULL WHERE sqlstate IS NOT NULL;
INSERT INTO clip.failures (relation, embedding_column, key, place, version, sqlstate, message, state, enqueued_at, failed_at)
SELECT e.part, e.embedding_column, CASE WHEN e.key IS NOT NULL THEN ARRAY(SELECT e.key ->> a.attname::text
		FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (number, n) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
		WHERE i.indrelid = e.part AND i.indisprimary AND k.n <= i.indnkeyatts ORDER BY k.n) END,
	e.place, e.version, e.sqlstate, e.message, 'dead', e.failed_at, e.failed_at
FROM clip.backfill_errors e ON CONFLICT DO NOTHING;
DROP TABLE clip.backfill_errors;

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

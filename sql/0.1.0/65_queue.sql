-- The queue -----------------------------------------------------------------------------------------------------------
-- A job says: look at this row. What there is to do is in the row alone: a source, and no vector beside it. So a job too
-- many does no harm, and a job is deleted in the transaction that writes the vector.

CREATE SEQUENCE clip.queue_id;
COMMENT ON SEQUENCE clip.queue_id IS 'internal: numbers of jobs';

CREATE TABLE clip.queue (
	id bigint PRIMARY KEY DEFAULT pg_catalog.nextval('clip.queue_id'::pg_catalog.regclass),
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	key text[] NOT NULL,
	enqueued_at timestamptz NOT NULL DEFAULT now(),
	not_before timestamptz DEFAULT now(),
	attempts integer NOT NULL DEFAULT 0,
	pauses integer,
	crashes integer,
	claimed_by integer,
	claimer_start timestamptz,
	claimed_in oid,
	sqlstate text,
	error text,
	failed_at timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.2);
COMMENT ON TABLE clip.queue IS 'rows that wait for their vectors, and those that failed';
COMMENT ON COLUMN clip.queue.relation IS 'the table, or the partition that the row lies in';
COMMENT ON COLUMN clip.queue.key IS 'the row''s primary key, each column as its type writes it';
COMMENT ON COLUMN clip.queue.not_before IS 'the next attempt; infinity while it is claimed, NULL when it is given up';
COMMENT ON COLUMN clip.queue.attempts IS 'that failed';
COMMENT ON COLUMN clip.queue.pauses IS 'how often it had to wait without an attempt, for a lock or what is missing around it';
COMMENT ON COLUMN clip.queue.crashes IS 'how often the process that worked on it died; such a row goes alone';
COMMENT ON COLUMN clip.queue.claimed_by IS 'process that works on it, with the start of that process and its database: a claim that was copied is none';
COMMENT ON COLUMN clip.queue.failed_at IS 'given up; see clip_retry';
-- By table first: each has its turn, and one that keeps its workers waiting is stepped over.
CREATE INDEX queue_ready ON clip.queue (relation, not_before);
SELECT pg_catalog.pg_extension_config_dump('clip.queue', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
SELECT pg_catalog.pg_extension_config_dump('clip.queue_id', '');
-- Keys are content, so that nobody reads them here but who dumps the database. A job only says where to look: one that is about
-- another's row does no harm.
GRANT SELECT, INSERT ON clip.queue TO pg_database_owner;
GRANT SELECT, UPDATE ON SEQUENCE clip.queue_id TO pg_database_owner;

-- Writers need no privileges on the queue: the function inserts keys of the trigger's own table, when PostgreSQL fires it
-- and not otherwise, and without a statement that would be asked for them.
CREATE FUNCTION clip.enqueue_trigger() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_enqueue_trigger' LANGUAGE C;
COMMENT ON FUNCTION clip.enqueue_trigger() IS 'internal: puts rows that lack a vector into clip.queue';

CREATE FUNCTION clip.wake_trigger() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_wake_trigger' LANGUAGE C;
COMMENT ON FUNCTION clip.wake_trigger() IS 'internal: wakes the workers when the transaction commits';
CREATE TRIGGER wake AFTER INSERT ON clip.queue FOR EACH STATEMENT EXECUTE FUNCTION clip.wake_trigger();

CREATE FUNCTION clip.save_mode(relation regclass, embedding_column name, mode text) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_save_mode_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.save_mode(regclass, name, text) IS 'internal: writes clip.tables for the owner of a relation';

-- Watching ------------------------------------------------------------------------------------------------------------
-- Keys, errors and counts are shown to whom they cannot tell more than the table does: its owner, and whoever may read it
-- without row-level security hiding some of its rows.

CREATE VIEW @extschema@.clip_queue WITH (security_barrier) AS
	SELECT q.relation, q.embedding_column,
		count(*) FILTER (WHERE q.failed_at IS NULL AND q.claimed_by IS NULL AND q.error IS NULL) AS waiting,
		count(*) FILTER (WHERE q.failed_at IS NULL AND q.claimed_by IS NOT NULL) AS claimed,
		count(*) FILTER (WHERE q.failed_at IS NULL AND q.claimed_by IS NULL AND q.error IS NOT NULL) AS retrying,
		count(*) FILTER (WHERE q.failed_at IS NOT NULL) AS dead,
		clock_timestamp() - min(q.enqueued_at) FILTER (WHERE q.failed_at IS NULL) AS age,
		count(DISTINCT q.claimed_by) AS workers
	FROM clip.queue q JOIN pg_class c ON c.oid = q.relation
	WHERE pg_has_role(c.relowner, 'USAGE') OR (has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid))
	GROUP BY q.relation, q.embedding_column;
COMMENT ON VIEW @extschema@.clip_queue IS 'rows that wait for their vectors, by table: waiting, claimed by a worker, retrying after an error, dead, age of the oldest, processes at work';
GRANT SELECT ON @extschema@.clip_queue TO PUBLIC;

CREATE VIEW @extschema@.clip_dead_letters WITH (security_barrier) AS
	SELECT q.relation, q.embedding_column, q.key, q.attempts, q.sqlstate, q.error, q.enqueued_at, q.failed_at
	FROM clip.queue q JOIN pg_class c ON c.oid = q.relation
	WHERE q.failed_at IS NOT NULL
		AND (pg_has_role(c.relowner, 'USAGE') OR (has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid)));
COMMENT ON VIEW @extschema@.clip_dead_letters IS 'rows that could not be embedded, by primary key, with the error';
GRANT SELECT ON @extschema@.clip_dead_letters TO PUBLIC;

CREATE FUNCTION @extschema@.clip_retry(relation regclass, embedding_column name DEFAULT NULL, sqlstate text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'clip_retry_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.clip_retry(regclass, name, text) IS 'puts rows that failed, all or those with one SQLSTATE, back into the queue; gives their number';

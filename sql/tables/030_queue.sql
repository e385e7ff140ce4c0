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
	claimed_by integer,
	claimer_start timestamptz,
	sqlstate text,
	error text,
	failed_at timestamptz,
	pauses integer,
	crashes integer,
	claimed_in oid,
	isolated boolean
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.2);
COMMENT ON TABLE clip.queue IS 'rows that wait for their vectors';
COMMENT ON COLUMN clip.queue.relation IS 'the table, or the partition that the row lies in';
COMMENT ON COLUMN clip.queue.key IS 'the row''s primary key, each column as its type writes it';
COMMENT ON COLUMN clip.queue.not_before IS 'the next attempt; infinity while it is claimed';
COMMENT ON COLUMN clip.queue.attempts IS 'that failed';
COMMENT ON COLUMN clip.queue.pauses IS 'how often it had to wait without an attempt, for a lock or what is missing around it';
COMMENT ON COLUMN clip.queue.crashes IS 'how often the process that worked on it died; such a row goes alone';
COMMENT ON COLUMN clip.queue.claimed_by IS 'process that works on it, with the start of that process and its database: a claim that was copied is none';
COMMENT ON COLUMN clip.queue.isolated IS 'the time was up when it was worked on; such a row goes alone';
COMMENT ON COLUMN clip.queue.sqlstate IS 'of 0.1.0: its dumps name the column; see clip.failures';
COMMENT ON COLUMN clip.queue.error IS 'of 0.1.0, as sqlstate';
COMMENT ON COLUMN clip.queue.failed_at IS 'of 0.1.0, as sqlstate';
-- By table first: each has its turn, and one that keeps its workers waiting is stepped over.
CREATE INDEX queue_ready ON clip.queue (relation, not_before);
SELECT pg_catalog.pg_extension_config_dump('clip.queue', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
SELECT pg_catalog.pg_extension_config_dump('clip.queue_id', '');
-- Keys are content, so that nobody reads them here but who dumps the database. A job only says where to look: one that is about
-- another's row does no harm.
GRANT SELECT, INSERT ON clip.queue TO pg_database_owner;
GRANT SELECT, UPDATE ON SEQUENCE clip.queue_id TO pg_database_owner;

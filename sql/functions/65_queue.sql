-- The queue -----------------------------------------------------------------------------------------------------------

-- Writers need no privileges on the queue: the function inserts keys of the trigger's own table, when PostgreSQL fires it
-- and not otherwise, and without a statement that would be asked for them.
CREATE OR REPLACE FUNCTION clip.enqueue_trigger() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_enqueue_trigger' LANGUAGE C;
COMMENT ON FUNCTION clip.enqueue_trigger() IS 'internal: puts rows that lack a vector into clip.queue';

CREATE OR REPLACE FUNCTION clip.wake_trigger() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_wake_trigger' LANGUAGE C;
COMMENT ON FUNCTION clip.wake_trigger() IS 'internal: wakes the workers when the transaction commits';
CREATE OR REPLACE TRIGGER wake AFTER INSERT ON clip.queue FOR EACH STATEMENT EXECUTE FUNCTION clip.wake_trigger();

-- Of jobs that a restore brings. One that was given up has no next attempt, as in dumps of 0.1.0, and a claim that was copied is none.
CREATE OR REPLACE FUNCTION clip.free_restored() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	NEW.not_before := CASE WHEN NEW.failed_at IS NULL THEN now() END;
	NEW.claimed_by := NULL;
	NEW.claimer_start := NULL;
	NEW.claimed_in := NULL;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION clip.free_restored() IS 'internal: jobs that come from a dump are nobody''s';
CREATE OR REPLACE TRIGGER restored BEFORE INSERT ON clip.queue FOR EACH ROW
	WHEN (NEW.failed_at IS NOT NULL OR NEW.claimed_by IS NOT NULL) EXECUTE FUNCTION clip.free_restored();

CREATE OR REPLACE FUNCTION clip.save_mode(relation regclass, embedding_column name, mode text) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_save_mode_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.save_mode(regclass, name, text) IS 'internal: writes clip.tables for the owner of a relation';

-- Watching ------------------------------------------------------------------------------------------------------------
-- Keys, errors and counts are shown to whom they cannot tell more than the table does: its owner, and whoever may read it
-- without row-level security hiding some of its rows.

CREATE OR REPLACE VIEW @extschema@.clip_queue WITH (security_barrier) AS
	SELECT q.relation, q.embedding_column,
		count(*) FILTER (WHERE q.state = 'waiting') AS waiting,
		count(*) FILTER (WHERE q.state = 'claimed') AS claimed,
		count(*) FILTER (WHERE q.state = 'retrying') AS retrying,
		count(*) FILTER (WHERE q.state = 'dead') AS dead,
		clock_timestamp() - min(q.enqueued_at) FILTER (WHERE q.state <> 'dead') AS age,
		count(DISTINCT q.claimed_by) AS workers
	FROM (
		SELECT j.relation, j.embedding_column, j.enqueued_at, j.claimed_by, CASE WHEN j.claimed_by IS NOT NULL THEN 'claimed'
			WHEN f.state IS NOT NULL THEN 'retrying' ELSE 'waiting' END AS state
		FROM clip.queue j LEFT JOIN clip.failures f ON f.relation = j.relation AND f.embedding_column = j.embedding_column
			AND f.key = j.key AND f.state = 'waiting'
		UNION ALL
		SELECT f.relation, f.embedding_column, f.enqueued_at, NULL, f.state FROM clip.failures f WHERE f.state = 'dead'
	) q JOIN pg_class c ON c.oid = q.relation
	WHERE pg_has_role(c.relowner, 'USAGE') OR (has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid))
	GROUP BY q.relation, q.embedding_column;
COMMENT ON VIEW @extschema@.clip_queue IS 'rows that wait for their vectors, by table: waiting, claimed by a worker, retrying after an error, dead, age of the oldest, processes at work';

CREATE OR REPLACE FUNCTION @extschema@.clip_retry(relation regclass, embedding_column name DEFAULT NULL, sqlstate text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'clip_retry_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.clip_retry(regclass, name, text) IS 'puts rows that failed, all or those with one SQLSTATE, back into the queue; gives their number';

-- Backfilling ---------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION clip.note(entry text, relation regclass, embedding_column name, VARIADIC details text[]) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_note_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.note(text, regclass, name, text[]) IS 'internal: writes the state of backfills and model changes for the owner of a relation';

-- The one rule of what a vector is made of is the library's.
CREATE OR REPLACE FUNCTION clip.source_condition(relation regclass, embedding_column name) RETURNS text
	AS 'MODULE_PATHNAME', 'clip_source_condition_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.source_condition(regclass, name) IS 'internal: has a row r a source, as SQL';

-- The named attachment, or the only one that is not the new column of a model change.
CREATE OR REPLACE FUNCTION clip.attached(relation regclass, embedding_column name) RETURNS clip.tables LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found clip.tables[] := ARRAY(SELECT t FROM clip.tables t WHERE t.relation = attached.relation
		AND CASE WHEN attached.embedding_column IS NULL THEN NOT t.pending ELSE t.embedding_column = attached.embedding_column END);
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'the relation must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM clip.check_is_owner(relation);
	IF cardinality(found) > 1 THEN
		RAISE EXCEPTION 'relation "%" has % embedding columns', clip.name_of(relation), cardinality(found)
			USING ERRCODE = 'ambiguous_parameter', HINT = 'Name the embedding column.';
	ELSIF cardinality(found) = 0 AND embedding_column IS NULL THEN
		RAISE EXCEPTION 'relation "%" is not embedded by pg_clip', clip.name_of(relation) USING ERRCODE = 'undefined_object';
	ELSIF cardinality(found) = 0 THEN
		RAISE EXCEPTION 'column "%" of relation "%" is not embedded by pg_clip', embedding_column, clip.name_of(relation)
			USING ERRCODE = 'undefined_object';
	END IF;
	RETURN found[1];
END $$;
COMMENT ON FUNCTION clip.attached(regclass, name) IS 'internal: an owner''s row of clip.tables';

-- The table itself, or its next partition that holds rows, in the order of their oids.
CREATE OR REPLACE FUNCTION clip.next_part(relation regclass, after oid) RETURNS regclass LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT c.oid::regclass FROM pg_class c
	WHERE c.oid IN (SELECT clip.parts_of(relation)) AND c.relkind = 'r' AND c.oid > after
	ORDER BY c.oid LIMIT 1
$$;
COMMENT ON FUNCTION clip.next_part(regclass, oid) IS 'internal: the parts of a table that a backfill walks';

-- The owner's own policies do not hide rows from what runs in his name; a partition may be another's.
CREATE OR REPLACE FUNCTION clip.check_every_row_is_seen(part regclass) RETURNS void LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF row_security_active(part) THEN
		RAISE EXCEPTION 'row-level security hides rows of relation "%" from the owner of the table', clip.name_of(part)
			USING ERRCODE = 'insufficient_privilege', HINT = 'Give the partition to the owner of the table, or give that role BYPASSRLS.';
	END IF;
END $$;
COMMENT ON FUNCTION clip.check_every_row_is_seen(regclass) IS 'internal: an error instead of rows that are left out';

CREATE OR REPLACE FUNCTION clip.check_batch_size(batch_size integer) RETURNS void LANGUAGE plpgsql IMMUTABLE
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF batch_size IS NULL OR NOT batch_size BETWEEN 1 AND 16384 THEN
		RAISE EXCEPTION 'batch_size is %: expected 1 to 16384', coalesce(batch_size::text, 'null')
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
END $$;
COMMENT ON FUNCTION clip.check_batch_size(integer) IS 'internal: rows of a step';

CREATE OR REPLACE FUNCTION clip.backfill_begin(relation regclass, embedding_column name, batch_size integer) RETURNS name
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
BEGIN
	PERFORM clip.check_batch_size(batch_size);
	PERFORM clip.backfill_lock(relation, begins => true);
	PERFORM clip.check_every_row_is_seen(t.relation);
	RETURN t.embedding_column;
END $$;
COMMENT ON FUNCTION clip.backfill_begin(regclass, name, integer) IS 'internal: first step of clip_backfill';

-- Locks of pg_clip's own, which nothing but its functions takes: a lock that SQL can take decides nothing. A table has two, for
-- who backfills it or changes its model, and for who builds an index for that.
CREATE OR REPLACE FUNCTION clip.try_lock(relation regclass) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clip_try_lock_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.try_lock(regclass) IS 'internal: the lock of who backfills a table or changes its model, for its owner, to the end of the transaction; false where another session has it';

CREATE OR REPLACE FUNCTION clip.is_locked(what regclass, relation regclass) RETURNS boolean LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'object' AND l.granted AND l.pid <> pg_backend_pid()
		AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
		AND l.classid = what AND l.objid = is_locked.relation)
$$;
COMMENT ON FUNCTION clip.is_locked(regclass, regclass) IS 'internal: has another session a lock of pg_clip on a table?';

-- A call lets go of its lock between two steps, so that it can be aborted there; a single look could fall into that gap.
CREATE OR REPLACE FUNCTION clip.backfill_runs(relation regclass) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	FOR look IN 1 .. 10 LOOP
		IF clip.is_locked('clip.backfills', relation) THEN
			RETURN true;
		END IF;
		PERFORM pg_sleep(0.005);
	END LOOP;
	RETURN false;
END $$;
COMMENT ON FUNCTION clip.backfill_runs(regclass) IS 'internal: does another session backfill or change a table?';

-- Held by each step to its end. Two calls would not harm each other, but do each other's work twice; so one that begins
-- makes sure that no other is at work, which would be the one to fail in its next step.
CREATE OR REPLACE FUNCTION clip.backfill_lock(relation regclass, begins boolean DEFAULT false) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	taken boolean := begins AND clip.backfill_runs(relation);
BEGIN
	IF taken OR NOT clip.try_lock(relation) THEN
		RAISE EXCEPTION 'another session is backfilling or changing relation "%"', clip.name_of(relation) USING ERRCODE = 'object_in_use';
	END IF;
END $$;
COMMENT ON FUNCTION clip.backfill_lock(regclass, boolean) IS 'internal: one backfill of a table at a time';

-- The table may be dropped or detached between two steps, and also while one begins.
CREATE OR REPLACE FUNCTION clip.backfill_of(relation regclass, embedding_column name) RETURNS clip.backfills LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	b clip.backfills;
BEGIN
	SELECT * INTO b FROM clip.backfills s
	WHERE s.relation = backfill_of.relation AND s.embedding_column = backfill_of.embedding_column;
	IF NOT FOUND THEN
		PERFORM clip.attached(relation, embedding_column);
		RAISE EXCEPTION 'another session has ended the backfill of relation "%"', clip.name_of(relation) USING ERRCODE = 'object_in_use';
	END IF;
	RETURN b;
END $$;
COMMENT ON FUNCTION clip.backfill_of(regclass, name) IS 'internal: the row of clip.backfills';

CREATE OR REPLACE FUNCTION clip.backfill_continue(relation regclass, embedding_column name) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM clip.attached(relation, embedding_column);
	PERFORM clip.backfill_lock(relation);
	PERFORM clip.backfill_of(relation, embedding_column);
END $$;
COMMENT ON FUNCTION clip.backfill_continue(regclass, name) IS 'internal: before each step of clip_backfill';

CREATE OR REPLACE FUNCTION clip.backfill_end(relation regclass, embedding_column name) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	b clip.backfills := clip.backfill_of(relation, embedding_column);
BEGIN
	IF b.rows_failed > 0 THEN
		RAISE WARNING '% of % rows of relation "%" could not be embedded', b.rows_failed, b.rows_done + b.rows_failed, clip.name_of(relation)
			USING HINT = 'The view clip_failures tells which and why.';
	END IF;
	IF b.pass_left > 0 THEN
		RAISE WARNING '% rows of relation "%" were held locked by other transactions', b.pass_left, clip.name_of(relation)
			USING HINT = 'Call clip_backfill again.';
	END IF;
END $$;
COMMENT ON FUNCTION clip.backfill_end(regclass, name) IS 'internal: last step of clip_backfill';

CREATE OR REPLACE PROCEDURE @extschema@.clip_backfill(relation regclass, embedding_column name DEFAULT NULL, batch_size integer DEFAULT 64)
	AS 'MODULE_PATHNAME', 'clip_backfill_wrapper' LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.clip_backfill(regclass, name, integer) IS 'embeds the rows that have a source and no vector yet, a transaction for each batch; called again it goes on where it was';

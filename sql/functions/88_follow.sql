-- Following the tables ------------------------------------------------------------------------------------------------
-- What a user does to a table must not make its rows fail, nor leave them without vectors. Event triggers of an extension run
-- as its owner; they call nothing of the table's own.

-- What rows wait under names the columns of a primary key by their places alone. Where that key goes, one job with an empty key says
-- that rows of the table wait, until there is a key again.
CREATE OR REPLACE FUNCTION clip.forget_keys(relation regclass) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	col name;
BEGIN
	FOR col IN SELECT q.embedding_column FROM clip.queue q WHERE q.relation = forget_keys.relation
		UNION SELECT f.embedding_column FROM clip.failures f WHERE f.relation = forget_keys.relation AND f.key IS NOT NULL
	LOOP
		DELETE FROM clip.queue q WHERE q.relation = forget_keys.relation AND q.embedding_column = col;
		DELETE FROM clip.failures f WHERE f.relation = forget_keys.relation AND f.embedding_column = col AND f.key IS NOT NULL;
		INSERT INTO clip.queue (relation, embedding_column, key) VALUES (relation, col, '{}');
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.forget_keys(regclass) IS 'internal: the primary key that rows wait under is dropped';

CREATE OR REPLACE FUNCTION clip.enqueue_again(relation regclass, embedding_column name) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_enqueue_again_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.enqueue_again(regclass, name) IS 'internal: rows that waited under a primary key that was dropped';

-- What is dropped takes its bookkeeping along, whatever it was dropped by: a column may go with its type, a table with its
-- access method.
CREATE OR REPLACE FUNCTION clip.forget_dropped() RETURNS event_trigger LANGUAGE plpgsql
	SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	gone record;
BEGIN
	FOR gone IN
		DELETE FROM clip.tables t
		USING pg_event_trigger_dropped_objects() d
		WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = t.relation::oid
			AND (d.objsubid = 0 OR d.address_names[array_upper(d.address_names, 1)] = t.embedding_column)
		RETURNING t.relation, t.embedding_column, d.objsubid
	LOOP
		DELETE FROM clip.queue q WHERE q.embedding_column = gone.embedding_column
			AND q.relation IN (SELECT clip.parts_of(gone.relation));
		DELETE FROM clip.model_changes c WHERE c.relation = gone.relation AND c.embedding_column = gone.embedding_column;
		DELETE FROM clip.index_failures f WHERE f.relation = gone.relation AND gone.objsubid = 0;
		IF gone.objsubid <> 0 THEN  -- the table lives on, and its rows are not to fail for want of the column
			PERFORM clip.drop_triggers(gone.relation, gone.embedding_column);
		END IF;
	END LOOP;
	DELETE FROM clip.failures f USING pg_event_trigger_dropped_objects() d
	WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = f.relation::oid
		AND (d.objsubid = 0 OR d.address_names[array_upper(d.address_names, 1)] = f.embedding_column);
	-- A partition is not in clip.tables, nor is a table that was never attached, but rows may wait.
	IF EXISTS (SELECT FROM clip.queue) THEN
		DELETE FROM clip.queue q USING pg_event_trigger_dropped_objects() d
		WHERE d.object_type = 'table' AND NOT d.is_temporary AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = q.relation::oid;
	END IF;
	-- A primary key has an index of its name.
	PERFORM clip.forget_keys(c.oid) FROM pg_event_trigger_dropped_objects() d JOIN pg_event_trigger_dropped_objects() i
		ON i.object_type = 'index' AND i.address_names = ARRAY[d.address_names[1], d.address_names[3]]
	JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', d.address_names[1], d.address_names[2])) WHERE d.object_type = 'table constraint';
	PERFORM clip.forget_source(t, d.address_names[array_upper(d.address_names, 1)]::name)
	FROM clip.tables t JOIN pg_event_trigger_dropped_objects() d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = t.relation::oid
	WHERE d.objsubid <> 0 AND d.address_names[array_upper(d.address_names, 1)] IN (t.text_column, t.image_column, t.modality_column);
END $$;
COMMENT ON FUNCTION clip.forget_dropped() IS 'internal: keeps the bookkeeping free of what was dropped';
-- There is no OR REPLACE: another definition is a matter of sql/upgrade, which drops the old one.
DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_event_trigger t WHERE t.evtfoid = 'clip.forget_dropped'::regproc) THEN
		CREATE EVENT TRIGGER clip_forget_dropped ON sql_drop EXECUTE FUNCTION clip.forget_dropped();
	END IF;
END $$;

-- The rows go on with the other source. Without any, nothing is embedded any more. Without a modality column nothing tells a
-- cleared image from a text, so images are kept from then on.
CREATE OR REPLACE FUNCTION clip.forget_source(t clip.tables, col name) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE clip.tables k SET text_column = nullif(k.text_column, col), image_column = nullif(k.image_column, col),
		modality_column = nullif(k.modality_column, col),
		keep_images = k.keep_images OR (k.modality_column = col AND k.text_column IS NOT NULL AND k.image_column IS NOT NULL)
	WHERE k.relation = t.relation AND k.embedding_column = t.embedding_column RETURNING k.* INTO t;
	IF t.text_column IS NULL AND t.image_column IS NULL THEN
		RAISE NOTICE 'column "%" of relation "%" is not embedded any more: what it was made of is gone', t.embedding_column, clip.name_of(t.relation);
		PERFORM clip.drop_triggers(t.relation, t.embedding_column);
		PERFORM clip.unregister(t.relation, t.embedding_column);
	ELSE
		PERFORM clip.create_triggers(t, t.embedding_column);
	END IF;
END $$;
COMMENT ON FUNCTION clip.forget_source(clip.tables, name) IS 'internal: a source of a column was dropped';

CREATE OR REPLACE FUNCTION clip.parents_of(relation regclass) RETURNS SETOF regclass LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE parents AS (
		SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = relation
		UNION SELECT i.inhparent FROM pg_inherits i JOIN parents p ON i.inhrelid = p.inhparent
	) SELECT inhparent::regclass FROM parents
$$;
COMMENT ON FUNCTION clip.parents_of(regclass) IS 'internal: what a table inherits from or is a partition of';

-- A change of model renames and drops columns itself while it holds its lock, and keeps its own books.
CREATE OR REPLACE FUNCTION clip.is_ours(relation regclass) RETURNS boolean LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'object' AND l.pid = pg_backend_pid()
		AND l.classid = 'clip.backfills'::regclass AND l.objid = is_ours.relation)
$$;
COMMENT ON FUNCTION clip.is_ours(regclass) IS 'internal: is it a change of model that alters the table?';

-- After a column was renamed one of the names that are known is no column's any more: it is that one's.
CREATE OR REPLACE FUNCTION clip.follow_renamed(renamed regclass, new_name name) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found record;
	t clip.tables;
BEGIN
	FOR found IN
		SELECT k.relation, k.embedding_column, c.old_name FROM clip.tables k
		CROSS JOIN LATERAL (SELECT DISTINCT unnest(ARRAY[k.embedding_column, k.text_column, k.image_column, k.modality_column])) c (old_name)
		WHERE clip.number_of(k.relation, c.old_name) IS NULL AND clip.number_of(k.relation, new_name) IS NOT NULL
			AND c.old_name IS NOT NULL AND (k.relation = renamed OR renamed IN (SELECT clip.parents_of(k.relation)))
			AND NOT clip.is_ours(k.relation)
	LOOP
		UPDATE clip.tables k SET
			embedding_column = CASE k.embedding_column WHEN found.old_name THEN new_name ELSE k.embedding_column END,
			text_column = CASE k.text_column WHEN found.old_name THEN new_name ELSE k.text_column END,
			image_column = CASE k.image_column WHEN found.old_name THEN new_name ELSE k.image_column END,
			modality_column = CASE k.modality_column WHEN found.old_name THEN new_name ELSE k.modality_column END
		WHERE k.relation = found.relation AND k.embedding_column = found.embedding_column RETURNING k.* INTO t;
		IF found.old_name = found.embedding_column THEN
			UPDATE clip.queue q SET embedding_column = new_name WHERE q.embedding_column = found.old_name
				AND q.relation IN (SELECT clip.parts_of(found.relation));
			UPDATE clip.failures f SET embedding_column = new_name WHERE f.embedding_column = found.old_name
				AND f.relation IN (SELECT clip.parts_of(found.relation));
			UPDATE clip.model_changes c SET embedding_column = new_name WHERE c.relation = found.relation AND c.embedding_column = found.old_name;
			UPDATE clip.model_changes c SET new_column = new_name WHERE c.relation = found.relation AND c.new_column = found.old_name;
		END IF;
		PERFORM clip.create_triggers(t, found.embedding_column);
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.follow_renamed(regclass, name) IS 'internal: a column was renamed';

-- A partition that leaves its table takes its rows along. Where some of them wait, it goes on as an attached table of its own.
CREATE OR REPLACE FUNCTION clip.follow_detached(parent clip.tables) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := parent;
BEGIN
	FOR t.relation IN
		SELECT DISTINCT q.relation FROM clip.queue q JOIN pg_class c ON c.oid = q.relation AND NOT c.relispartition
		WHERE q.embedding_column = parent.embedding_column AND NOT EXISTS (SELECT FROM clip.tables k
			WHERE k.relation = q.relation AND k.embedding_column = q.embedding_column)
	LOOP
		CONTINUE WHEN EXISTS (SELECT FROM unnest(ARRAY[t.embedding_column, t.text_column, t.image_column, t.modality_column]) c (col)
			WHERE c.col IS NOT NULL AND clip.number_of(t.relation, c.col) IS NULL);
		INSERT INTO clip.tables SELECT t.*;
		PERFORM clip.create_triggers(t, t.embedding_column);
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.follow_detached(clip.tables) IS 'internal: rows of former partitions that wait';

-- A table that becomes a partition is embedded as its parent is. What it was on its own ends, and rows that wait go on waiting.
CREATE OR REPLACE FUNCTION clip.follow_joined(parent clip.tables) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables;
BEGIN
	FOR t IN
		SELECT k.* FROM clip.tables k WHERE k.embedding_column = parent.embedding_column AND k.relation <> parent.relation
			AND k.relation IN (SELECT relid FROM pg_partition_tree(parent.relation))
	LOOP
		IF t.fingerprint <> parent.fingerprint THEN
			RAISE EXCEPTION 'relation "%" is embedded with model "%", and its parent "%" with "%"', clip.name_of(t.relation), t.model,
				clip.name_of(parent.relation), parent.model USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Vectors of two models cannot be compared. Change the model of one of them, or call clip_detach, before.';
		ELSIF EXISTS (SELECT FROM clip.model_changes c WHERE c.relation = t.relation AND c.embedding_column = t.embedding_column) THEN
			RAISE EXCEPTION 'the model of relation "%" is being changed', clip.name_of(t.relation)
				USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'End or abort the change of model before.';
		END IF;
		PERFORM clip.drop_triggers(t.relation, t.embedding_column);
		DELETE FROM clip.tables k WHERE k.relation = t.relation AND k.embedding_column = t.embedding_column;
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.follow_joined(clip.tables) IS 'internal: attached tables that became partitions of an attached one';

-- As 0.1.0 made them, from a dump or an update. Or for columns that are not all that matter any more: another trigger has come, or
-- another key.
CREATE OR REPLACE FUNCTION clip.has_old_triggers(t clip.tables) RETURNS boolean LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(bool_or(g.tgfoid <> 'clip.forget_trigger'::regproc AND (
		CASE g.tgfoid WHEN 'clip.enqueue_trigger'::regproc THEN g.tgtype & 1 = 0 ELSE strpos(encode(g.tgargs, 'escape'), '{"v": ') = 0 END
		OR g.tgattr <> '' AND clip.fired_columns(t, g.tgfoid = 'clip.enqueue_trigger'::regproc) IS DISTINCT FROM
			ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = g.tgrelid AND a.attnum = ANY (g.tgattr) ORDER BY 1))), false)
	FROM clip.triggers_of(t.relation, t.embedding_column) g
$$;
COMMENT ON FUNCTION clip.has_old_triggers(clip.tables) IS 'internal: are triggers to be made anew?';

CREATE OR REPLACE FUNCTION clip.follow_altered() RETURNS event_trigger LANGUAGE plpgsql
	SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	altered record;
	t clip.tables;
BEGIN
	FOR altered IN
		SELECT DISTINCT coalesce(g.tgrelid, d.objid)::regclass AS relation, a.attname AS renamed FROM pg_event_trigger_ddl_commands() d
		LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
		LEFT JOIN pg_attribute a ON d.object_type = 'table column' AND a.attrelid = d.objid AND a.attnum = d.objsubid
		WHERE d.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass)
	LOOP
		IF altered.renamed IS NOT NULL THEN
			PERFORM clip.follow_renamed(altered.relation, altered.renamed);
		END IF;
		FOR t IN SELECT k.* FROM clip.tables k WHERE k.relation = altered.relation OR k.relation IN (SELECT clip.parents_of(altered.relation)) LOOP
			IF clip.has_old_triggers(t) THEN
				PERFORM clip.create_triggers(t, t.embedding_column);
			END IF;
			PERFORM clip.fire_last(t.relation);
			PERFORM clip.enqueue_again(q.relation, q.embedding_column) FROM clip.queue q WHERE q.key = '{}'
				AND q.relation IN (SELECT clip.parts_of(altered.relation));
			IF EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation AND c.relkind = 'p') THEN
				PERFORM clip.follow_detached(t);
				PERFORM clip.follow_joined(t);
			END IF;
		END LOOP;
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.follow_altered() IS 'internal: has embedding go on when columns are renamed, triggers made and partitions detached';
DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_event_trigger t WHERE t.evtfoid = 'clip.follow_altered'::regproc) THEN
		CREATE EVENT TRIGGER clip_follow_altered ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE TRIGGER', 'ALTER TRIGGER')
			EXECUTE FUNCTION clip.follow_altered();
	END IF;
END $$;

-- PostgreSQL refuses to change the type of a column that a trigger names, and to drop it. So ours name none while such a statement runs.
CREATE OR REPLACE FUNCTION clip.free_columns(altered regclass, columns name[]) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM clip.create_triggers(t, t.embedding_column, false) FROM clip.tables t
	WHERE (t.relation = altered OR altered IN (SELECT clip.parents_of(t.relation))) AND NOT clip.is_ours(t.relation)
		AND EXISTS (SELECT FROM clip.triggers_of(t.relation, t.embedding_column) g
			JOIN pg_attribute a ON a.attrelid = g.tgrelid AND a.attnum = ANY (g.tgattr) WHERE a.attname = ANY (columns));
END $$;
COMMENT ON FUNCTION clip.free_columns(regclass, name[]) IS 'internal: before a column''s type is changed, or it is dropped';

CREATE OR REPLACE FUNCTION clip.name_columns(altered regclass) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM clip.create_triggers(t, t.embedding_column) FROM clip.tables t
	WHERE (t.relation = altered OR altered IN (SELECT clip.parents_of(t.relation))) AND NOT clip.is_ours(t.relation) AND clip.fired_columns(t, false) IS NOT NULL
		AND EXISTS (SELECT FROM clip.triggers_of(t.relation, t.embedding_column) g WHERE g.tgattr = '' AND g.tgfoid <> 'clip.forget_trigger'::regproc);
END $$;
COMMENT ON FUNCTION clip.name_columns(regclass) IS 'internal: after a column''s type was changed, or it was dropped';

-- PostgreSQL writes rows with another type anew, and no trigger sees it. Rows that wait may have other keys than before: they are looked
-- for again. Sources may say something else than what vectors were made of, which nobody but the user can tell.
CREATE OR REPLACE FUNCTION clip.follow_retyped(altered regclass, columns name[], computed name[]) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables;
	col name;
BEGIN
	FOR t IN SELECT k.* FROM clip.tables k
		WHERE (k.relation = altered OR altered IN (SELECT clip.parents_of(k.relation))) AND NOT clip.is_ours(k.relation)
	LOOP
		PERFORM clip.forget_keys(i.indrelid) FROM pg_index i
		WHERE i.indisprimary AND i.indrelid IN (SELECT clip.parts_of(t.relation))
			AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) AND a.attname = ANY (columns));
		FOREACH col IN ARRAY computed LOOP
			CONTINUE WHEN array_position(ARRAY[t.text_column, t.image_column, t.modality_column], col) IS NULL;
			RAISE WARNING 'vectors of relation "%" were made of column "%" as it was before', clip.name_of(t.relation), col
				USING HINT = format('If values changed, set "%s" to NULL in rows whose sources are still there, then CALL clip_backfill(%L).',
					t.embedding_column, t.relation);
		END LOOP;
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.follow_retyped(regclass, name[], name[]) IS 'internal: after a column''s type was changed';

CREATE OR REPLACE FUNCTION clip.follow_columns() RETURNS event_trigger AS 'MODULE_PATHNAME', 'clip_follow_columns' LANGUAGE C;
COMMENT ON FUNCTION clip.follow_columns() IS 'internal: lets columns be changed and dropped that triggers name';
DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_event_trigger t WHERE t.evtfoid = 'clip.follow_columns'::regproc) THEN
		CREATE EVENT TRIGGER clip_before_columns ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION clip.follow_columns();
		CREATE EVENT TRIGGER clip_after_columns ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION clip.follow_columns();
	END IF;
END $$;

-- At an update: triggers of older versions are made anew.
DO $$
DECLARE
	t clip.tables;
BEGIN
	FOR t IN SELECT k.* FROM clip.tables k JOIN pg_class c ON c.oid = k.relation WHERE clip.has_old_triggers(k)
	LOOP
		PERFORM clip.create_triggers(t, t.embedding_column);
	END LOOP;
END $$;

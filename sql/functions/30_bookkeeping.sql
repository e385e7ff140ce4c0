-- Bookkeeping ---------------------------------------------------------------------------------------------------------

-- What a database's owner restores must not be about others' tables.
CREATE OR REPLACE FUNCTION clip.check_restored() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = NEW.relation AND pg_has_role(c.relowner, 'USAGE')) THEN
		RETURN NEW;
	END IF;
	RAISE WARNING 'relation "%" is left out of clip.%: you must be its owner', NEW.relation, TG_TABLE_NAME;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION clip.check_restored() IS 'internal: keeps rows about others'' tables out of the bookkeeping';
CREATE OR REPLACE TRIGGER restored BEFORE INSERT ON clip.tables FOR EACH ROW EXECUTE FUNCTION clip.check_restored();

CREATE OR REPLACE FUNCTION clip.register(relation regclass, embedding_column name, text_column name, image_column name,
		modality_column name, keep_images boolean, model text, fingerprint text, dimensions integer) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_register_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION clip.register(regclass, name, name, name, name, boolean, text, text, integer) IS 'internal: writes clip.tables for the owner of a relation';

CREATE OR REPLACE FUNCTION clip.unregister(relation regclass, embedding_column name) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_unregister_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.unregister(regclass, name) IS 'internal: writes clip.tables for the owner of a relation';

CREATE OR REPLACE FUNCTION clip.model_info(model text, OUT name text, OUT dimensions integer, OUT fingerprint text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clip_model_info_wrapper' LANGUAGE C STABLE ROWS 1;
COMMENT ON FUNCTION clip.model_info(text) IS 'internal: the named model, or the session''s where the name is NULL';

CREATE OR REPLACE FUNCTION clip.schema_of(extension text) RETURNS name LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = extension
$$;
COMMENT ON FUNCTION clip.schema_of(text) IS 'internal: where an extension is installed; a schema may be renamed';

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
		DELETE FROM clip.queue q WHERE q.relation = gone.relation AND q.embedding_column = gone.embedding_column;
		DELETE FROM clip.model_changes c WHERE c.relation = gone.relation AND c.embedding_column = gone.embedding_column;
		DELETE FROM clip.index_failures f WHERE f.relation = gone.relation AND gone.objsubid = 0;
		IF gone.objsubid <> 0 THEN  -- the table lives on, and its rows are not to fail for want of the column
			PERFORM clip.drop_change_trigger(gone.relation, gone.embedding_column);
			PERFORM clip.drop_triggers(gone.relation, gone.embedding_column);
		END IF;
	END LOOP;
	DELETE FROM clip.failures f USING pg_event_trigger_dropped_objects() d
	WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = f.relation::oid
		AND (d.objsubid = 0 OR d.address_names[array_upper(d.address_names, 1)] = f.embedding_column);
	-- A partition is not in clip.tables, but its rows may wait. To look for them takes the longer, the more rows wait.
	IF EXISTS (SELECT FROM clip.tables t WHERE t.mode = 'async') THEN
		DELETE FROM clip.queue q USING pg_event_trigger_dropped_objects() d
		WHERE d.object_type = 'table' AND NOT d.is_temporary AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = q.relation::oid;
	END IF;
END $$;
COMMENT ON FUNCTION clip.forget_dropped() IS 'internal: keeps the bookkeeping free of what was dropped';
-- There is no OR REPLACE: another definition is a matter of sql/upgrade, which drops the old one.
DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_event_trigger t WHERE t.evtfoid = 'clip.forget_dropped'::regproc) THEN
		CREATE EVENT TRIGGER clip_forget_dropped ON sql_drop EXECUTE FUNCTION clip.forget_dropped();
	END IF;
END $$;

-- Rows that come through a parent do not fire the statement triggers of a partition: a table that becomes one gets triggers
-- for its rows.
CREATE OR REPLACE FUNCTION clip.follow_altered() RETURNS event_trigger LANGUAGE plpgsql
	SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	attached record;
BEGIN
	FOR attached IN
		SELECT t.relation, t.embedding_column FROM clip.tables t JOIN pg_class c ON c.oid = t.relation
		WHERE t.mode = 'async' AND c.relispartition AND EXISTS (SELECT FROM pg_trigger g
			WHERE g.tgrelid = c.oid AND g.tgfoid = 'clip.enqueue_trigger'::regproc AND g.tgtype & 1 = 0)
	LOOP
		EXECUTE format('SELECT %I.clip_set_mode($1, ''async'', $2)', clip.schema_of('pg_clip')) USING attached.relation, attached.embedding_column;
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.follow_altered() IS 'internal: gives a table that becomes a partition the triggers that it then needs';
DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_event_trigger t WHERE t.evtfoid = 'clip.follow_altered'::regproc) THEN
		CREATE EVENT TRIGGER clip_follow_altered ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION clip.follow_altered();
	END IF;
END $$;

-- Bookkeeping ---------------------------------------------------------------------------------------------------------

CREATE SCHEMA clip;
COMMENT ON SCHEMA clip IS 'bookkeeping of pg_clip, written through its functions alone';
GRANT USAGE ON SCHEMA clip TO PUBLIC;

CREATE TABLE clip.tables (
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	text_column name,
	image_column name,
	modality_column name,
	keep_images boolean NOT NULL,
	model text NOT NULL,
	fingerprint text NOT NULL,
	dimensions integer NOT NULL,
	pending boolean NOT NULL DEFAULT false,  -- the new column of a model change: clip_query does not see it yet
	mode text NOT NULL DEFAULT 'sync' CHECK (mode IN ('sync', 'async')),
	PRIMARY KEY (relation, embedding_column)
);
COMMENT ON TABLE clip.tables IS 'tables that pg_clip embeds, each with the model that its vectors are of';
GRANT SELECT ON clip.tables TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('clip.tables', '');

CREATE FUNCTION clip.register(relation regclass, embedding_column name, text_column name, image_column name,
		modality_column name, keep_images boolean, model text, fingerprint text, dimensions integer) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_register_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION clip.register(regclass, name, name, name, name, boolean, text, text, integer) IS 'internal: writes clip.tables for the owner of a relation';

CREATE FUNCTION clip.unregister(relation regclass, embedding_column name) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_unregister_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.unregister(regclass, name) IS 'internal: writes clip.tables for the owner of a relation';

CREATE FUNCTION clip.model_info(model text, OUT name text, OUT dimensions integer, OUT fingerprint text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clip_model_info_wrapper' LANGUAGE C STABLE ROWS 1;
COMMENT ON FUNCTION clip.model_info(text) IS 'internal: the named model, or the session''s where the name is NULL';

-- A dropped table or column takes its row of clip.tables along.
CREATE FUNCTION clip.forget_dropped() RETURNS event_trigger LANGUAGE plpgsql
	SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	gone record;
BEGIN
	DELETE FROM clip.queue q USING pg_event_trigger_dropped_objects() d
	WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = q.relation::oid
		AND (d.objsubid = 0 OR d.address_names[array_upper(d.address_names, 1)] = q.embedding_column);
	FOR gone IN
		DELETE FROM clip.tables t
		USING pg_event_trigger_dropped_objects() d
		WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = t.relation::oid
			AND (d.objsubid = 0 OR d.address_names[array_upper(d.address_names, 1)] = t.embedding_column)
		RETURNING t.relation, t.embedding_column, d.objsubid
	LOOP
		IF gone.objsubid <> 0 THEN  -- the table lives on, and its rows are not to fail for want of the column
			PERFORM clip.drop_change_trigger(gone.relation, gone.embedding_column);
			PERFORM clip.drop_triggers(gone.relation, gone.embedding_column);
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.forget_dropped() IS 'internal: keeps clip.tables free of dropped tables';
CREATE EVENT TRIGGER clip_forget_dropped ON sql_drop
	WHEN TAG IN ('DROP TABLE', 'ALTER TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP FOREIGN TABLE', 'DROP TYPE', 'DROP EXTENSION')
	EXECUTE FUNCTION clip.forget_dropped();

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

CREATE OR REPLACE FUNCTION clip.has_one_cone(model text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clip_has_one_cone_wrapper' LANGUAGE C STABLE;
COMMENT ON FUNCTION clip.has_one_cone(text) IS 'internal: do texts and images of a model, or of the session''s where the name is NULL, lie in one cone of the space?';

CREATE OR REPLACE FUNCTION clip.parts_of(relation regclass) RETURNS SETOF regclass LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT relation UNION SELECT p.relid FROM pg_partition_tree(relation) p
$$;
COMMENT ON FUNCTION clip.parts_of(regclass) IS 'internal: a table, also one that is dropped, and its partitions';

CREATE OR REPLACE FUNCTION clip.schema_of(extension text) RETURNS name LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = extension
$$;
COMMENT ON FUNCTION clip.schema_of(text) IS 'internal: where an extension is installed; a schema may be renamed';

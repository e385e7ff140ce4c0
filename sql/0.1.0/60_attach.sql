-- Attaching -----------------------------------------------------------------------------------------------------------

-- The public functions that run DDL do it as their caller, so that PostgreSQL's own privilege checks hold.
-- Everything they call is named with its schema or runs under a pinned search_path.

CREATE FUNCTION clip.vector_schema() RETURNS name LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'
$$;
COMMENT ON FUNCTION clip.vector_schema() IS 'internal: where pgvector is installed';

CREATE FUNCTION clip.name_of(relation regclass) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT c.relname::text FROM pg_class c WHERE c.oid = relation), relation::oid::text)
$$;
COMMENT ON FUNCTION clip.name_of(regclass) IS 'internal: a relation as messages call it, without its schema';

CREATE FUNCTION clip.check_column(relation regclass, col name, expected text[], what text) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	a record;
BEGIN
	SELECT att.attgenerated, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) AS type_name, t.typname INTO a
	FROM pg_attribute att JOIN pg_type t ON t.oid = att.atttypid
	WHERE att.attrelid = relation AND att.attname = col AND att.attnum > 0 AND NOT att.attisdropped;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of relation "%" does not exist', col, clip.name_of(relation) USING ERRCODE = 'undefined_column';
	ELSIF a.attgenerated <> '' THEN
		RAISE EXCEPTION 'column "%" is generated', col USING ERRCODE = 'feature_not_supported',
			HINT = 'Generated columns have no value yet when a row is embedded. Use a generated embedding column instead.';
	ELSIF NOT a.type_name = ANY (expected) THEN
		RAISE EXCEPTION '% column "%" is of type %: expected %', what, col, a.type_name, expected[1]
			USING ERRCODE = 'datatype_mismatch';
	END IF;
END $$;
COMMENT ON FUNCTION clip.check_column(regclass, name, text[], text) IS 'internal: a column exists and has one of the expected types';

CREATE FUNCTION clip.attach(relation regclass, embedding_column name, text_column name, image_column name,
		modality_column name, keep_images boolean, model text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	m record;
	kind "char";
	width integer;
	found_model text;
	vector_type text := format_type(format('%I.vector', clip.vector_schema())::regtype, NULL);
BEGIN
	SELECT c.relkind INTO kind FROM pg_class c WHERE c.oid = relation;
	IF kind IS NULL OR kind NOT IN ('r', 'p') THEN
		RAISE EXCEPTION '"%" is not a table', clip.name_of(relation) USING ERRCODE = 'wrong_object_type';
	ELSIF NOT (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = relation) THEN
		RAISE EXCEPTION 'must be owner of table %', clip.name_of(relation) USING ERRCODE = 'insufficient_privilege';
	ELSIF text_column IS NULL AND image_column IS NULL THEN
		RAISE EXCEPTION 'a text column or an image column must be named' USING ERRCODE = 'null_value_not_allowed';
	ELSIF text_column IS NOT NULL AND image_column IS NOT NULL AND modality_column IS NULL AND NOT keep_images THEN
		RAISE EXCEPTION 'images can only be cleared where a modality column tells what a row is' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Name the modality column, or keep the images.';
	END IF;
	PERFORM clip.check_column(relation, embedding_column, ARRAY[vector_type], 'embedding');
	IF text_column IS NOT NULL THEN
		PERFORM clip.check_column(relation, text_column, ARRAY['text', 'character varying', 'character'], 'text');
	END IF;
	IF image_column IS NOT NULL THEN
		PERFORM clip.check_column(relation, image_column, ARRAY['bytea'], 'image');
	END IF;
	IF modality_column IS NOT NULL THEN
		PERFORM clip.check_column(relation, modality_column,
			ARRAY[format_type('@extschema@.clip_modality'::regtype, NULL), 'text', 'character varying'], 'modality');
	END IF;

	SELECT * INTO STRICT m FROM clip.model_info(model);
	SELECT nullif(a.atttypmod, -1) INTO width FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = embedding_column;
	IF width <> m.dimensions THEN
		RAISE EXCEPTION 'column "%" has % dimensions, model "%" makes %', embedding_column, width, m.name, m.dimensions
			USING ERRCODE = 'data_exception';
	END IF;
	SELECT t.model INTO found_model FROM clip.tables t WHERE t.relation = attach.relation AND t.embedding_column = attach.embedding_column;
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of relation "%" is embedded with model "%" already', embedding_column, clip.name_of(relation), found_model
			USING ERRCODE = 'duplicate_object', HINT = 'Call clip_detach first. Vectors of another model must be embedded anew.';
	END IF;
	EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OF %s ON %s FOR EACH ROW EXECUTE FUNCTION @extschema@.clip_embed_trigger(%L, %L, %L, %L, %L, %L, %L)',
		clip.trigger_name(embedding_column),
		(SELECT string_agg(format('%I', c), ', ') FROM unnest(ARRAY[text_column, image_column, modality_column]) c WHERE c IS NOT NULL),
		relation, embedding_column, coalesce(text_column, ''), coalesce(image_column, ''), coalesce(modality_column, ''),
		CASE WHEN keep_images THEN 'true' ELSE 'false' END, m.name, m.fingerprint);
	PERFORM clip.register(relation, embedding_column, text_column, image_column, modality_column, keep_images, m.name, m.fingerprint, m.dimensions);
END $$;
COMMENT ON FUNCTION clip.attach(regclass, name, name, name, name, boolean, text) IS 'internal: behind clip_attach and clip_create_table';

CREATE FUNCTION clip.trigger_name(embedding_column name) RETURNS name LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT ('clip_embed_' || embedding_column)::name
$$;
COMMENT ON FUNCTION clip.trigger_name(name) IS 'internal: name of the trigger that embeds into a column';

CREATE FUNCTION clip_attach(relation regclass, embedding_column name DEFAULT 'embedding', text_column name DEFAULT NULL,
		image_column name DEFAULT NULL, model text DEFAULT NULL, modality_column name DEFAULT NULL, keep_images boolean DEFAULT true)
	RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clip.attach(relation, embedding_column, text_column, image_column, modality_column, keep_images, model);
END $$;
COMMENT ON FUNCTION clip_attach(regclass, name, name, name, text, name, boolean) IS 'lets a table of yours embed its rows on insert and update';

CREATE FUNCTION clip_detach(relation regclass, embedding_column name DEFAULT 'embedding') RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM clip.tables t WHERE t.relation = clip_detach.relation AND t.embedding_column = clip_detach.embedding_column) THEN
		RAISE EXCEPTION 'column "%" of relation "%" is not embedded by pg_clip', embedding_column, clip.name_of(relation) USING ERRCODE = 'undefined_object';
	END IF;
	PERFORM clip.unregister(relation, embedding_column);
	EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', clip.trigger_name(embedding_column), relation);
END $$;
COMMENT ON FUNCTION clip_detach(regclass, name) IS 'ends embedding on insert and update; vectors stay';

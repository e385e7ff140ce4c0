-- Attaching -----------------------------------------------------------------------------------------------------------

-- Work on a table is done in the name of its owner, by functions in C that check who calls and then run those of this schema
-- as the owner, in a security-restricted operation: whatever code of the owner's that starts cannot get at the caller's rights.
-- Everything that they call is named with its schema or runs under a pinned search_path.

CREATE OR REPLACE FUNCTION clip.name_of(relation regclass) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT c.relname::text FROM pg_class c WHERE c.oid = relation), relation::oid::text)
$$;
COMMENT ON FUNCTION clip.name_of(regclass) IS 'internal: a relation as messages call it, without its schema';

CREATE OR REPLACE FUNCTION clip.check_is_owner(relation regclass) RETURNS void LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND pg_get_userbyid(c.relowner) <> current_user) THEN
		RAISE EXCEPTION 'must be owner of table %', clip.name_of(relation) USING ERRCODE = 'insufficient_privilege',
			HINT = 'Functions of schema clip are internal. Those whose names begin with clip_ run as the owner whoever calls them.';
	END IF;
END $$;
COMMENT ON FUNCTION clip.check_is_owner(regclass) IS 'internal: what may start code of a table''s owner runs as the owner alone';

CREATE OR REPLACE FUNCTION clip.check_column(relation regclass, col name, expected text[], what text) RETURNS void
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

CREATE OR REPLACE FUNCTION clip.embedding_type(relation regclass, col name) RETURNS text LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT b.typname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
	WHERE a.attrelid = relation AND a.attnum = clip.number_of(relation, col)
$$;
COMMENT ON FUNCTION clip.embedding_type(regclass, name) IS 'internal: vector or halfvec, as an embedding column is';

CREATE OR REPLACE FUNCTION clip.embedding_types() RETURNS text[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT array_agg(format_type(format('%I.%I', clip.schema_of('vector'), t)::regtype, NULL) ORDER BY n) FROM unnest('{vector,halfvec}'::text[]) WITH ORDINALITY u (t, n)
$$;
COMMENT ON FUNCTION clip.embedding_types() IS 'internal: the types that an embedding column may have';

CREATE OR REPLACE FUNCTION clip.only_vector_column(relation regclass) RETURNS name LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found name[] := ARRAY(SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
			AND format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) = ANY (clip.embedding_types())
			AND NOT EXISTS (SELECT FROM clip.tables k WHERE k.relation = only_vector_column.relation AND k.embedding_column = a.attname AND k.pending));
BEGIN
	IF cardinality(found) = 1 THEN
		RETURN found[1];
	ELSIF cardinality(found) = 0 THEN
		RAISE EXCEPTION 'relation "%" has no column of type vector or halfvec', clip.name_of(relation) USING ERRCODE = 'undefined_column',
			HINT = 'Add one for the embeddings: ALTER TABLE ... ADD COLUMN embedding vector.';
	END IF;
	RAISE EXCEPTION 'relation "%" has % columns of type vector or halfvec', clip.name_of(relation), cardinality(found)
		USING ERRCODE = 'ambiguous_parameter', HINT = 'Name the embedding column.';
END $$;
COMMENT ON FUNCTION clip.only_vector_column(regclass) IS 'internal: the embedding column that an owner means who names none';

CREATE OR REPLACE FUNCTION clip.attach(relation regclass, embedding_column name, text_column name, image_column name,
		modality_column name, keep_images boolean, model text, mode text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	m record;
	kind "char";
	width integer;
	found_model text;
BEGIN
	PERFORM clip.check_is_owner(relation);
	SELECT c.relkind INTO kind FROM pg_class c WHERE c.oid = relation;
	IF kind IS NULL OR kind NOT IN ('r', 'p') THEN
		RAISE EXCEPTION '"%" is not a table', clip.name_of(relation) USING ERRCODE = 'wrong_object_type';
	ELSIF text_column IS NULL AND image_column IS NULL THEN
		RAISE EXCEPTION 'a text column or an image column must be named' USING ERRCODE = 'null_value_not_allowed';
	ELSIF text_column IS NOT NULL AND image_column IS NOT NULL AND modality_column IS NULL AND NOT keep_images THEN
		RAISE EXCEPTION 'images can only be cleared where a modality column tells what a row is' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Name the modality column, or keep the images.';
	END IF;
	embedding_column := coalesce(embedding_column, clip.only_vector_column(relation));
	PERFORM clip.check_column(relation, embedding_column, clip.embedding_types(), 'embedding');
	IF text_column IS NOT NULL THEN
		PERFORM clip.check_column(relation, text_column, ARRAY['text', 'character varying', 'character'], 'text');
	END IF;
	IF image_column IS NOT NULL THEN
		PERFORM clip.check_column(relation, image_column, ARRAY['bytea'], 'image');
	END IF;
	IF modality_column IS NOT NULL THEN
		PERFORM clip.check_column(relation, modality_column,
			ARRAY[format_type(format('%I.clip_modality', clip.schema_of('pg_clip'))::regtype, NULL), 'text', 'character varying'], 'modality');
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
	PERFORM clip.register(relation, embedding_column, text_column, image_column, modality_column, keep_images, m.name, m.fingerprint, m.dimensions);
	PERFORM clip.switch_mode(relation, embedding_column, mode);
END $$;
COMMENT ON FUNCTION clip.attach(regclass, name, name, name, name, boolean, text, text) IS 'internal: behind clip_attach and clip_create_table';

CREATE OR REPLACE FUNCTION clip.switch_mode(relation regclass, embedding_column name, mode text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	immediate boolean;
BEGIN
	IF mode IS NULL OR mode NOT IN ('sync', 'async') THEN
		RAISE EXCEPTION 'mode "%" is unknown: expected sync or async', mode USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF mode = 'async' THEN
		SELECT i.indimmediate INTO immediate FROM pg_index i WHERE i.indrelid = switch_mode.relation AND i.indisprimary;
		IF immediate IS NULL THEN
			RAISE EXCEPTION 'table "%" has no primary key: mode async needs one', clip.name_of(relation)
				USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Rows wait under their primary key. Add one, or use the mode sync.';
		ELSIF NOT immediate THEN
			RAISE EXCEPTION 'the primary key of table "%" is deferrable: mode async needs one that is not', clip.name_of(relation)
				USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Rows wait under their primary key, which has to tell them apart at any time. Make it NOT DEFERRABLE, or use the mode sync.';
		END IF;
	END IF;
	PERFORM clip.save_mode(relation, t.embedding_column, mode);  -- first: what follows new triggers has to know it
	t.mode := mode;
	PERFORM clip.create_triggers(t, t.embedding_column);
END $$;
COMMENT ON FUNCTION clip.switch_mode(regclass, name, text) IS 'internal: behind clip_set_mode';

CREATE OR REPLACE FUNCTION clip.detach(relation regclass, embedding_column name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
BEGIN
	PERFORM clip.drop_triggers(relation, t.embedding_column);  -- first, for its lock: a worker takes the table's before the queue's, too
	PERFORM clip.unregister(relation, t.embedding_column);
END $$;
COMMENT ON FUNCTION clip.detach(regclass, name) IS 'internal: behind clip_detach';

CREATE OR REPLACE FUNCTION @extschema@.clip_attach(relation regclass, embedding_column name DEFAULT NULL, text_column name DEFAULT NULL,
		image_column name DEFAULT NULL, model text DEFAULT NULL, modality_column name DEFAULT NULL, keep_images boolean DEFAULT true,
		mode text DEFAULT 'sync') RETURNS void
	AS 'MODULE_PATHNAME', 'clip_attach_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.clip_attach(regclass, name, name, name, text, name, boolean, text) IS 'lets a table of yours embed its rows on insert and update';

CREATE OR REPLACE FUNCTION @extschema@.clip_detach(relation regclass, embedding_column name DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_detach_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.clip_detach(regclass, name) IS 'ends embedding on insert and update; vectors stay';

CREATE OR REPLACE FUNCTION @extschema@.clip_set_mode(relation regclass, mode text, embedding_column name DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_switch_mode_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.clip_set_mode(regclass, text, name) IS 'lets a table embed its rows before they are written (sync) or in the background (async)';

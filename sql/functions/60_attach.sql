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

CREATE OR REPLACE FUNCTION clip.attach(relation regclass, embedding_column name, text_column name, image_column name,
		modality_column name, keep_images boolean, model text, mode text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	m record;
	kind "char";
	width integer;
	found_model text;
	vector_type text := format_type(format('%I.vector', clip.schema_of('vector'))::regtype, NULL);
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
	PERFORM clip.check_column(relation, embedding_column, ARRAY[vector_type], 'embedding');
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

CREATE OR REPLACE FUNCTION clip.drop_triggers(relation regclass, embedding_column name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	prefix text;
BEGIN
	FOREACH prefix IN ARRAY ARRAY['clip_embed_', 'clip_insert_', 'clip_update_'] LOOP
		IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = (prefix || embedding_column)::name) THEN
			EXECUTE format('DROP TRIGGER %I ON %s', prefix || embedding_column, relation);
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.drop_triggers(regclass, name) IS 'internal: takes away what embeds into a column';

-- Makes the triggers of one mode.
--
-- sync: one trigger embeds each row before it is written.
-- async: one trigger clears the vector of a row whose source changes, so that a vector never stands beside a source that
-- it was not made of; two more put the keys of rows that lack a vector into clip.queue, once a statement. Partitions have
-- no such triggers when rows come through their parent, so there a trigger that partitions inherit does it once a row.
CREATE OR REPLACE FUNCTION clip.switch_mode(relation regclass, embedding_column name, mode text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t record;
	sources text;
	by_row boolean;
	immediate boolean;
	embeds text;
	enqueues text;
BEGIN
	PERFORM clip.check_is_owner(relation);
	IF mode IS NULL OR mode NOT IN ('sync', 'async') THEN
		RAISE EXCEPTION 'mode "%" is unknown: expected sync or async', mode USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT * INTO t FROM clip.tables k WHERE k.relation = switch_mode.relation AND k.embedding_column = switch_mode.embedding_column;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of relation "%" is not embedded by pg_clip', embedding_column, clip.name_of(relation) USING ERRCODE = 'undefined_object';
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
	sources := (SELECT string_agg(format('%I', c), ', ') FROM unnest(ARRAY[t.text_column, t.image_column, t.modality_column]) c WHERE c IS NOT NULL);
	by_row := (SELECT c.relkind = 'p' OR c.relispartition FROM pg_class c WHERE c.oid = switch_mode.relation);
	embeds := format('ON %s FOR EACH ROW EXECUTE FUNCTION %I.clip_embed_trigger(%L, %L, %L, %L, %L, %L, %L, %L)', relation,
		clip.schema_of('pg_clip'), embedding_column, coalesce(t.text_column, ''), coalesce(t.image_column, ''), coalesce(t.modality_column, ''),
		t.keep_images::text, t.model, t.fingerprint, mode);
	enqueues := format('EXECUTE FUNCTION clip.enqueue_trigger(%L, %L, %L, %L)',
		embedding_column, coalesce(t.text_column, ''), coalesce(t.image_column, ''), coalesce(t.modality_column, ''));

	PERFORM clip.drop_triggers(relation, embedding_column);
	IF mode = 'sync' THEN
		EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OF %s %s', 'clip_embed_' || embedding_column, sources, embeds);
	ELSE
		EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OF %s %s', 'clip_embed_' || embedding_column, sources, embeds);
		IF by_row THEN
			EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE ON %s FOR EACH ROW %s', 'clip_insert_' || embedding_column, relation, enqueues);
		ELSE
			EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %s REFERENCING NEW TABLE AS clip_new FOR EACH STATEMENT %s',
				'clip_insert_' || embedding_column, relation, enqueues);
			EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %s REFERENCING NEW TABLE AS clip_new FOR EACH STATEMENT %s',
				'clip_update_' || embedding_column, relation, enqueues);
		END IF;
	END IF;
	PERFORM clip.save_mode(relation, embedding_column, mode);
END $$;
COMMENT ON FUNCTION clip.switch_mode(regclass, name, text) IS 'internal: makes the triggers of a mode';

CREATE OR REPLACE FUNCTION clip.detach(relation regclass, embedding_column name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM clip.check_is_owner(relation);
	IF NOT EXISTS (SELECT FROM clip.tables t WHERE t.relation = detach.relation AND t.embedding_column = detach.embedding_column) THEN
		RAISE EXCEPTION 'column "%" of relation "%" is not embedded by pg_clip', embedding_column, clip.name_of(relation) USING ERRCODE = 'undefined_object';
	END IF;
	PERFORM clip.drop_triggers(relation, embedding_column);  -- first, for its lock: a worker takes the table's before the queue's, too
	PERFORM clip.unregister(relation, embedding_column);
END $$;
COMMENT ON FUNCTION clip.detach(regclass, name) IS 'internal: behind clip_detach';

CREATE OR REPLACE FUNCTION @extschema@.clip_attach(relation regclass, embedding_column name DEFAULT 'embedding', text_column name DEFAULT NULL,
		image_column name DEFAULT NULL, model text DEFAULT NULL, modality_column name DEFAULT NULL, keep_images boolean DEFAULT true,
		mode text DEFAULT 'sync') RETURNS void
	AS 'MODULE_PATHNAME', 'clip_attach_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.clip_attach(regclass, name, name, name, text, name, boolean, text) IS 'lets a table of yours embed its rows on insert and update';

CREATE OR REPLACE FUNCTION @extschema@.clip_detach(relation regclass, embedding_column name DEFAULT 'embedding') RETURNS void
	AS 'MODULE_PATHNAME', 'clip_detach_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.clip_detach(regclass, name) IS 'ends embedding on insert and update; vectors stay';

CREATE OR REPLACE FUNCTION @extschema@.clip_set_mode(relation regclass, mode text, embedding_column name DEFAULT 'embedding') RETURNS void
	AS 'MODULE_PATHNAME', 'clip_set_mode_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.clip_set_mode(regclass, text, name) IS 'lets a table embed its rows before they are written (sync) or in the background (async)';

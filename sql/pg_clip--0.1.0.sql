\echo Use "CREATE EXTENSION pg_clip" to load this file. \quit

-- Types ---------------------------------------------------------------------------------------------------------------

CREATE TYPE clip_modality AS ENUM ('text', 'image');
COMMENT ON TYPE clip_modality IS 'what a row was embedded from';

-- Embedding -----------------------------------------------------------------------------------------------------------
-- With the session's model (clip.model) a function is STABLE. With a named one it is IMMUTABLE, for generated columns
-- and expression indexes: an installed name never changes its content. The costs are high enough that an index is
-- chosen where one serves, and far below the true ones, on purpose: a call with an input seen before costs microseconds,
-- and a plan that looks expensive is compiled by JIT first, which takes longer than a small query does.

CREATE FUNCTION clip_embed_text(content text) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_embed_text_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION clip_embed_text(text) IS 'unit vector of a text, by the model of the setting clip.model';

CREATE FUNCTION clip_embed_text(content text, model text) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_embed_text_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION clip_embed_text(text, text) IS 'unit vector of a text, by a named model';

CREATE FUNCTION clip_embed_image(image bytea) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_embed_image_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 4000;
COMMENT ON FUNCTION clip_embed_image(bytea) IS 'unit vector of a JPEG, PNG, WebP, GIF, BMP or TIFF image, by the model of the setting clip.model';

CREATE FUNCTION clip_embed_image(image bytea, model text) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_embed_image_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4000;
COMMENT ON FUNCTION clip_embed_image(bytea, text) IS 'unit vector of a JPEG, PNG, WebP, GIF, BMP or TIFF image, by a named model';

CREATE FUNCTION clip_embed_texts(contents text[]) RETURNS vector[]
	AS 'MODULE_PATHNAME', 'clip_embed_texts_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;
COMMENT ON FUNCTION clip_embed_texts(text[]) IS 'unit vectors of texts, in order, NULL for NULL, by the model of the setting clip.model';

CREATE FUNCTION clip_embed_texts(contents text[], model text) RETURNS vector[]
	AS 'MODULE_PATHNAME', 'clip_embed_texts_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000;
COMMENT ON FUNCTION clip_embed_texts(text[], text) IS 'unit vectors of texts, in order, NULL for NULL, by a named model';

CREATE FUNCTION clip_embed_images(images bytea[]) RETURNS vector[]
	AS 'MODULE_PATHNAME', 'clip_embed_images_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 40000;
COMMENT ON FUNCTION clip_embed_images(bytea[]) IS 'unit vectors of images, in order, NULL for NULL, by the model of the setting clip.model';

CREATE FUNCTION clip_embed_images(images bytea[], model text) RETURNS vector[]
	AS 'MODULE_PATHNAME', 'clip_embed_images_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40000;
COMMENT ON FUNCTION clip_embed_images(bytea[], text) IS 'unit vectors of images, in order, NULL for NULL, by a named model';

CREATE FUNCTION clip_classify(image bytea, labels text[], template text DEFAULT 'a photo of a {}', model text DEFAULT NULL)
	RETURNS TABLE (label text, probability real)
	AS 'MODULE_PATHNAME', 'clip_classify_wrapper' LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION clip_classify(bytea, text[], text, text) IS 'probability of each label for an image, the most probable first';

-- Models --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION clip_models(OUT name text, OUT architecture text, OUT dimensions integer, OUT precisions text[],
		OUT context_length integer, OUT image_size integer, OUT parameters bigint, OUT bytes bigint, OUT licence text,
		OUT fingerprint text, OUT loaded boolean) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clip_models_wrapper' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10000 ROWS 5;
COMMENT ON FUNCTION clip_models() IS 'installed models, and whether this session has loaded them';

CREATE FUNCTION clip_token_count(content text) RETURNS integer
	AS 'MODULE_PATHNAME', 'clip_token_count_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION clip_token_count(text) IS 'tokens of a text, begin and end included, before it is cut to the context of the model of the setting clip.model';

CREATE FUNCTION clip_token_count(content text, model text) RETURNS integer
	AS 'MODULE_PATHNAME', 'clip_token_count_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION clip_token_count(text, text) IS 'tokens of a text, begin and end included, before it is cut to the context of a named model';

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

CREATE FUNCTION clip.session_stats(OUT model text, OUT kind text, OUT calls bigint, OUT items bigint, OUT memo_hits bigint,
		OUT errors bigint, OUT total_ms double precision, OUT max_ms double precision) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clip_session_stats_wrapper' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 5;
COMMENT ON FUNCTION clip.session_stats() IS 'internal: the rows of clip_stats';

CREATE VIEW clip_stats AS SELECT * FROM clip.session_stats();
COMMENT ON VIEW clip_stats IS 'what this session embedded: calls, inputs that the model ran on, inputs answered from memory, errors, time';
GRANT SELECT ON clip_stats TO PUBLIC;

-- A dropped table or column takes its row of clip.tables along.
CREATE FUNCTION clip.forget_dropped() RETURNS event_trigger LANGUAGE plpgsql
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
		IF gone.objsubid <> 0 THEN  -- the table lives on, and its rows are not to fail for want of the column
			EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', clip.trigger_name(gone.embedding_column), gone.relation);
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.forget_dropped() IS 'internal: keeps clip.tables free of dropped tables';
CREATE EVENT TRIGGER clip_forget_dropped ON sql_drop
	WHEN TAG IN ('DROP TABLE', 'ALTER TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP FOREIGN TABLE', 'DROP TYPE', 'DROP EXTENSION')
	EXECUTE FUNCTION clip.forget_dropped();

-- Tables --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION clip_embed_trigger() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_embed_trigger' LANGUAGE C COST 1000;
COMMENT ON FUNCTION clip_embed_trigger() IS 'embeds a row before it is written; created by clip_create_table and clip_attach';

CREATE FUNCTION clip_query(relation regclass, content text) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_query_text_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION clip_query(regclass, text) IS 'unit vector of a text, by the model of a table''s vectors';

CREATE FUNCTION clip_query(relation regclass, content text, embedding_column name) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_query_text_column_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION clip_query(regclass, text, name) IS 'unit vector of a text, by the model of one of a table''s embedding columns';

CREATE FUNCTION clip_query(relation regclass, image bytea) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_query_image_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 4000;
COMMENT ON FUNCTION clip_query(regclass, bytea) IS 'unit vector of an image, by the model of a table''s vectors';

CREATE FUNCTION clip_query(relation regclass, image bytea, embedding_column name) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_query_image_column_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 4000;
COMMENT ON FUNCTION clip_query(regclass, bytea, name) IS 'unit vector of an image, by the model of one of a table''s embedding columns';

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

CREATE FUNCTION clip.create_table(schema name, name name, model text, keep_images boolean, index boolean) RETURNS regclass
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	m record;
	relation regclass;
	vectors name := clip.vector_schema();
BEGIN
	SELECT * INTO STRICT m FROM clip.model_info(model);
	IF index AND m.dimensions > 2000 THEN
		RAISE EXCEPTION 'an HNSW index on vector holds 2000 dimensions at most, model "%" makes %', m.name, m.dimensions
			USING ERRCODE = 'program_limit_exceeded', HINT = 'Pass index => false and create an index on the column cast to halfvec.';
	END IF;
	EXECUTE format($sql$
		CREATE TABLE %1$I.%2$I (
			id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
			modality @extschema@.clip_modality NOT NULL,
			content_ref text,
			metadata jsonb,
			image bytea,
			embedding %3$I.vector(%4$s),
			CHECK (modality <> 'text' OR (content_ref IS NOT NULL AND image IS NULL)),
			CHECK (modality <> 'image' OR image IS NOT NULL OR embedding IS NOT NULL)
		)$sql$, schema, name, vectors, m.dimensions);
	relation := format('%I.%I', schema, name)::regclass;
	EXECUTE format('ALTER TABLE %s ALTER COLUMN image SET STORAGE EXTERNAL', relation);  -- images are compressed already
	EXECUTE format('COMMENT ON COLUMN %s.content_ref IS %L', relation, 'the text itself, or the image''s URL or path');
	EXECUTE format('COMMENT ON COLUMN %s.image IS %L', relation, CASE WHEN keep_images THEN 'the encoded image'
		ELSE 'input only: the encoded image, set to NULL once it is embedded' END);
	EXECUTE format('COMMENT ON COLUMN %s.embedding IS %L', relation, format('unit vector of model %s', m.name));
	IF index THEN
		EXECUTE format('CREATE INDEX ON %s USING hnsw (embedding %I.vector_cosine_ops)', relation, vectors);
	END IF;
	PERFORM clip.attach(relation, 'embedding', 'content_ref', 'image', 'modality', keep_images, model);
	RETURN relation;
END $$;
COMMENT ON FUNCTION clip.create_table(name, name, text, boolean, boolean) IS 'internal: behind clip_create_table';

CREATE FUNCTION clip_create_table(name text, model text DEFAULT NULL, keep_images boolean DEFAULT false, index boolean DEFAULT true)
	RETURNS regclass LANGUAGE plpgsql AS $$
DECLARE
	parts text[] := pg_catalog.parse_ident(name);
BEGIN
	CASE pg_catalog.cardinality(parts)
		WHEN 1 THEN RETURN clip.create_table(pg_catalog.current_schema(), parts[1]::pg_catalog.name, model, keep_images, index);
		WHEN 2 THEN RETURN clip.create_table(parts[1]::pg_catalog.name, parts[2]::pg_catalog.name, model, keep_images, index);
		ELSE RAISE EXCEPTION 'improper relation name (too many dotted names): %', name USING ERRCODE = 'syntax_error';
	END CASE;
END $$;
COMMENT ON FUNCTION clip_create_table(text, text, boolean, boolean) IS 'makes a table of texts and images in one vector space, embedded on insert';

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

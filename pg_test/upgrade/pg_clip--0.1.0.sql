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
-- Counters ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION clip.counters(of_session boolean, OUT model text, OUT kind text, OUT calls bigint, OUT items bigint,
		OUT memo_hits bigint, OUT errors bigint, OUT errors_by_sqlstate text, OUT total_ms double precision,
		OUT max_ms double precision, OUT batches bigint, OUT largest_batch bigint, OUT shared boolean) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clip_counters_wrapper' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 5;
COMMENT ON FUNCTION clip.counters(boolean) IS 'internal: the rows of clip_stats, or of this session alone';

CREATE VIEW clip_stats AS
	SELECT model, kind, calls, items, memo_hits, errors, errors_by_sqlstate::pg_catalog.jsonb AS errors_by_sqlstate,
		total_ms, max_ms, batches, largest_batch, shared
	FROM clip.counters(false);
COMMENT ON VIEW clip_stats IS 'what was embedded, by all sessions where the library is preloaded (shared), else by this one: calls, inputs that the model ran on, inputs answered from memory, errors, time, batches';
GRANT SELECT ON clip_stats TO PUBLIC;

CREATE FUNCTION clip_stats_reset() RETURNS void
	AS 'MODULE_PATHNAME', 'clip_reset_counters_wrapper' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION clip_stats_reset() IS 'sets the counters of clip_stats to zero';
REVOKE EXECUTE ON FUNCTION clip_stats_reset() FROM PUBLIC;
-- Queries -------------------------------------------------------------------------------------------------------------

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
		modality_column name, keep_images boolean, model text, mode text) RETURNS void
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
	PERFORM clip.register(relation, embedding_column, text_column, image_column, modality_column, keep_images, m.name, m.fingerprint, m.dimensions);
	PERFORM clip.switch_mode(relation, embedding_column, mode);
END $$;
COMMENT ON FUNCTION clip.attach(regclass, name, name, name, name, boolean, text, text) IS 'internal: behind clip_attach and clip_create_table';

CREATE FUNCTION clip.drop_triggers(relation regclass, embedding_column name) RETURNS void
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
CREATE FUNCTION clip.switch_mode(relation regclass, embedding_column name, mode text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t record;
	sources text;
	by_row boolean;
	embeds text;
	enqueues text;
BEGIN
	IF mode IS NULL OR mode NOT IN ('sync', 'async') THEN
		RAISE EXCEPTION 'mode "%" is unknown: expected sync or async', mode USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT * INTO t FROM clip.tables k WHERE k.relation = switch_mode.relation AND k.embedding_column = switch_mode.embedding_column;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of relation "%" is not embedded by pg_clip', embedding_column, clip.name_of(relation) USING ERRCODE = 'undefined_object';
	END IF;
	IF mode = 'async' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = switch_mode.relation AND i.indisprimary) THEN
		RAISE EXCEPTION 'table "%" has no primary key: mode async needs one', clip.name_of(relation)
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Rows wait under their primary key. Add one, or use the mode sync.';
	END IF;
	sources := (SELECT string_agg(format('%I', c), ', ') FROM unnest(ARRAY[t.text_column, t.image_column, t.modality_column]) c WHERE c IS NOT NULL);
	by_row := (SELECT c.relkind = 'p' OR c.relispartition FROM pg_class c WHERE c.oid = switch_mode.relation);
	embeds := format('ON %s FOR EACH ROW EXECUTE FUNCTION @extschema@.clip_embed_trigger(%L, %L, %L, %L, %L, %L, %L, %L)', relation,
		embedding_column, coalesce(t.text_column, ''), coalesce(t.image_column, ''), coalesce(t.modality_column, ''),
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
	PERFORM clip.set_mode(relation, embedding_column, mode);
END $$;
COMMENT ON FUNCTION clip.switch_mode(regclass, name, text) IS 'internal: makes the triggers of a mode';

CREATE FUNCTION clip_attach(relation regclass, embedding_column name DEFAULT 'embedding', text_column name DEFAULT NULL,
		image_column name DEFAULT NULL, model text DEFAULT NULL, modality_column name DEFAULT NULL, keep_images boolean DEFAULT true,
		mode text DEFAULT 'sync')
	RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clip.attach(relation, embedding_column, text_column, image_column, modality_column, keep_images, model, mode);
END $$;
COMMENT ON FUNCTION clip_attach(regclass, name, name, name, text, name, boolean, text) IS 'lets a table of yours embed its rows on insert and update';

CREATE FUNCTION clip_detach(relation regclass, embedding_column name DEFAULT 'embedding') RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM clip.tables t WHERE t.relation = clip_detach.relation AND t.embedding_column = clip_detach.embedding_column) THEN
		RAISE EXCEPTION 'column "%" of relation "%" is not embedded by pg_clip', embedding_column, clip.name_of(relation) USING ERRCODE = 'undefined_object';
	END IF;
	PERFORM clip.drop_triggers(relation, embedding_column);  -- first, for its lock: a worker takes the table's before the queue's, too
	PERFORM clip.unregister(relation, embedding_column);
END $$;
COMMENT ON FUNCTION clip_detach(regclass, name) IS 'ends embedding on insert and update; vectors stay';

CREATE FUNCTION clip_set_mode(relation regclass, mode text, embedding_column name DEFAULT 'embedding') RETURNS void
	LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clip.switch_mode(relation, embedding_column, mode);
END $$;
COMMENT ON FUNCTION clip_set_mode(regclass, text, name) IS 'lets a table embed its rows before they are written (sync) or in the background (async)';
-- The queue -----------------------------------------------------------------------------------------------------------
-- A job says: look at this row. What there is to do is in the row alone: a source, and no vector beside it. So a job too
-- many does no harm, and a job is deleted in the transaction that writes the vector.

CREATE SEQUENCE clip.queue_id;
COMMENT ON SEQUENCE clip.queue_id IS 'internal: numbers of jobs';

CREATE TABLE clip.queue (
	id bigint PRIMARY KEY DEFAULT nextval('clip.queue_id'),
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	key text[] NOT NULL,
	enqueued_at timestamptz NOT NULL DEFAULT now(),
	not_before timestamptz NOT NULL DEFAULT now(),
	attempts integer NOT NULL DEFAULT 0,
	claimed_by integer,
	claimer_start timestamptz,
	sqlstate text,
	error text,
	failed_at timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.2);
COMMENT ON TABLE clip.queue IS 'rows that wait for their vectors, and those that failed';
COMMENT ON COLUMN clip.queue.relation IS 'the table, or the partition that the row lies in';
COMMENT ON COLUMN clip.queue.key IS 'the row''s primary key, each column as its type writes it';
COMMENT ON COLUMN clip.queue.not_before IS 'of a claimed job the end of the lease, of a failed one the next attempt';
COMMENT ON COLUMN clip.queue.attempts IS 'counted before the work begins';
COMMENT ON COLUMN clip.queue.claimed_by IS 'process that works on it, with the start of that process';
COMMENT ON COLUMN clip.queue.failed_at IS 'given up; see clip_retry';
CREATE INDEX queue_ready ON clip.queue (not_before) WHERE failed_at IS NULL;
SELECT pg_catalog.pg_extension_config_dump('clip.queue', '');
SELECT pg_catalog.pg_extension_config_dump('clip.queue_id', '');

-- Writers need no privileges on the queue: the function inserts keys of the trigger's own table, when PostgreSQL fires it
-- and not otherwise, and without a statement that would be asked for them.
CREATE FUNCTION clip.enqueue_trigger() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_enqueue_trigger' LANGUAGE C;
COMMENT ON FUNCTION clip.enqueue_trigger() IS 'internal: puts rows that lack a vector into clip.queue';

CREATE FUNCTION clip.wake_trigger() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_wake_trigger' LANGUAGE C;
COMMENT ON FUNCTION clip.wake_trigger() IS 'internal: wakes the workers when the transaction commits';
CREATE TRIGGER wake AFTER INSERT ON clip.queue FOR EACH STATEMENT EXECUTE FUNCTION clip.wake_trigger();

CREATE FUNCTION clip.set_mode(relation regclass, embedding_column name, mode text) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_set_mode_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.set_mode(regclass, name, text) IS 'internal: writes clip.tables for the owner of a relation';

-- Watching ------------------------------------------------------------------------------------------------------------
-- Each sees the tables whose rows they may read.

CREATE VIEW clip_queue WITH (security_barrier) AS
	SELECT q.relation, q.embedding_column,
		count(*) FILTER (WHERE q.failed_at IS NULL AND q.claimed_by IS NULL AND q.error IS NULL) AS waiting,
		count(*) FILTER (WHERE q.failed_at IS NULL AND q.claimed_by IS NOT NULL) AS claimed,
		count(*) FILTER (WHERE q.failed_at IS NULL AND q.claimed_by IS NULL AND q.error IS NOT NULL) AS retrying,
		count(*) FILTER (WHERE q.failed_at IS NOT NULL) AS dead,
		clock_timestamp() - min(q.enqueued_at) FILTER (WHERE q.failed_at IS NULL) AS age,
		count(DISTINCT q.claimed_by) AS workers
	FROM clip.queue q JOIN pg_catalog.pg_class c ON c.oid = q.relation
	WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT')
	GROUP BY q.relation, q.embedding_column;
COMMENT ON VIEW clip_queue IS 'rows that wait for their vectors, by table: waiting, claimed by a worker, retrying after an error, dead, age of the oldest, processes at work';
GRANT SELECT ON clip_queue TO PUBLIC;

CREATE VIEW clip_dead_letters WITH (security_barrier) AS
	SELECT q.relation, q.embedding_column, q.key, q.attempts, q.sqlstate, q.error, q.enqueued_at, q.failed_at
	FROM clip.queue q JOIN pg_catalog.pg_class c ON c.oid = q.relation
	WHERE q.failed_at IS NOT NULL AND pg_catalog.has_table_privilege(c.oid, 'SELECT');
COMMENT ON VIEW clip_dead_letters IS 'rows that could not be embedded, by primary key, with the error';
GRANT SELECT ON clip_dead_letters TO PUBLIC;

CREATE FUNCTION clip_retry(relation regclass, embedding_column name DEFAULT NULL, sqlstate text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'clip_retry_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION clip_retry(regclass, name, text) IS 'puts rows that failed, all or those with one SQLSTATE, back into the queue; gives their number';
-- Draining ------------------------------------------------------------------------------------------------------------

CREATE PROCEDURE clip_drain(relation regclass DEFAULT NULL, max_rows bigint DEFAULT NULL)
	AS 'MODULE_PATHNAME', 'clip_drain_wrapper' LANGUAGE C;
COMMENT ON PROCEDURE clip_drain(regclass, bigint) IS 'embeds rows that wait, of one table or of all that the caller owns, and commits after each batch';
-- Making a table ------------------------------------------------------------------------------------------------------

CREATE FUNCTION clip.create_table(schema name, name name, model text, keep_images boolean, index boolean, mode text) RETURNS regclass
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
	PERFORM clip.attach(relation, 'embedding', 'content_ref', 'image', 'modality', keep_images, model, mode);
	RETURN relation;
END $$;
COMMENT ON FUNCTION clip.create_table(name, name, text, boolean, boolean, text) IS 'internal: behind clip_create_table';

CREATE FUNCTION clip_create_table(name text, model text DEFAULT NULL, keep_images boolean DEFAULT false, index boolean DEFAULT true,
		mode text DEFAULT 'sync')
	RETURNS regclass LANGUAGE plpgsql AS $$
DECLARE
	parts text[] := pg_catalog.parse_ident(name);
BEGIN
	CASE pg_catalog.cardinality(parts)
		WHEN 1 THEN RETURN clip.create_table(pg_catalog.current_schema(), parts[1]::pg_catalog.name, model, keep_images, index, mode);
		WHEN 2 THEN RETURN clip.create_table(parts[1]::pg_catalog.name, parts[2]::pg_catalog.name, model, keep_images, index, mode);
		ELSE RAISE EXCEPTION 'improper relation name (too many dotted names): %', name USING ERRCODE = 'syntax_error';
	END CASE;
END $$;
COMMENT ON FUNCTION clip_create_table(text, text, boolean, boolean, text) IS 'makes a table of texts and images in one vector space, embedded on insert';
-- Backfilling ---------------------------------------------------------------------------------------------------------

CREATE TYPE clip.embedded AS (embedding vector, sqlstate text, message text);
COMMENT ON TYPE clip.embedded IS 'internal: an input''s vector, or why it has none';

CREATE FUNCTION clip.try_embed_images(images bytea[], model text, fingerprint text) RETURNS SETOF clip.embedded
	AS 'MODULE_PATHNAME', 'clip_try_embed_images_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 40000;
COMMENT ON FUNCTION clip.try_embed_images(bytea[], text, text) IS 'internal: a row for each image, in order; a bad one is a row with its SQLSTATE';

CREATE FUNCTION clip.try_embed_texts(contents text[], model text, fingerprint text) RETURNS SETOF clip.embedded
	AS 'MODULE_PATHNAME', 'clip_try_embed_texts_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;
COMMENT ON FUNCTION clip.try_embed_texts(text[], text, text) IS 'internal: a row for each text, in order; a bad one is a row with its SQLSTATE';

-- Where a backfill is. Committed with each batch, so that the next call goes on from there.
CREATE TABLE clip.backfills (
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	rows_total bigint NOT NULL,               -- when it began
	rows_done bigint NOT NULL DEFAULT 0,
	rows_failed bigint NOT NULL DEFAULT 0,
	rows_resumed bigint NOT NULL DEFAULT 0,   -- done when the last call began
	part regclass NOT NULL,                   -- the table itself or one of its partitions
	place tid NOT NULL,                       -- the last row of it that was looked at
	pass_done bigint NOT NULL DEFAULT 0,      -- rows of this walk through the table: embedded,
	pass_left bigint NOT NULL DEFAULT 0,      -- and changed or locked by others meanwhile
	idle_passes integer NOT NULL DEFAULT 0,   -- walks that found none but such
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	resumed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	finished_at timestamptz,
	PRIMARY KEY (relation, embedding_column),
	FOREIGN KEY (relation, embedding_column) REFERENCES clip.tables ON DELETE CASCADE
);
COMMENT ON TABLE clip.backfills IS 'state of each table''s last backfill; clip_progress shows those that are not done';

GRANT SELECT ON clip.backfills TO PUBLIC;

-- A row is known by its version, place and xmin: once it is changed, it is another and is tried again.
CREATE TABLE clip.backfill_errors (
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	part regclass NOT NULL,
	place tid NOT NULL,
	version xid NOT NULL,
	key jsonb,
	sqlstate text NOT NULL,
	message text NOT NULL,
	failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (relation, embedding_column, part, place),
	FOREIGN KEY (relation, embedding_column) REFERENCES clip.tables ON DELETE CASCADE
);
COMMENT ON TABLE clip.backfill_errors IS 'rows that the last backfill could not embed';
ALTER TABLE clip.backfill_errors ENABLE ROW LEVEL SECURITY;  -- keys are content
CREATE POLICY owner ON clip.backfill_errors FOR SELECT
	USING (EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation AND pg_catalog.pg_has_role(c.relowner, 'USAGE')));
COMMENT ON POLICY owner ON clip.backfill_errors IS 'a table''s owner alone sees which rows failed';
GRANT SELECT ON clip.backfill_errors TO PUBLIC;

CREATE VIEW clip_backfill_errors AS
	SELECT e.relation, e.embedding_column, e.key, e.sqlstate, e.message, e.failed_at, e.part, e.place
	FROM clip.backfill_errors e JOIN pg_catalog.pg_class c ON c.oid = e.relation
	WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE');
COMMENT ON VIEW clip_backfill_errors IS 'rows of your tables that the last clip_backfill could not embed, by primary key, with the reason';
GRANT SELECT ON clip_backfill_errors TO PUBLIC;

CREATE FUNCTION clip.note(entry text, relation regclass, embedding_column name, VARIADIC details text[]) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_note_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.note(text, regclass, name, text[]) IS 'internal: writes the state of backfills and model changes for the owner of a relation';

-- The expressions that give a row's image and text where they are what its vector is made of, as in the trigger.
CREATE FUNCTION clip.source_sql(attached clip.tables, OUT image text, OUT words text) LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	image := 'NULL::bytea';
	words := 'NULL::text';
	IF attached.image_column IS NOT NULL THEN
		image := format('r.%I', attached.image_column);
	END IF;
	IF attached.text_column IS NOT NULL THEN
		words := format('r.%I::text', attached.text_column);
	END IF;
	IF attached.modality_column IS NOT NULL THEN
		image := format('CASE WHEN r.%I::text = ''image'' THEN %s END', attached.modality_column, image);
		words := format('CASE WHEN r.%I::text = ''text'' THEN %s END', attached.modality_column, words);
	ELSIF attached.image_column IS NOT NULL AND attached.text_column IS NOT NULL THEN
		words := format('CASE WHEN r.%I IS NULL THEN %s END', attached.image_column, words);
	END IF;
END $$;
COMMENT ON FUNCTION clip.source_sql(clip.tables) IS 'internal: what a row''s vector is made of, of the row r';

-- The named attachment, or the only one that is not the new column of a model change.
CREATE FUNCTION clip.attached(relation regclass, embedding_column name) RETURNS clip.tables LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found clip.tables[] := ARRAY(SELECT t FROM clip.tables t WHERE t.relation = attached.relation
		AND CASE WHEN attached.embedding_column IS NULL THEN NOT t.pending ELSE t.embedding_column = attached.embedding_column END);
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'the relation must not be null' USING ERRCODE = 'null_value_not_allowed';
	ELSIF NOT coalesce((SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = relation), true) THEN
		RAISE EXCEPTION 'must be owner of table %', clip.name_of(relation) USING ERRCODE = 'insufficient_privilege';
	ELSIF cardinality(found) > 1 THEN
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
CREATE FUNCTION clip.next_part(relation regclass, after oid) RETURNS regclass LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT c.oid::regclass FROM pg_class c
	WHERE (c.oid = relation OR c.oid IN (SELECT relid FROM pg_partition_tree(relation))) AND c.relkind = 'r' AND c.oid > after
	ORDER BY c.oid LIMIT 1
$$;
COMMENT ON FUNCTION clip.next_part(regclass, oid) IS 'internal: the parts of a table that a backfill walks';

CREATE FUNCTION clip.backfill_begin(relation regclass, embedding_column name, batch_size integer) RETURNS name
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	source record := clip.source_sql(t);
	total bigint;
BEGIN
	IF batch_size IS NULL OR NOT batch_size BETWEEN 1 AND 16384 THEN
		RAISE EXCEPTION 'batch_size is %: expected 1 to 16384', coalesce(batch_size::text, 'null')
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM clip.backfill_lock(relation, begins => true);
	PERFORM FROM clip.backfills b
	WHERE b.relation = t.relation AND b.embedding_column = t.embedding_column AND b.finished_at IS NULL;
	IF FOUND THEN
		PERFORM clip.note('backfill: resume', t.relation, t.embedding_column, '');
		RETURN t.embedding_column;
	END IF;
	EXECUTE format('SELECT count(*) FROM %s r WHERE r.%I IS NULL AND ((%s) IS NOT NULL OR (%s) IS NOT NULL)',
		t.relation, t.embedding_column, source.image, source.words) INTO total;
	PERFORM clip.note('backfill: forget errors', t.relation, t.embedding_column, '');
	PERFORM clip.note('backfill: begin', t.relation, t.embedding_column,
		total::text, coalesce(clip.next_part(t.relation, 0), t.relation)::oid::text, '(0,0)');
	RETURN t.embedding_column;
END $$;
COMMENT ON FUNCTION clip.backfill_begin(regclass, name, integer) IS 'internal: first step of clip_backfill';

-- A call lets go of its lock between two steps, so that it can be aborted there; a single look could fall into that gap.
CREATE FUNCTION clip.backfill_runs(relation regclass) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	FOR look IN 1 .. 10 LOOP
		IF EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted AND l.pid <> pg_backend_pid()
				AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
				AND l.classid = 'clip.backfills'::regclass AND l.objid = backfill_runs.relation) THEN
			RETURN true;
		END IF;
		PERFORM pg_sleep(0.005);
	END LOOP;
	RETURN false;
END $$;
COMMENT ON FUNCTION clip.backfill_runs(regclass) IS 'internal: does another session backfill or change a table?';

-- Held by each step to its end. Two calls would not harm each other, but do each other's work twice; so one that begins
-- makes sure that no other is at work, which would be the one to fail in its next step.
CREATE FUNCTION clip.backfill_lock(relation regclass, begins boolean DEFAULT false) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	taken boolean := begins AND clip.backfill_runs(relation);
BEGIN
	IF taken OR NOT pg_try_advisory_xact_lock('clip.backfills'::regclass::oid::integer, relation::oid::integer) THEN
		RAISE EXCEPTION 'another session is backfilling or changing relation "%"', clip.name_of(relation) USING ERRCODE = 'object_in_use';
	END IF;
END $$;
COMMENT ON FUNCTION clip.backfill_lock(regclass, boolean) IS 'internal: one backfill of a table at a time';

-- Where the walk is. The table may be dropped or detached between two batches, and also while one begins.
CREATE FUNCTION clip.backfill_of(relation regclass, embedding_column name) RETURNS clip.backfills LANGUAGE plpgsql
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

-- One batch: reads rows, runs the model, writes the vectors of those rows that are still what was read. A row that
-- somebody changed or holds locked meanwhile is left for another walk; nobody waits for anybody. False when done.
CREATE FUNCTION clip.backfill_step(relation regclass, embedding_column name, batch_size integer) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET enable_tidscan = on SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	source record := clip.source_sql(t);
	b clip.backfills;
	next regclass;
	places tid[];
	versions xid[];
	images bytea[];
	texts text[];
	pictures clip.embedded[];
	words clip.embedded[];
	done bigint := 0;
	failed bigint := 0;
BEGIN
	PERFORM clip.backfill_lock(relation);
	b := clip.backfill_of(t.relation, t.embedding_column);
	-- The content of one batch has to fit into memory, whatever the size of its images.
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = b.part AND c.relkind = 'r') THEN
		EXECUTE format($sql$
			WITH found AS MATERIALIZED (
				SELECT r.ctid AS place, coalesce(octet_length(%1$s), octet_length(%2$s)) AS size
				FROM ONLY %3$s r
				WHERE r.ctid > $1 AND r.%4$I IS NULL AND ((%1$s) IS NOT NULL OR (%2$s) IS NOT NULL)
					AND NOT EXISTS (SELECT FROM clip.backfill_errors e WHERE e.relation = $3 AND e.embedding_column = $4
						AND e.part = $5 AND e.place = r.ctid AND e.version = r.xmin)
				LIMIT $2
			), sized AS (
				SELECT place, sum(size) OVER (ORDER BY place) - size AS before FROM found
			)
			SELECT array_agg(r.ctid ORDER BY r.ctid), array_agg(r.xmin ORDER BY r.ctid),
				array_agg(%1$s ORDER BY r.ctid), array_agg(%2$s ORDER BY r.ctid)
			FROM sized s JOIN ONLY %3$s r ON r.ctid = s.place WHERE s.before < 64 << 20
			$sql$, source.image, source.words, b.part, t.embedding_column)
		INTO places, versions, images, texts
		USING b.place, batch_size, t.relation, t.embedding_column, b.part;
	END IF;

	IF places IS NULL THEN
		next := clip.next_part(t.relation, b.part);
		IF next IS NOT NULL THEN
			PERFORM clip.note('backfill: batch', t.relation, t.embedding_column,
				next::oid::text, '(0,0)', '0', '0', b.pass_done::text, b.pass_left::text, b.idle_passes::text);
			RETURN true;
		END IF;
		-- Rows move when they are updated, also to where the walk has been: it ends when a whole one finds nothing.
		b.idle_passes := CASE WHEN b.pass_done > 0 THEN 0 ELSE b.idle_passes + 1 END;
		IF b.pass_done + b.pass_left = 0 OR b.idle_passes > 20 THEN
			PERFORM clip.note('backfill: finish', t.relation, t.embedding_column, '');
			RETURN false;
		ELSIF b.pass_done = 0 THEN
			PERFORM pg_sleep(0.1 * b.idle_passes);
		END IF;
		PERFORM clip.note('backfill: batch', t.relation, t.embedding_column,
			clip.next_part(t.relation, 0)::oid::text, '(0,0)', '0', '0', '0', '0', b.idle_passes::text);
		RETURN true;
	END IF;

	pictures := ARRAY(SELECT e FROM clip.try_embed_images(images, t.model, t.fingerprint) e);
	words := ARRAY(SELECT e FROM clip.try_embed_texts(texts, t.model, t.fingerprint) e);
	EXECUTE format($sql$
		WITH result AS MATERIALIZED (
			SELECT u.place, u.version, coalesce(u.picture, u.words) AS embedding, u.picture IS NOT NULL AS is_image
			FROM unnest($1, $2, $3, $4) u (place, version, picture, picture_state, picture_message, words, words_state, words_message)
		), mine AS MATERIALIZED (
			SELECT u.* FROM result u JOIN ONLY %1$s r ON r.ctid = u.place
			WHERE r.xmin = u.version AND r.%2$I IS NULL AND u.embedding IS NOT NULL
			FOR NO KEY UPDATE OF r SKIP LOCKED
		), written AS (
			UPDATE ONLY %1$s r SET %2$I = m.embedding %3$s FROM mine m WHERE r.ctid = m.place RETURNING 1
		)
		SELECT count(*) FROM written
		$sql$, b.part, t.embedding_column,
		CASE WHEN t.image_column IS NOT NULL AND NOT t.keep_images AND NOT t.pending
			THEN format(', %1$I = CASE WHEN m.is_image THEN NULL ELSE r.%1$I END', t.image_column) END)
	INTO done USING places, versions, pictures, words;
	FOR i IN 1 .. cardinality(places) LOOP
		IF pictures[i].sqlstate IS NOT NULL OR words[i].sqlstate IS NOT NULL THEN
			failed := failed + 1;
			PERFORM clip.note('backfill: error', t.relation, t.embedding_column, b.part::oid::text, places[i]::text, versions[i]::text,
				clip.key_of(b.part, places[i])::text, coalesce(pictures[i].sqlstate, words[i].sqlstate),
				coalesce(pictures[i].message, words[i].message));
		END IF;
	END LOOP;
	PERFORM clip.note('backfill: batch', t.relation, t.embedding_column, b.part::oid::text, places[cardinality(places)]::text,
		done::text, failed::text, (b.pass_done + done)::text, (b.pass_left + cardinality(places) - done - failed)::text,
		b.idle_passes::text);
	RETURN true;
END $$;
COMMENT ON FUNCTION clip.backfill_step(regclass, name, integer) IS 'internal: one batch of clip_backfill';

CREATE FUNCTION clip.key_of(part regclass, place tid) RETURNS jsonb LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	pairs text;
	key jsonb;
BEGIN
	SELECT string_agg(format('%L, r.%I', a.attname, a.attname), ', ' ORDER BY array_position(i.indkey, a.attnum)) INTO pairs
	FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
	WHERE i.indrelid = part AND i.indisprimary;
	IF pairs IS NOT NULL THEN
		EXECUTE format('SELECT jsonb_build_object(%s) FROM ONLY %s r WHERE r.ctid = $1', pairs, part) INTO key USING place;
	END IF;
	RETURN key;
END $$;
COMMENT ON FUNCTION clip.key_of(regclass, tid) IS 'internal: a row''s primary key';

CREATE FUNCTION clip.backfill_end(relation regclass, embedding_column name) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	b clip.backfills := clip.backfill_of(relation, embedding_column);
BEGIN
	IF b.rows_failed > 0 THEN
		RAISE WARNING '% of % rows of relation "%" could not be embedded', b.rows_failed, b.rows_done + b.rows_failed, clip.name_of(relation)
			USING HINT = 'The view clip_backfill_errors tells which and why.';
	END IF;
	IF b.pass_left > 0 THEN
		RAISE WARNING '% rows of relation "%" were held locked by other transactions', b.pass_left, clip.name_of(relation)
			USING HINT = 'Call clip_backfill again.';
	END IF;
END $$;
COMMENT ON FUNCTION clip.backfill_end(regclass, name) IS 'internal: last step of clip_backfill';

-- A procedure that commits cannot pin its search_path, so its body names every object with its schema.
CREATE PROCEDURE clip_backfill(relation regclass, embedding_column name DEFAULT NULL, batch_size integer DEFAULT 64)
	LANGUAGE plpgsql AS $$
BEGIN
	embedding_column := clip.backfill_begin(relation, embedding_column, batch_size);
	COMMIT;
	WHILE clip.backfill_step(relation, embedding_column, batch_size) LOOP
		COMMIT;
	END LOOP;
	PERFORM clip.backfill_end(relation, embedding_column);
	COMMIT;
END $$;
COMMENT ON PROCEDURE clip_backfill(regclass, name, integer) IS 'embeds the rows that have a source and no vector yet, a transaction for each batch; called again it goes on where it was';
-- Changing the model --------------------------------------------------------------------------------------------------
-- A second column beside the old one, embedded by a trigger of its own, backfilled, indexed, and put in the old one's
-- place under one short lock. State is committed with every step, so that the next call goes on where one ended.

CREATE TABLE clip.model_changes (
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	new_column name NOT NULL,
	model text NOT NULL,
	fingerprint text NOT NULL,
	dimensions integer NOT NULL,
	skip_missing boolean NOT NULL,
	stage text NOT NULL DEFAULT 'preparing'
		CHECK (stage IN ('preparing', 'embedding', 'indexing', 'constraining', 'waiting', 'switching', 'validating')),
	index_failure text,
	waits_for text[],                         -- transactions that may not see all new vectors
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (relation, embedding_column),
	FOREIGN KEY (relation, embedding_column) REFERENCES clip.tables ON DELETE CASCADE
);
COMMENT ON TABLE clip.model_changes IS 'changes of model that are not done';
GRANT SELECT ON clip.model_changes TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('clip.model_changes', '');

CREATE FUNCTION clip.start_index_build(old_index regclass) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_start_index_build_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.start_index_build(regclass) IS 'internal: starts a background worker that builds an index''s successor';
CREATE FUNCTION clip.index_build_running() RETURNS boolean
	AS 'MODULE_PATHNAME', 'clip_index_build_running_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.index_build_running() IS 'internal: is the worker that this session started still at work';

-- Fires before the trigger of the old column, by its name: that one may clear the image.
CREATE FUNCTION clip.drop_change_trigger(relation regclass, new_column name) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = ('clip_change_' || new_column)::name) THEN
		EXECUTE format('DROP TRIGGER %I ON %s', 'clip_change_' || new_column, relation);
	END IF;
END $$;
COMMENT ON FUNCTION clip.drop_change_trigger(regclass, name) IS 'internal: ends embedding into the new column of a model change';

CREATE FUNCTION clip.number_of(relation regclass, col name) RETURNS smallint LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT attnum FROM pg_attribute WHERE attrelid = relation AND attname = col AND NOT attisdropped
$$;
COMMENT ON FUNCTION clip.number_of(regclass, name) IS 'internal: a column''s number';

CREATE FUNCTION clip.indexes_of(relation regclass, col name) RETURNS SETOF regclass LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT DISTINCT i.indexrelid::regclass FROM pg_depend d JOIN pg_index i ON i.indexrelid = d.objid AND i.indrelid = relation
	WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = relation
		AND d.refobjsubid = clip.number_of(relation, col) AND i.indisvalid
$$;
COMMENT ON FUNCTION clip.indexes_of(regclass, name) IS 'internal: the indexes that a column is part of';

CREATE FUNCTION clip.successor_of(old_index regclass) RETURNS name LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT (left(relname::text, 40) || '_' || oid || '_next')::name FROM pg_class WHERE oid = old_index
$$;
COMMENT ON FUNCTION clip.successor_of(regclass) IS 'internal: name of the index that will take another''s place';

-- The old index's definition with the new column in it, and its dimensions where a cast names them.
CREATE FUNCTION clip.index_sql(old_index regclass, c clip.model_changes) RETURNS text LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	definition text := pg_get_indexdef(old_index);
	head text := format('CREATE INDEX %I ON %s', (SELECT relname FROM pg_class WHERE oid = old_index), c.relation);
	old_dimensions integer := (SELECT t.dimensions FROM clip.tables t WHERE t.relation = c.relation AND t.embedding_column = c.embedding_column);
	tail text;
BEGIN
	IF NOT starts_with(definition, head) THEN
		RAISE EXCEPTION 'index "%" cannot be built for another model: %', clip.name_of(old_index), definition USING ERRCODE = 'feature_not_supported';
	END IF;
	-- word by word, past strings and quoted names that hold the column's name by chance
	SELECT string_agg(CASE WHEN token[1] = quote_ident(c.embedding_column) THEN quote_ident(c.new_column) ELSE token[1] END, '' ORDER BY n)
	INTO tail
	FROM regexp_matches(substr(definition, length(head) + 1),
		$r$'(?:[^']|'')*'|"(?:[^"]|"")*"|[[:alpha:]_][[:alnum:]_$]*|.$r$, 'g') WITH ORDINALITY m (token, n);
	tail := regexp_replace(tail, format('\m(vector|halfvec|sparsevec|bit)\(%s\)', old_dimensions), format('\1(%s)', c.dimensions), 'g');
	RETURN format('CREATE INDEX CONCURRENTLY %I ON %s', clip.successor_of(old_index), c.relation) || tail;
END $$;
COMMENT ON FUNCTION clip.index_sql(regclass, clip.model_changes) IS 'internal: builds an index''s successor';

-- The worker's first and, if it fails, last words.
CREATE FUNCTION clip.begin_index_build(old_index regclass) RETURNS text LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c clip.model_changes;
BEGIN
	SELECT m.* INTO c FROM clip.model_changes m WHERE m.relation = (SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = old_index)
		AND old_index IN (SELECT clip.indexes_of(m.relation, m.embedding_column));
	IF NOT FOUND THEN  -- dropped, or the change aborted, since the worker was asked
		RAISE EXCEPTION 'no change of model needs a successor of index "%"', clip.name_of(old_index) USING ERRCODE = 'undefined_object';
	END IF;
	PERFORM clip.attached(c.relation, c.embedding_column);
	PERFORM pg_advisory_lock('clip.model_changes'::regclass::oid::integer, c.relation::oid::integer);
	RETURN clip.index_sql(old_index, c);
END $$;
COMMENT ON FUNCTION clip.begin_index_build(regclass) IS 'internal: called by the background worker';

CREATE FUNCTION clip.index_build_failed(old_index regclass, message text) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM clip.note('change: index failure', c.relation, c.embedding_column, old_index::oid || ' ' || message) FROM clip.model_changes c
	WHERE c.relation = (SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = old_index)
		AND old_index IN (SELECT clip.indexes_of(c.relation, c.embedding_column));
END $$;
COMMENT ON FUNCTION clip.index_build_failed(regclass, text) IS 'internal: called by the background worker';

-- What else depends on the column would go on with the old one, and compare two spaces.
CREATE FUNCTION clip.check_dependents(relation regclass, col name) RETURNS void LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	dependents text;
BEGIN
	SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO dependents
	FROM pg_depend d
	WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = relation AND d.refobjsubid = clip.number_of(relation, col)
		AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = relation AND NOT i.indisunique))
		AND NOT (d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT k.oid FROM pg_constraint k WHERE k.contype IN ('c', 'n')));  -- checks, and since 18 NOT NULL
	IF dependents IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of relation "%" cannot change its model while other objects depend on it', col, clip.name_of(relation)
			USING ERRCODE = 'dependent_objects_still_exist', DETAIL = dependents,
			HINT = 'Drop them, and create them again after the change.';
	END IF;
END $$;
COMMENT ON FUNCTION clip.check_dependents(regclass, name) IS 'internal: refuses a change that views would not follow';

-- Waiters queue behind a waiting exclusive lock, so it waits a moment only and comes again.
CREATE FUNCTION clip.lock_briefly(relation regclass) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM set_config('lock_timeout', '50ms', true);
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
	RETURN true;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
	PERFORM pg_sleep(0.1 + 0.2 * random());
	RETURN false;
END $$;
COMMENT ON FUNCTION clip.lock_briefly(regclass) IS 'internal: an exclusive lock, or false';

CREATE FUNCTION clip.rows_without(relation regclass, t clip.tables, new_column name) RETURNS bigint LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	source record := clip.source_sql(t);
	missing bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM ONLY %s r WHERE r.%I IS NOT NULL AND ', relation, t.embedding_column)
		|| CASE WHEN new_column IS NULL THEN format('(%s) IS NULL AND (%s) IS NULL', source.image, source.words)
			ELSE format('r.%I IS NULL', new_column) END INTO missing;
	RETURN missing;
END $$;
COMMENT ON FUNCTION clip.rows_without(regclass, clip.tables, name) IS 'internal: rows whose vectors a change of model would lose';

CREATE FUNCTION clip.change_begin(relation regclass, model text, embedding_column name, skip_missing boolean, batch_size integer)
	RETURNS name LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	c clip.model_changes;
	m record;
	new_column name := left(t.embedding_column::text, 40) || '_next';
	missing bigint;
BEGIN
	IF model IS NULL THEN
		RAISE EXCEPTION 'the model must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM clip.backfill_lock(relation, begins => true);
	SELECT * INTO STRICT m FROM clip.model_info(model);
	SELECT * INTO c FROM clip.model_changes s WHERE s.relation = t.relation AND s.embedding_column = t.embedding_column;
	IF FOUND AND c.fingerprint = m.fingerprint THEN
		PERFORM clip.note('change: stage', t.relation, t.embedding_column, c.stage, (skip_missing OR c.skip_missing)::text, c.waits_for::text);
		IF c.stage = 'embedding' THEN
			PERFORM clip.backfill_begin(t.relation, c.new_column, batch_size);
		END IF;
		RETURN t.embedding_column;
	ELSIF FOUND THEN
		RAISE EXCEPTION 'relation "%" is changing to model "%"', clip.name_of(relation), c.model
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call clip_change_model with that model, or clip_abort_model_change.';
	ELSIF t.pending THEN
		RAISE EXCEPTION 'column "%" is the new column of a model change', t.embedding_column USING ERRCODE = 'object_not_in_prerequisite_state';
	ELSIF t.fingerprint = m.fingerprint THEN
		RAISE NOTICE 'relation "%" is embedded with model "%" already', clip.name_of(relation), t.model;
		RETURN NULL;
	ELSIF EXISTS (SELECT FROM pg_class k WHERE k.oid = relation AND (k.relkind <> 'r' OR k.relispartition))
			OR EXISTS (SELECT FROM pg_inherits h WHERE relation IN (h.inhrelid, h.inhparent)) THEN
		RAISE EXCEPTION 'the model of "%" cannot be changed online: partitions and inheritance are not supported', clip.name_of(relation)
			USING ERRCODE = 'feature_not_supported', HINT = 'Attach a second embedding column, call clip_backfill, and drop the old one.';
	ELSIF clip.number_of(relation, new_column) IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of relation "%" already exists', new_column, clip.name_of(relation) USING ERRCODE = 'duplicate_column';
	ELSIF m.dimensions > 2000 AND EXISTS (SELECT FROM clip.indexes_of(relation, t.embedding_column) x JOIN pg_index i ON i.indexrelid = x
			JOIN pg_class k ON k.oid = x JOIN pg_am a ON a.oid = k.relam
			WHERE a.amname IN ('hnsw', 'ivfflat') AND clip.number_of(relation, t.embedding_column) = ANY (i.indkey)) THEN
		RAISE EXCEPTION 'an index on vector holds 2000 dimensions at most, model "%" makes %', m.name, m.dimensions
			USING ERRCODE = 'program_limit_exceeded', HINT = 'Drop the index, and create one on the column cast to halfvec after the change.';
	END IF;
	PERFORM clip.check_dependents(relation, t.embedding_column);
	missing := clip.rows_without(relation, t, NULL);
	IF missing > 0 AND NOT skip_missing THEN
		RAISE EXCEPTION '% rows of relation "%" cannot be embedded anew: what their vectors were made of is not there', missing, clip.name_of(relation)
			USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'Images are cleared once they are embedded unless they are kept. Put them back, or leave these rows without a vector: skip_missing => true.';
	END IF;
	PERFORM clip.note('change: begin', t.relation, t.embedding_column, new_column, m.name, m.fingerprint, m.dimensions::text,
		coalesce(skip_missing, false)::text);
	RETURN t.embedding_column;
END $$;
COMMENT ON FUNCTION clip.change_begin(regclass, text, name, boolean, integer) IS 'internal: first step of clip_change_model';

CREATE FUNCTION clip.change_prepare(c clip.model_changes, t clip.tables) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT clip.lock_briefly(c.relation) THEN
		RETURN false;
	END IF;
	EXECUTE format('ALTER TABLE %s ADD COLUMN %I %I.vector(%s)', c.relation, c.new_column, clip.vector_schema(), c.dimensions);
	EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OF %s ON %s FOR EACH ROW EXECUTE FUNCTION @extschema@.clip_embed_trigger(%L, %L, %L, %L, %L, %L, %L)',
		'clip_change_' || c.new_column,
		(SELECT string_agg(format('%I', s), ', ') FROM unnest(ARRAY[t.text_column, t.image_column, t.modality_column]) s WHERE s IS NOT NULL),
		c.relation, c.new_column, coalesce(t.text_column, ''), coalesce(t.image_column, ''), coalesce(t.modality_column, ''),
		CASE WHEN t.keep_images THEN 'true' ELSE 'next' END, c.model, c.fingerprint);
	PERFORM clip.note('change: attach', c.relation, c.embedding_column, '');
	RETURN true;
END $$;
COMMENT ON FUNCTION clip.change_prepare(clip.model_changes, clip.tables) IS 'internal: the new column and its trigger';

-- True when every index of the old column has its successor.
CREATE FUNCTION clip.change_index(c clip.model_changes) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	old_index regclass;
	made record;
BEGIN
	IF clip.index_build_running() OR EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2
			AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
			AND l.classid = 'clip.model_changes'::regclass AND l.objid = c.relation) THEN
		PERFORM pg_sleep(0.1);
		RETURN false;
	END IF;
	FOR old_index IN SELECT clip.indexes_of(c.relation, c.embedding_column) LOOP
		SELECT k.oid::regclass AS index, i.indisvalid INTO made
		FROM pg_class k JOIN pg_index i ON i.indexrelid = k.oid
		WHERE i.indrelid = c.relation AND k.relname = clip.successor_of(old_index);
		CONTINUE WHEN made.indisvalid;
		IF FOUND THEN  -- what a worker left that failed or was ended
			IF clip.lock_briefly(c.relation) THEN
				EXECUTE format('DROP INDEX %s', made.index);
			END IF;
			RETURN false;
		ELSIF starts_with(c.index_failure, old_index::oid || ' ') THEN
			RAISE EXCEPTION 'index "%" could not be built for the new model: %', clip.name_of(old_index), substr(c.index_failure, strpos(c.index_failure, ' ') + 1)
				USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Call clip_change_model again once the reason is gone, or clip_abort_model_change.';
		END IF;
		PERFORM clip.start_index_build(old_index);
		-- stays if the worker cannot say it better
		PERFORM clip.note('change: index failure', c.relation, c.embedding_column,
			old_index::oid || ' its background worker ended early, see the server''s log');
		RETURN false;
	END LOOP;
	RETURN true;
END $$;
COMMENT ON FUNCTION clip.change_index(clip.model_changes) IS 'internal: builds the new column''s indexes';

-- A NOT NULL of the old column, proved for the new one without a lock.
CREATE FUNCTION clip.change_constrain(c clip.model_changes) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	validated boolean := (SELECT k.convalidated FROM pg_constraint k WHERE k.conrelid = c.relation AND k.conname = 'clip_change_not_null');
BEGIN
	IF validated OR NOT (SELECT a.attnotnull FROM pg_attribute a WHERE a.attrelid = c.relation AND a.attname = c.embedding_column) THEN
		RETURN true;
	ELSIF validated IS NULL THEN
		IF clip.lock_briefly(c.relation) THEN
			EXECUTE format('ALTER TABLE %s ADD CONSTRAINT clip_change_not_null CHECK (%I IS NOT NULL) NOT VALID', c.relation, c.new_column);
		END IF;
		RETURN false;
	END IF;
	EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT clip_change_not_null', c.relation);
	RETURN true;
END $$;
COMMENT ON FUNCTION clip.change_constrain(clip.model_changes) IS 'internal: carries NOT NULL over';

-- One transaction under an exclusive lock: a statement sees the old column and the old model, or the new ones.
CREATE FUNCTION clip.change_switch(c clip.model_changes, t clip.tables) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	old record;
	embeds record;
	step text;
	steps text[];
	after text[] := '{}';
	locked_at timestamptz;
BEGIN
	PERFORM FROM clip.model_info(c.model);  -- opened before the lock
	IF NOT clip.lock_briefly(c.relation) THEN
		RETURN false;
	END IF;
	locked_at := clock_timestamp();
	PERFORM clip.check_dependents(c.relation, c.embedding_column);
	SELECT a.attnum, a.attnotnull, a.attacl, a.attstattarget, col_description(a.attrelid, a.attnum) AS comment INTO STRICT old
	FROM pg_attribute a WHERE a.attrelid = c.relation AND a.attname = c.embedding_column;
	-- What goes with the old column comes back under its name for the new one: constraints, indexes' names, grants.
	IF c.skip_missing THEN  -- rows without a vector would break them
		FOR step IN SELECT k.conname FROM pg_constraint k WHERE k.conrelid = c.relation AND k.contype = 'c' AND old.attnum = ANY (k.conkey) LOOP
			RAISE NOTICE 'constraint "%" of relation "%" goes with the old column', step, clip.name_of(c.relation);
		END LOOP;
	ELSE
		after := ARRAY(SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.relation, k.conname, pg_get_constraintdef(k.oid))
				|| CASE WHEN k.convalidated THEN ' NOT VALID' ELSE '' END
			FROM pg_constraint k WHERE k.conrelid = c.relation AND k.contype = 'c' AND old.attnum = ANY (k.conkey));
	END IF;
	after := after || ARRAY(SELECT format('ALTER INDEX %s RENAME TO %I', n.oid::regclass, k.relname)
			FROM clip.indexes_of(c.relation, c.embedding_column) x JOIN pg_class k ON k.oid = x
			JOIN pg_class n ON n.relname = clip.successor_of(x) AND n.relnamespace = k.relnamespace)
		|| ARRAY(SELECT format('GRANT %s (%I) ON %s TO %s %s', a.privilege_type, c.embedding_column, c.relation,
				CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
				CASE WHEN a.is_grantable THEN 'WITH GRANT OPTION' END)
			FROM aclexplode(old.attacl) a);
	IF old.comment IS NOT NULL THEN
		after := after || format('COMMENT ON COLUMN %s.%I IS %L', c.relation, c.embedding_column,
			CASE old.comment WHEN 'unit vector of model ' || t.model THEN 'unit vector of model ' || c.model ELSE old.comment END);
	END IF;
	IF old.attstattarget >= 0 THEN
		after := after || format('ALTER TABLE %s ALTER %I SET STATISTICS %s', c.relation, c.embedding_column, old.attstattarget);
	END IF;

	steps := ARRAY[format('DROP TRIGGER %I ON %s', 'clip_change_' || c.new_column, c.relation)];
	FOR embeds IN SELECT g.tgname, g.tgenabled, pg_get_triggerdef(g.oid) AS definition FROM pg_trigger g
			WHERE g.tgrelid = c.relation AND NOT g.tgisinternal
				AND strpos(pg_get_triggerdef(g.oid), format('clip_embed_trigger(%L, ', c.embedding_column)) > 0 LOOP
		steps := steps || format('DROP TRIGGER %I ON %s', embeds.tgname, c.relation)
			|| replace(embeds.definition, format('%L, %L', t.model, t.fingerprint), format('%L, %L', c.model, c.fingerprint));
		IF embeds.tgenabled <> 'O' THEN
			steps := steps || format('ALTER TABLE %s %s TRIGGER %I', c.relation,
				CASE embeds.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, embeds.tgname);
		END IF;
	END LOOP;
	IF old.attnotnull THEN
		steps := steps || format('ALTER TABLE %s ALTER %I SET NOT NULL', c.relation, c.new_column)
			|| format('ALTER TABLE %s DROP CONSTRAINT clip_change_not_null', c.relation);
	END IF;
	-- The old column leaves under another name, so that nothing takes it for an attached one that its user drops.
	steps := steps || format('ALTER TABLE %s RENAME %I TO %I', c.relation, c.embedding_column, left(c.embedding_column::text, 40) || '_gone')
		|| format('ALTER TABLE %s RENAME %I TO %I', c.relation, c.new_column, c.embedding_column)
		|| format('ALTER TABLE %s DROP COLUMN %I', c.relation, left(c.embedding_column::text, 40) || '_gone')
		|| after;
	FOREACH step IN ARRAY steps LOOP
		EXECUTE step;
	END LOOP;
	PERFORM clip.note('change: switch', c.relation, c.embedding_column, '');
	PERFORM clip.note('change: stage', c.relation, c.embedding_column, 'validating', c.skip_missing::text, NULL);
	RAISE NOTICE 'relation "%" is embedded with model "%" now; it was locked for % ms', clip.name_of(c.relation), c.model,
		round(1000 * extract(epoch FROM clock_timestamp() - locked_at), 1);
	RETURN true;
END $$;
COMMENT ON FUNCTION clip.change_switch(clip.model_changes, clip.tables) IS 'internal: puts the new column in the old one''s place';

-- One step. True where another is to follow.
CREATE FUNCTION clip.change_step(relation regclass, embedding_column name, batch_size integer) RETURNS boolean
	LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	c clip.model_changes;
	left_out bigint;
	next text;
	waits text[];
BEGIN
	SELECT * INTO c FROM clip.model_changes m WHERE m.relation = t.relation AND m.embedding_column = t.embedding_column;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the change of model of relation "%" was aborted', clip.name_of(relation) USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	PERFORM clip.backfill_lock(relation);
	CASE c.stage
	WHEN 'preparing' THEN
		IF clip.change_prepare(c, t) THEN
			PERFORM clip.backfill_begin(c.relation, c.new_column, batch_size);
			next := 'embedding';
		END IF;
	WHEN 'embedding' THEN
		IF NOT clip.backfill_step(c.relation, c.new_column, batch_size) THEN
			PERFORM clip.backfill_end(c.relation, c.new_column);
			left_out := clip.rows_without(c.relation, t, c.new_column);
			IF left_out > 0 AND NOT c.skip_missing THEN
				RAISE EXCEPTION '% rows of relation "%" could not be embedded with model "%"', left_out, clip.name_of(relation), c.model
					USING ERRCODE = 'object_not_in_prerequisite_state',
					HINT = 'See clip_backfill_errors. Call clip_change_model again, leave these rows without a vector with skip_missing => true, or call clip_abort_model_change.';
			END IF;
			next := 'indexing';
		END IF;
	WHEN 'indexing' THEN
		IF clip.change_index(c) THEN
			next := 'constraining';
		END IF;
	WHEN 'constraining' THEN
		IF clip.change_constrain(c) THEN
			next := 'waiting';
			-- A snapshot that is older than the last new vector must not meet the new column.
			waits := ARRAY(SELECT l.virtualtransaction FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
				WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_xmin IS NOT NULL
					AND l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock');
		END IF;
	WHEN 'waiting' THEN
		IF EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock'
				AND l.pid <> pg_backend_pid() AND l.virtualtransaction = ANY (c.waits_for)) THEN
			PERFORM pg_sleep(0.1);
		ELSE
			next := 'switching';
		END IF;
	WHEN 'switching' THEN
		PERFORM clip.change_switch(c, t);
		RETURN true;
	WHEN 'validating' THEN
		FOR next IN SELECT k.conname FROM pg_constraint k
				WHERE k.conrelid = c.relation AND NOT k.convalidated AND clip.number_of(c.relation, c.embedding_column) = ANY (k.conkey) LOOP
			EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', c.relation, next);
		END LOOP;
		PERFORM clip.note('change: end', c.relation, c.embedding_column, '');
		RETURN false;
	END CASE;
	IF next IS NOT NULL THEN
		PERFORM clip.note('change: stage', c.relation, c.embedding_column, next, c.skip_missing::text, waits::text);
	END IF;
	RETURN true;
END $$;
COMMENT ON FUNCTION clip.change_step(regclass, name, integer) IS 'internal: one step of clip_change_model';

CREATE PROCEDURE clip_change_model(relation regclass, model text, embedding_column name DEFAULT NULL,
		skip_missing boolean DEFAULT false, batch_size integer DEFAULT 64)
	LANGUAGE plpgsql AS $$
BEGIN
	embedding_column := clip.change_begin(relation, model, embedding_column, skip_missing, batch_size);
	COMMIT;
	WHILE clip.change_step(relation, embedding_column, batch_size) LOOP
		COMMIT;
	END LOOP;
	COMMIT;
END $$;
COMMENT ON PROCEDURE clip_change_model(regclass, text, name, boolean, integer) IS 'embeds a table anew with another model while it is used, and switches at the end; called again it goes on where it was';

CREATE FUNCTION clip_abort_model_change(relation regclass, embedding_column name DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c clip.model_changes;
	t clip.tables := clip.attached(relation, embedding_column);
BEGIN
	SELECT * INTO c FROM clip.model_changes m WHERE m.relation = t.relation AND m.embedding_column = t.embedding_column;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the model of relation "%" is not being changed', clip.name_of(relation) USING ERRCODE = 'undefined_object';
	ELSIF c.stage = 'validating' THEN
		RAISE EXCEPTION 'relation "%" has switched to model "%" already', clip.name_of(relation), c.model
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call clip_change_model again to end the change.';
	END IF;
	PERFORM pg_advisory_xact_lock('clip.backfills'::regclass::oid::integer, relation::oid::integer);  -- ends a running call
	-- an index build would hold the table until it ends
	PERFORM pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2
		AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
		AND l.classid = 'clip.model_changes'::regclass AND l.objid = c.relation;
	WHILE NOT clip.lock_briefly(c.relation) LOOP
	END LOOP;
	IF EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.relation AND k.conname = 'clip_change_not_null') THEN
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT clip_change_not_null', c.relation);
	END IF;
	PERFORM clip.drop_change_trigger(c.relation, c.new_column);
	PERFORM clip.note('change: end', c.relation, c.embedding_column, '');
	PERFORM clip.unregister(c.relation, c.new_column);
	IF clip.number_of(c.relation, c.new_column) IS NOT NULL AND c.stage <> 'preparing' THEN
		EXECUTE format('ALTER TABLE %s DROP COLUMN %I', c.relation, c.new_column);
	END IF;
END $$;
COMMENT ON FUNCTION clip_abort_model_change(regclass, name) IS 'ends a change of model and drops its new column; the table stays with its model';
-- Progress ------------------------------------------------------------------------------------------------------------

CREATE VIEW clip_progress AS
	SELECT t.relation, coalesce(c.embedding_column, t.embedding_column) AS embedding_column, t.model,
		CASE WHEN t.pending THEN 'model change' ELSE 'backfill' END AS command, coalesce(c.stage, 'embedding') AS phase,
		clip.backfill_runs(t.relation) AS running,
		b.rows_total, b.rows_done, b.rows_failed, b.started_at, b.updated_at, s.rate AS rows_per_second,
		CASE WHEN s.rate > 0 THEN b.updated_at + pg_catalog.make_interval(secs =>
			greatest(b.rows_total - b.rows_done - b.rows_failed, 0) / s.rate) END AS estimated_end
	FROM clip.tables t JOIN clip.backfills b USING (relation, embedding_column)
	LEFT JOIN clip.model_changes c ON t.pending AND c.relation = t.relation AND c.new_column = t.embedding_column
	CROSS JOIN LATERAL (SELECT (b.rows_done - b.rows_resumed)
		/ nullif(extract(epoch FROM b.updated_at - b.resumed_at), 0)::double precision AS rate) s
	WHERE b.finished_at IS NULL OR t.pending;
COMMENT ON VIEW clip_progress IS 'backfills and changes of model that are running or were interrupted';
GRANT SELECT ON clip_progress TO PUBLIC;

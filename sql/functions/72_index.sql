-- Indexes -------------------------------------------------------------------------------------------------------------
-- In every CLIP the vectors of texts and those of images lie in two cones of the space. So what an index of all rows finds first is of
-- the query's own modality, and a filter on the other one leaves nothing of it. Each modality has an index of its own therefore. One of
-- all rows is for models of one cone, and for who asks for it.
--
-- An index is known by its part: n for the rows of the nth modality, 0 for all rows.

CREATE OR REPLACE FUNCTION clip.modalities() RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT e.enumlabel::text FROM pg_enum e
	WHERE e.enumtypid = to_regtype(format('%I.clip_modality', clip.schema_of('pg_clip'))) ORDER BY e.enumsortorder
$$;
COMMENT ON FUNCTION clip.modalities() IS 'internal: what rows may be embedded from, in the order of the type clip_modality';

CREATE OR REPLACE FUNCTION clip.hnsw_limit(type text) RETURNS integer LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE type WHEN 'halfvec' THEN 4000 ELSE 2000 END
$$;
COMMENT ON FUNCTION clip.hnsw_limit(text) IS 'internal: dimensions that an HNSW index on a type holds at most';

-- The parts that a table needs. Where all of its vectors are of one modality, or no column tells of which, one index is all.
CREATE OR REPLACE FUNCTION clip.index_parts(t clip.tables, modality text, combined boolean) RETURNS SETOF integer LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	named integer;
BEGIN
	IF modality IS NOT NULL THEN
		SELECT n INTO named FROM clip.modalities() WITH ORDINALITY m (name, n) WHERE m.name = modality;
		IF named IS NULL THEN
			RAISE EXCEPTION 'modality "%" is unknown: expected %', modality, (SELECT string_agg(m, ' or ') FROM clip.modalities() m)
				USING ERRCODE = 'invalid_parameter_value';
		ELSIF t.modality_column IS NULL THEN
			RAISE EXCEPTION 'relation "%" has no modality column to make an index by', clip.name_of(t.relation) USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Leave the modality out: one index serves all rows.';
		END IF;
		RETURN NEXT named;
	ELSIF t.modality_column IS NULL OR t.text_column IS NULL OR t.image_column IS NULL THEN
		combined := true;
	ELSE
		RETURN QUERY SELECT n::integer FROM clip.modalities() WITH ORDINALITY m (name, n);
		combined := coalesce(combined, clip.has_one_cone(t.model));
	END IF;
	IF combined THEN
		RETURN NEXT 0;
	END IF;
END $$;
COMMENT ON FUNCTION clip.index_parts(clip.tables, text, boolean) IS 'internal: the indexes that a table needs';

CREATE OR REPLACE FUNCTION clip.index_key(t clip.tables, type text) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format(CASE type WHEN clip.embedding_type(t.relation, t.embedding_column) THEN '%1$I %2$I.%3$s_cosine_ops'
		ELSE '(%1$I::%2$I.%3$s(%4$s)) %2$I.%3$s_cosine_ops' END, t.embedding_column, clip.schema_of('vector'), type, t.dimensions)
$$;
COMMENT ON FUNCTION clip.index_key(clip.tables, text) IS 'internal: the column, or its values cast to another type, with the operator class';

CREATE OR REPLACE FUNCTION clip.index_predicate(t clip.tables, part integer) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('%I OPERATOR(pg_catalog.=) %L', t.modality_column, m.name) FROM clip.modalities() WITH ORDINALITY m (name, n) WHERE m.n = part
$$;
COMMENT ON FUNCTION clip.index_predicate(clip.tables, integer) IS 'internal: the rows of a part; NULL for all';

-- Compared as PostgreSQL writes them, without blanks and parentheses.
CREATE OR REPLACE FUNCTION clip.index_like(t clip.tables, part integer, type text, OUT index regclass, OUT valid boolean) LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT i.indexrelid::regclass, i.indisvalid
	FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam JOIN pg_opclass o ON o.oid = i.indclass[0]
	WHERE i.indrelid = t.relation AND a.amname = 'hnsw' AND o.opcname = type || '_cosine_ops'
		AND CASE type WHEN clip.embedding_type(t.relation, t.embedding_column) THEN i.indkey[0] = clip.number_of(t.relation, t.embedding_column)
			ELSE translate(pg_get_expr(i.indexprs, i.indrelid), '() ', '') = translate(format('%I::%s(%s)', t.embedding_column,
				format_type(to_regtype(format('%I.%I', clip.schema_of('vector'), type)), NULL), t.dimensions), '() ', '') END
		AND CASE part WHEN 0 THEN i.indpred IS NULL ELSE EXISTS (
			SELECT FROM pg_attribute k JOIN pg_type y ON y.oid = k.atttypid
			CROSS JOIN LATERAL (SELECT replace(format_type(coalesce(nullif(y.typbasetype, 0), y.oid), NULL), 'character varying', 'text')) b (name)
			JOIN clip.modalities() WITH ORDINALITY m (name, n) ON m.n = part
			WHERE k.attrelid = t.relation AND k.attname = t.modality_column AND translate(pg_get_expr(i.indpred, i.indrelid), '() ', '')
				IN (format('%I=%L::%s', k.attname, m.name, b.name), format('%I::%s=%L::%s', k.attname, b.name, m.name, b.name))) END
	ORDER BY i.indisvalid DESC LIMIT 1
$$;
COMMENT ON FUNCTION clip.index_like(clip.tables, integer, text) IS 'internal: an index of the same rows by the same key, whatever its name and parameters';

-- As PostgreSQL names indexes, with the modality. A name of 63 bytes at most is cut between characters.
CREATE OR REPLACE FUNCTION clip.index_name(t clip.tables, part integer, type text) RETURNS name LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	label text := (SELECT '_' || m.name FROM clip.modalities() WITH ORDINALITY m (name, n) WHERE m.n = part);
	cast_to text := CASE WHEN type <> clip.embedding_type(t.relation, t.embedding_column) THEN '_' || type END;
	stem text;
	tail text;
BEGIN
	FOR number IN 0 .. 1000 LOOP
		stem := clip.name_of(t.relation) || '_' || t.embedding_column;
		tail := concat(label, cast_to, '_idx', nullif(number, 0));
		WHILE octet_length(stem || tail) > 63 LOOP
			stem := left(stem, -1);
		END LOOP;
		EXIT WHEN NOT EXISTS (SELECT FROM pg_class i JOIN pg_class c ON c.oid = t.relation AND c.relnamespace = i.relnamespace
			WHERE i.relname = (stem || tail)::name);
	END LOOP;
	RETURN (stem || tail)::name;
END $$;
COMMENT ON FUNCTION clip.index_name(clip.tables, integer, text) IS 'internal: a name that no relation of the schema has';

CREATE OR REPLACE FUNCTION clip.create_index_sql(t clip.tables, part integer, type text, m integer, ef_construction integer, online boolean)
	RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('CREATE INDEX %s%I ON %s USING hnsw (%s)', CASE WHEN online THEN 'CONCURRENTLY ' END, clip.index_name(t, part, type),
			t.relation, clip.index_key(t, type))
		|| coalesce(' WITH (' || nullif(concat_ws(', ', 'm = ' || m, 'ef_construction = ' || ef_construction), '') || ')', '')
		|| coalesce(' WHERE ' || clip.index_predicate(t, part), '')
$$;
COMMENT ON FUNCTION clip.create_index_sql(clip.tables, integer, text, integer, integer, boolean) IS 'internal: builds the index of a part';

-- What an index's values are: the column's own, or halfvec where that is asked for.
CREATE OR REPLACE FUNCTION clip.index_type(t clip.tables, type text) RETURNS text LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	own text := clip.embedding_type(t.relation, t.embedding_column);
	chosen text := coalesce(type, own);
BEGIN
	IF t.pending OR EXISTS (SELECT FROM clip.model_changes c WHERE c.relation = t.relation) THEN
		RAISE EXCEPTION 'the model of relation "%" is being changed', clip.name_of(t.relation) USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'Create the index when that has ended.';
	ELSIF chosen NOT IN ('vector', 'halfvec') THEN
		RAISE EXCEPTION 'type "%" is unknown: expected vector or halfvec', type USING ERRCODE = 'invalid_parameter_value';
	ELSIF own = 'halfvec' AND chosen <> own THEN
		RAISE EXCEPTION 'column "%" is of type halfvec, and so is its index', t.embedding_column USING ERRCODE = 'invalid_parameter_value';
	ELSIF t.dimensions > clip.hnsw_limit(chosen) THEN
		RAISE EXCEPTION 'an HNSW index on % holds % dimensions at most, model "%" makes %', chosen, clip.hnsw_limit(chosen), t.model, t.dimensions
			USING ERRCODE = 'program_limit_exceeded', HINT = CASE chosen WHEN 'vector' THEN 'Pass type => ''halfvec''.' END;
	ELSIF chosen = own AND EXISTS (SELECT FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
			WHERE a.attrelid = t.relation AND a.attname = t.embedding_column AND greatest(a.atttypmod, y.typtypmod) < 0) THEN
		RAISE EXCEPTION 'column "%" has no dimensions, which its index needs', t.embedding_column USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = format('Give it some: ALTER TABLE %s ALTER COLUMN %I TYPE %s(%s).', t.relation, t.embedding_column, own, t.dimensions);
	END IF;
	RETURN chosen;
END $$;
COMMENT ON FUNCTION clip.index_type(clip.tables, text) IS 'internal: the type of an index''s values, or why there can be none';

-- In the transaction of the caller.
CREATE OR REPLACE FUNCTION clip.create_indexes(relation regclass, embedding_column name, modality text, combined boolean, type text,
		m integer, ef_construction integer) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	chosen text := clip.index_type(t, type);
	part integer;
	there record;
BEGIN
	FOR part IN SELECT clip.index_parts(t, modality, combined) LOOP
		SELECT * INTO there FROM clip.index_like(t, part, chosen);
		IF there.valid THEN
			RAISE NOTICE 'index "%" is there already', clip.name_of(there.index);
			CONTINUE;
		ELSIF there.index IS NOT NULL THEN  -- what a build left that was ended
			EXECUTE format('DROP INDEX %s', there.index);
		END IF;
		EXECUTE clip.create_index_sql(t, part, chosen, m, ef_construction, false);
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.create_indexes(regclass, name, text, boolean, text, integer, integer) IS 'internal: behind clip_create_index and clip_create_table';

-- CONCURRENTLY, by a background worker: the first step, NULL where every index is there; a step for each index; the worker's
-- first and, if it fails, last words.
CREATE OR REPLACE FUNCTION clip.index_begin(relation regclass, embedding_column name, modality text, combined boolean, type text) RETURNS name
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	chosen text := clip.index_type(t, type);
	part integer;
	there record;
	missing boolean := false;
BEGIN
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND (c.relkind = 'p' OR c.relpersistence = 't')) THEN
		RAISE EXCEPTION 'an index of relation "%" cannot be built concurrently', clip.name_of(relation) USING ERRCODE = 'feature_not_supported',
			DETAIL = 'It is partitioned, or temporary.', HINT = 'Pass concurrently => false.';
	END IF;
	FOR part IN SELECT clip.index_parts(t, modality, combined) LOOP
		SELECT * INTO there FROM clip.index_like(t, part, chosen);
		IF there.valid THEN
			RAISE NOTICE 'index "%" is there already', clip.name_of(there.index);
		ELSE
			missing := true;
		END IF;
	END LOOP;
	IF missing THEN
		PERFORM clip.check_owner_connects(relation, 'until the index is built, or pass concurrently => false.');
		PERFORM clip.note('index: begin', t.relation, t.embedding_column, '');
		RETURN t.embedding_column;
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION clip.index_begin(regclass, name, text, boolean, text) IS 'internal: first step of clip_create_index';

-- The part that is to be built, -1 where the next step is to look again, NULL where all are there.
CREATE OR REPLACE FUNCTION clip.index_next(relation regclass, embedding_column name, modality text, combined boolean, type text) RETURNS integer
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	chosen text := clip.index_type(t, type);
	part integer;
	there record;
	failure text;
BEGIN
	IF clip.is_locked('clip.model_changes', relation) THEN  -- a build of an earlier call
		PERFORM pg_sleep(0.1);
		RETURN -1;
	END IF;
	FOR part IN SELECT clip.index_parts(t, modality, combined) LOOP
		SELECT * INTO there FROM clip.index_like(t, part, chosen);
		CONTINUE WHEN there.valid;
		IF there.index IS NOT NULL THEN  -- what a worker left that was ended
			IF clip.lock_briefly(relation) THEN
				EXECUTE format('DROP INDEX %s', there.index);
			END IF;
			RETURN -1;
		END IF;
		SELECT f.message INTO failure FROM clip.index_failures f WHERE f.relation = t.relation AND f.old_index = part;
		IF FOUND THEN
			RAISE EXCEPTION 'the index of relation "%" could not be built: %', clip.name_of(relation), failure
				USING ERRCODE = 'object_not_in_prerequisite_state';
		END IF;
		-- stays if the worker cannot say it better
		PERFORM clip.note('change: index failure', t.relation, t.embedding_column, part::text, 'its background worker ended early, see the server''s log');
		RETURN part;
	END LOOP;
	PERFORM clip.note('index: begin', t.relation, t.embedding_column, '');
	RETURN NULL;
END $$;
COMMENT ON FUNCTION clip.index_next(regclass, name, text, boolean, text) IS 'internal: the next index of clip_create_index';

CREATE OR REPLACE FUNCTION clip.begin_new_index(relation regclass, embedding_column name, part integer, type text, m integer, ef_construction integer)
	RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
BEGIN
	RETURN clip.create_index_sql(t, part, clip.index_type(t, type), m, ef_construction, true);
END $$;
COMMENT ON FUNCTION clip.begin_new_index(regclass, name, integer, text, integer, integer) IS 'internal: called by the background worker';

CREATE OR REPLACE FUNCTION clip.new_index_failed(relation regclass, embedding_column name, part integer, type text, message text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	there record;
BEGIN
	PERFORM clip.note('change: index failure', t.relation, t.embedding_column, part::text, message);
	-- Where the table stays locked, the next call does it.
	FOR attempt IN 1 .. 20 LOOP
		SELECT * INTO there FROM clip.index_like(t, part, coalesce(type, clip.embedding_type(relation, embedding_column)));
		EXIT WHEN coalesce(there.valid, true);
		IF clip.lock_briefly(relation) THEN
			EXECUTE format('DROP INDEX %s', there.index);
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.new_index_failed(regclass, name, integer, text, text) IS 'internal: called by the background worker';

CREATE OR REPLACE PROCEDURE @extschema@.clip_create_index(relation regclass, embedding_column name DEFAULT NULL, modality text DEFAULT NULL,
		combined boolean DEFAULT NULL, type text DEFAULT NULL, m integer DEFAULT NULL, ef_construction integer DEFAULT NULL,
		concurrently boolean DEFAULT true)
	AS 'MODULE_PATHNAME', 'clip_create_index_wrapper' LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.clip_create_index(regclass, name, text, boolean, text, integer, integer, boolean) IS 'builds the HNSW indexes of an embedding column that are not there yet: one of each modality, or one of all rows';

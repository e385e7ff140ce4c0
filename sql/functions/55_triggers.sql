-- Triggers ------------------------------------------------------------------------------------------------------------
-- What a trigger has to know stands in its arguments, which are a file format: pg_dump keeps them. They are written here and
-- read in src/attachment/trigger_spec.rs. The last one is a JSON object with a version; those before it are for the library of
-- 0.1.0, which a session may still run that began before an update.

CREATE OR REPLACE FUNCTION clip.number_of(relation regclass, col name) RETURNS smallint LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT attnum FROM pg_attribute WHERE attrelid = relation AND attname = col AND attnum > 0 AND NOT attisdropped
$$;
COMMENT ON FUNCTION clip.number_of(regclass, name) IS 'internal: a column''s number';

CREATE OR REPLACE FUNCTION clip.trigger_arguments(t clip.tables) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('%L, %L, %L, %L, %L, %L, %L, %L', t.embedding_column, coalesce(t.text_column, ''), coalesce(t.image_column, ''),
		coalesce(t.modality_column, ''), CASE images WHEN 'keep' THEN 'true' WHEN 'clear' THEN 'false' ELSE 'next' END, t.model, t.fingerprint,
		jsonb_build_object('v', 1, 'embedding', t.embedding_column, 'modality', t.modality_column,
			'sources', jsonb_strip_nulls(jsonb_build_object('text', t.text_column, 'image', t.image_column)), 'images', images,
			'model', t.model, 'fingerprint', t.fingerprint, 'async', t.mode = 'async' AND NOT t.pending))
	-- a change of model embeds an image before the old column's trigger clears it
	FROM (SELECT CASE WHEN t.keep_images THEN 'keep' WHEN t.pending THEN 'cleared_next' ELSE 'clear' END AS images) i
$$;
COMMENT ON FUNCTION clip.trigger_arguments(clip.tables) IS 'internal: the arguments of an embedding trigger';

-- Found by what they do and not by their names, which a user may change. Those that a partition has from its parent go with that.
CREATE OR REPLACE FUNCTION clip.triggers_of(relation regclass, embedding_column name) RETURNS SETOF pg_trigger LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT g FROM pg_trigger g
	WHERE g.tgrelid = relation AND NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgnargs > 0
		AND g.tgfoid IN ('clip.enqueue_trigger'::regproc, 'clip.forget_trigger'::regproc, to_regproc(format('%I.clip_embed_trigger', clip.schema_of('pg_clip'))))
		AND convert_from(substring(g.tgargs FROM 1 FOR position('\x00'::bytea IN g.tgargs) - 1), getdatabaseencoding()) = embedding_column
$$;
COMMENT ON FUNCTION clip.triggers_of(regclass, name) IS 'internal: what embeds into a column';

CREATE OR REPLACE FUNCTION clip.drop_triggers(relation regclass, embedding_column name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found name;
BEGIN
	FOR found IN SELECT g.tgname FROM clip.triggers_of(relation, embedding_column) g LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', found, relation);
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.drop_triggers(regclass, name) IS 'internal: takes away what embeds into a column';

-- Makes the triggers of a mode anew, enabled as they were; old_column: the name of the embedding column that they have now.
--
-- sync: one trigger embeds each row before it is written.
-- async: one trigger clears the vector of a row whose source changes, so that a vector never stands beside a source that
-- it was not made of; another puts the keys of rows that lack a vector into clip.queue.
-- both: two more forget failures of rows that are deleted.
-- by_column: they are fired for the columns of fired_columns alone, where these are all that matter.
CREATE OR REPLACE FUNCTION clip.create_triggers(t clip.tables, old_column name, by_column boolean DEFAULT true) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	number text := clip.number_of(t.relation, t.embedding_column);
	embeds name;
	enqueues name;
	forgets name;
	is_async boolean := t.mode = 'async' AND NOT t.pending;
	before text := '';
	after text := '';
	enabled "char" := (SELECT min(g.tgenabled) FROM clip.triggers_of(t.relation, old_column) g);
BEGIN
	PERFORM clip.drop_triggers(t.relation, old_column);
	IF by_column THEN  -- under the lock that this took: until then another trigger may come
		before := clip.update_of(clip.fired_columns(t, false));
		after := clip.update_of(clip.fired_columns(t, true));
	END IF;
	-- A partition gets its parent's triggers under their names, which must not be those of its own.
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation AND c.relkind = 'p') THEN
		number := 'p' || number;
	END IF;
	embeds := clip.free_name(t.relation, format('zz_clip_%s_%s', CASE WHEN t.pending THEN 'change' ELSE 'embed' END, number));
	enqueues := clip.free_name(t.relation, format('zz_clip_enqueue_%s', number));
	forgets := clip.free_name(t.relation, format('zz_clip_forget_%s', number));
	EXECUTE format('CREATE TRIGGER %I BEFORE %s %s ON %s FOR EACH ROW EXECUTE FUNCTION %I.clip_embed_trigger(%s)', embeds,
		CASE WHEN is_async THEN 'UPDATE' ELSE 'INSERT OR UPDATE' END, before, t.relation, clip.schema_of('pg_clip'), clip.trigger_arguments(t));
	IF is_async THEN
		EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE %s ON %s FOR EACH ROW EXECUTE FUNCTION clip.enqueue_trigger(%L, %L, %L, %L)',
			enqueues, after, t.relation, t.embedding_column, coalesce(t.text_column, ''), coalesce(t.image_column, ''), coalesce(t.modality_column, ''));
	END IF;
	EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION clip.forget_trigger(%L)', forgets, t.relation, t.embedding_column);
	EXECUTE format('CREATE TRIGGER %I AFTER TRUNCATE ON %s EXECUTE FUNCTION clip.forget_trigger(%L)',
		clip.free_name(t.relation, format('zz_clip_truncate_%s', number)), t.relation, t.embedding_column);
	IF enabled <> 'O' THEN
		FOR embeds IN SELECT g.tgname FROM clip.triggers_of(t.relation, t.embedding_column) g LOOP
			EXECUTE format('ALTER TABLE %s %s TRIGGER %I', t.relation,
				CASE enabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, embeds);
		END LOOP;
	END IF;
	PERFORM clip.fire_last(t.relation);
END $$;
COMMENT ON FUNCTION clip.create_triggers(clip.tables, name, boolean) IS 'internal: makes the triggers of a mode';

-- BEFORE, FOR EACH ROW; event: 4 INSERT, 16 UPDATE, or both
CREATE OR REPLACE FUNCTION clip.last_other_trigger(relation regclass, event integer) RETURNS text LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT max(g.tgname::text COLLATE "C") FROM pg_trigger g
	WHERE g.tgrelid IN (SELECT clip.parts_of(relation))
		AND g.tgtype & 3 = 3 AND g.tgtype & event <> 0 AND g.tgfoid <> to_regproc(format('%I.clip_embed_trigger', clip.schema_of('pg_clip')))
$$;
COMMENT ON FUNCTION clip.last_other_trigger(regclass, integer) IS 'internal: the last of the triggers that change a row before it is written, but for pg_clip''s';

-- A statement names the columns that it changes, unless another trigger changes more: then NULL. Without one a row's vector is of its
-- sources, and what it waits and fails under is its key, which on a partition may be one of its own. The queue is also told of vectors
-- that come and go.
--
-- What is not fired costs nothing. PostgreSQL locks each row for a trigger before an UPDATE, and reads it twice more for one after it.
CREATE OR REPLACE FUNCTION clip.fired_columns(t clip.tables, of_queue boolean) RETURNS name[] LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT array_agg(DISTINCT c ORDER BY c) FROM (
		SELECT unnest(ARRAY[t.text_column, t.image_column, t.modality_column, CASE WHEN of_queue THEN t.embedding_column END])
		UNION ALL
		SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indisprimary AND i.indrelid IN (SELECT clip.parts_of(t.relation))
	) columns (c) WHERE c IS NOT NULL AND clip.last_other_trigger(t.relation, 16) IS NULL
$$;
COMMENT ON FUNCTION clip.fired_columns(clip.tables, boolean) IS 'internal: columns whose UPDATE fires a trigger, NULL where it is that of any';

CREATE OR REPLACE FUNCTION clip.update_of(columns name[]) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce('OF ' || string_agg(quote_ident(c), ', '), '') FROM unnest(columns) c
$$;
COMMENT ON FUNCTION clip.update_of(name[]) IS 'internal: the columns of a trigger, as CREATE TRIGGER wants them';

CREATE OR REPLACE FUNCTION clip.free_name(relation regclass, wanted text) RETURNS name LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	free text := wanted;
BEGIN
	FOR n IN 2 .. 1000 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = relation AND g.tgname = free::name);
		free := wanted || '_' || n;
	END LOOP;
	RETURN free;
END $$;
COMMENT ON FUNCTION clip.free_name(regclass, text) IS 'internal: a trigger''s name that no other of the table has';

-- PostgreSQL fires triggers by their names. What another one makes of a row has to be there before the row is embedded, so ours
-- have the last names: where a user's comes after them, they take longer ones.
CREATE OR REPLACE FUNCTION clip.fire_last(relation regclass) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	ours CONSTANT oid := to_regproc(format('%I.clip_embed_trigger', clip.schema_of('pg_clip')));
	others text := clip.last_other_trigger(relation, 20);
	late record;
	later text;
BEGIN
	FOR late IN SELECT g.tgname::text AS name, clip.number_of(t.relation, t.embedding_column) AS number, t.pending
		FROM clip.tables t CROSS JOIN LATERAL clip.triggers_of(t.relation, t.embedding_column) g
		WHERE t.relation = fire_last.relation AND g.tgfoid = ours AND g.tgname::text COLLATE "C" < others
	LOOP
		later := others || format('~clip_%s_%s', CASE WHEN late.pending THEN 'change' ELSE 'embed' END, late.number);
		IF octet_length(later) > 63 THEN
			RAISE WARNING 'trigger "%" of relation "%" fires after those of pg_clip, which do not see what it changes', others, clip.name_of(relation)
				USING HINT = 'Give it a shorter name, or one that comes before "zz_clip".';
		ELSE
			EXECUTE format('ALTER TRIGGER %I ON %s RENAME TO %I', late.name, relation, clip.free_name(relation, later));
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION clip.fire_last(regclass) IS 'internal: has embedding triggers fire after all others';

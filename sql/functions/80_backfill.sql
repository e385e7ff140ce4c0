-- Backfilling ---------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW @extschema@.clip_backfill_errors WITH (security_barrier) AS
	SELECT e.relation, e.embedding_column, e.key, e.sqlstate, e.message, e.failed_at, e.part, e.place
	FROM clip.backfill_errors e JOIN pg_class c ON c.oid = e.relation
	WHERE pg_has_role(c.relowner, 'USAGE');
COMMENT ON VIEW @extschema@.clip_backfill_errors IS 'rows of your tables that the last clip_backfill could not embed, by primary key, with the reason';

CREATE OR REPLACE FUNCTION clip.note(entry text, relation regclass, embedding_column name, VARIADIC details text[]) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_note_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.note(text, regclass, name, text[]) IS 'internal: writes the state of backfills and model changes for the owner of a relation';

-- The expressions that give a row's image and text where they are what its vector is made of, as in the trigger.
CREATE OR REPLACE FUNCTION clip.source_sql(attached clip.tables, OUT image text, OUT words text) LANGUAGE plpgsql STABLE
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
CREATE OR REPLACE FUNCTION clip.attached(relation regclass, embedding_column name) RETURNS clip.tables LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found clip.tables[] := ARRAY(SELECT t FROM clip.tables t WHERE t.relation = attached.relation
		AND CASE WHEN attached.embedding_column IS NULL THEN NOT t.pending ELSE t.embedding_column = attached.embedding_column END);
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'the relation must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM clip.check_is_owner(relation);
	IF cardinality(found) > 1 THEN
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
CREATE OR REPLACE FUNCTION clip.next_part(relation regclass, after oid) RETURNS regclass LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT c.oid::regclass FROM pg_class c
	WHERE (c.oid = relation OR c.oid IN (SELECT relid FROM pg_partition_tree(relation))) AND c.relkind = 'r' AND c.oid > after
	ORDER BY c.oid LIMIT 1
$$;
COMMENT ON FUNCTION clip.next_part(regclass, oid) IS 'internal: the parts of a table that a backfill walks';

-- The owner's own policies do not hide rows from what runs in his name; a partition may be another's.
CREATE OR REPLACE FUNCTION clip.check_every_row_is_seen(part regclass) RETURNS void LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF row_security_active(part) THEN
		RAISE EXCEPTION 'row-level security hides rows of relation "%" from the owner of the table', clip.name_of(part)
			USING ERRCODE = 'insufficient_privilege', HINT = 'Give the partition to the owner of the table, or give that role BYPASSRLS.';
	END IF;
END $$;
COMMENT ON FUNCTION clip.check_every_row_is_seen(regclass) IS 'internal: an error instead of rows that are left out';

CREATE OR REPLACE FUNCTION clip.backfill_begin(relation regclass, embedding_column name, batch_size integer) RETURNS name
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
	PERFORM clip.check_every_row_is_seen(t.relation);
	EXECUTE format('SELECT count(*) FROM %s r WHERE r.%I IS NULL AND ((%s) IS NOT NULL OR (%s) IS NOT NULL)',
		t.relation, t.embedding_column, source.image, source.words) INTO total;
	PERFORM clip.note('backfill: forget errors', t.relation, t.embedding_column, '');
	PERFORM clip.note('backfill: begin', t.relation, t.embedding_column,
		total::text, coalesce(clip.next_part(t.relation, 0), t.relation)::oid::text, '(0,0)');
	RETURN t.embedding_column;
END $$;
COMMENT ON FUNCTION clip.backfill_begin(regclass, name, integer) IS 'internal: first step of clip_backfill';

-- Locks of pg_clip's own, which nothing but its functions takes: a lock that SQL can take decides nothing. A table has two, for
-- who backfills it or changes its model, and for who builds an index for that.
CREATE OR REPLACE FUNCTION clip.try_lock(relation regclass) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clip_try_lock_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.try_lock(regclass) IS 'internal: the lock of who backfills a table or changes its model, for its owner, to the end of the transaction; false where another session has it';

CREATE OR REPLACE FUNCTION clip.is_locked(what regclass, relation regclass) RETURNS boolean LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'object' AND l.granted AND l.pid <> pg_backend_pid()
		AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
		AND l.classid = what AND l.objid = is_locked.relation)
$$;
COMMENT ON FUNCTION clip.is_locked(regclass, regclass) IS 'internal: has another session a lock of pg_clip on a table?';

-- A call lets go of its lock between two steps, so that it can be aborted there; a single look could fall into that gap.
CREATE OR REPLACE FUNCTION clip.backfill_runs(relation regclass) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	FOR look IN 1 .. 10 LOOP
		IF clip.is_locked('clip.backfills', relation) THEN
			RETURN true;
		END IF;
		PERFORM pg_sleep(0.005);
	END LOOP;
	RETURN false;
END $$;
COMMENT ON FUNCTION clip.backfill_runs(regclass) IS 'internal: does another session backfill or change a table?';

-- Held by each step to its end. Two calls would not harm each other, but do each other's work twice; so one that begins
-- makes sure that no other is at work, which would be the one to fail in its next step.
CREATE OR REPLACE FUNCTION clip.backfill_lock(relation regclass, begins boolean DEFAULT false) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	taken boolean := begins AND clip.backfill_runs(relation);
BEGIN
	IF taken OR NOT clip.try_lock(relation) THEN
		RAISE EXCEPTION 'another session is backfilling or changing relation "%"', clip.name_of(relation) USING ERRCODE = 'object_in_use';
	END IF;
END $$;
COMMENT ON FUNCTION clip.backfill_lock(regclass, boolean) IS 'internal: one backfill of a table at a time';

-- Where the walk is. The table may be dropped or detached between two batches, and also while one begins.
CREATE OR REPLACE FUNCTION clip.backfill_of(relation regclass, embedding_column name) RETURNS clip.backfills LANGUAGE plpgsql
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
CREATE OR REPLACE FUNCTION clip.backfill_step(relation regclass, embedding_column name, batch_size integer) RETURNS boolean
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
		PERFORM clip.check_every_row_is_seen(b.part);
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

CREATE OR REPLACE FUNCTION clip.key_of(part regclass, place tid) RETURNS jsonb LANGUAGE plpgsql STABLE
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

CREATE OR REPLACE FUNCTION clip.backfill_end(relation regclass, embedding_column name) RETURNS void LANGUAGE plpgsql
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

CREATE OR REPLACE PROCEDURE @extschema@.clip_backfill(relation regclass, embedding_column name DEFAULT NULL, batch_size integer DEFAULT 64)
	AS 'MODULE_PATHNAME', 'clip_backfill_wrapper' LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.clip_backfill(regclass, name, integer) IS 'embeds the rows that have a source and no vector yet, a transaction for each batch; called again it goes on where it was';

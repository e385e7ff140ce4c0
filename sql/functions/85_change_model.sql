-- Changing the model --------------------------------------------------------------------------------------------------
-- A second column beside the old one, embedded by a trigger of its own, backfilled, indexed, and put in the old one's
-- place under one short lock. State is committed with every step, so that the next call goes on where one ended.

CREATE OR REPLACE TRIGGER restored BEFORE INSERT ON clip.model_changes FOR EACH ROW EXECUTE FUNCTION clip.check_restored();

CREATE OR REPLACE FUNCTION clip.indexes_of(relation regclass, col name) RETURNS SETOF regclass LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT DISTINCT i.indexrelid::regclass FROM pg_depend d JOIN pg_index i ON i.indexrelid = d.objid AND i.indrelid = relation
	WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = relation
		AND d.refobjsubid = clip.number_of(relation, col) AND i.indisvalid
$$;
COMMENT ON FUNCTION clip.indexes_of(regclass, name) IS 'internal: the indexes that a column is part of';

CREATE OR REPLACE FUNCTION clip.successor_of(old_index regclass) RETURNS name LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT (left(relname::text, 40) || '_' || oid || '_next')::name FROM pg_class WHERE oid = old_index
$$;
COMMENT ON FUNCTION clip.successor_of(regclass) IS 'internal: name of the index that will take another''s place';

-- The old index's definition with the new column in it, and its dimensions where a cast names them.
CREATE OR REPLACE FUNCTION clip.index_sql(old_index regclass, c clip.model_changes) RETURNS text LANGUAGE plpgsql STABLE
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
CREATE OR REPLACE FUNCTION clip.begin_index_build(old_index regclass) RETURNS text LANGUAGE plpgsql
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
	RETURN clip.index_sql(old_index, c);
END $$;
COMMENT ON FUNCTION clip.begin_index_build(regclass) IS 'internal: called by the background worker';

CREATE OR REPLACE FUNCTION clip.index_build_failed(old_index regclass, message text) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM clip.note('change: index failure', c.relation, c.embedding_column, old_index::oid::text, message) FROM clip.model_changes c
	WHERE c.relation = (SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = old_index)
		AND old_index IN (SELECT clip.indexes_of(c.relation, c.embedding_column));
END $$;
COMMENT ON FUNCTION clip.index_build_failed(regclass, text) IS 'internal: called by the background worker';

-- What else depends on the column would go on with the old one, and compare two spaces.
CREATE OR REPLACE FUNCTION clip.check_dependents(relation regclass, col name) RETURNS void LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	dependents text;
BEGIN
	SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO dependents
	FROM pg_depend d
	WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = relation AND d.refobjsubid = clip.number_of(relation, col)
		AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = relation AND NOT i.indisunique))
		AND NOT (d.classid = 'pg_trigger'::regclass AND d.objid IN (SELECT g.oid FROM clip.triggers_of(relation, col) g))
		AND NOT (d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT k.oid FROM pg_constraint k WHERE k.contype IN ('c', 'n')));  -- checks, and since 18 NOT NULL
	IF dependents IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of relation "%" cannot change its model while other objects depend on it', col, clip.name_of(relation)
			USING ERRCODE = 'dependent_objects_still_exist', DETAIL = dependents,
			HINT = 'Drop them, and create them again after the change.';
	END IF;
END $$;
COMMENT ON FUNCTION clip.check_dependents(regclass, name) IS 'internal: refuses a change that views would not follow';

CREATE OR REPLACE FUNCTION clip.vacuum_gives_way(relation regclass) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clip_vacuum_gives_way_wrapper' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clip.vacuum_gives_way(regclass) IS 'internal: has autovacuum a lock on a table that it gives up for others, as it does unless it prevents wraparound?';

-- Waiters queue behind a waiting exclusive lock, so it waits a moment only and comes again. Autovacuum gives way to who has
-- waited for deadlock_timeout, and is back at once: there is no other way than to wait so long.
CREATE OR REPLACE FUNCTION clip.lock_briefly(relation regclass) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	patience text := '50ms';
BEGIN
	IF clip.vacuum_gives_way(relation) THEN
		patience := (1000 + 1000 * extract(epoch FROM current_setting('deadlock_timeout')::interval))::integer;
	END IF;
	PERFORM set_config('lock_timeout', patience, true);
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
	RETURN true;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
	PERFORM pg_sleep(0.1 + 0.2 * random());
	RETURN false;
END $$;
COMMENT ON FUNCTION clip.lock_briefly(regclass) IS 'internal: an exclusive lock, or false';

CREATE OR REPLACE FUNCTION clip.rows_without(relation regclass, t clip.tables, new_column name) RETURNS bigint LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	missing bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM ONLY %s r WHERE r.%I IS NOT NULL AND ', relation, t.embedding_column)
		|| CASE WHEN new_column IS NULL THEN 'NOT ' || clip.source_condition(t.relation, t.embedding_column)
			ELSE format('r.%I IS NULL', new_column) END INTO missing;
	RETURN missing;
END $$;
COMMENT ON FUNCTION clip.rows_without(regclass, clip.tables, name) IS 'internal: rows whose vectors a change of model would lose';

-- Who builds an index connects as the owner.
CREATE OR REPLACE FUNCTION clip.check_owner_connects(relation regclass, advice text) RETURNS void LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT (has_database_privilege(current_database(), 'CONNECT')
			AND (current_setting('server_version_num')::integer >= 170000 OR (SELECT r.rolcanlogin FROM pg_roles r WHERE r.rolname = current_user))) THEN
		RAISE EXCEPTION 'the owner of relation "%" cannot connect to the database, as it takes to build its indexes', clip.name_of(relation)
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('Give the role %I LOGIN and CONNECT %s', current_user, advice);
	END IF;
END $$;
COMMENT ON FUNCTION clip.check_owner_connects(regclass, text) IS 'internal: can a background worker connect as the owner of a table?';

CREATE OR REPLACE FUNCTION clip.change_begin(relation regclass, model text, embedding_column name, skip_missing boolean, batch_size integer)
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
	PERFORM clip.check_batch_size(batch_size);
	PERFORM clip.backfill_lock(relation, begins => true);
	SELECT * INTO STRICT m FROM clip.model_info(model);
	SELECT * INTO c FROM clip.model_changes s WHERE s.relation = t.relation AND s.embedding_column = t.embedding_column;
	IF FOUND AND c.fingerprint = m.fingerprint THEN
		PERFORM clip.note('change: stage', t.relation, t.embedding_column, c.stage, (skip_missing OR c.skip_missing)::text, c.waits_for::text);
		IF c.stage = 'embedding' THEN
			PERFORM clip.note('backfill: again', t.relation, c.new_column, '');
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
	ELSIF m.dimensions > clip.hnsw_limit(clip.embedding_type(relation, t.embedding_column)) AND EXISTS (SELECT FROM clip.indexes_of(relation, t.embedding_column) x JOIN pg_index i ON i.indexrelid = x
			JOIN pg_class k ON k.oid = x JOIN pg_am a ON a.oid = k.relam
			WHERE a.amname IN ('hnsw', 'ivfflat') AND clip.number_of(relation, t.embedding_column) = ANY (i.indkey)) THEN
		RAISE EXCEPTION 'an index on % holds % dimensions at most, model "%" makes %', clip.embedding_type(relation, t.embedding_column),
			clip.hnsw_limit(clip.embedding_type(relation, t.embedding_column)), m.name, m.dimensions USING ERRCODE = 'program_limit_exceeded', HINT = 'Drop the index, and create one on the column cast to halfvec after the change.';
	END IF;
	IF EXISTS (SELECT FROM clip.indexes_of(relation, t.embedding_column)) THEN
		PERFORM clip.check_owner_connects(relation, 'until the change is done, or drop the indexes and create them again after it.');
	END IF;
	PERFORM clip.check_dependents(relation, t.embedding_column);
	PERFORM clip.check_every_row_is_seen(relation);
	missing := clip.rows_without(relation, t, NULL);
	IF missing > 0 AND NOT skip_missing THEN
		RAISE EXCEPTION 'relation "%" has % that cannot be embedded anew: what the vectors were made of is not there', clip.name_of(relation),
			CASE missing WHEN 1 THEN '1 row' ELSE format('%s rows', missing) END
			USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'Images are cleared once they are embedded unless they are kept. Put them back, or leave these rows without a vector: skip_missing => true.';
	END IF;
	IF EXISTS (SELECT FROM pg_publication_tables p JOIN pg_class k ON k.relname = p.tablename JOIN pg_namespace n ON n.oid = k.relnamespace
			AND n.nspname = p.schemaname WHERE k.oid = change_begin.relation) THEN
		RAISE WARNING 'relation "%" is published, and subscribers need the column "%" until the change is done', clip.name_of(relation), new_column
			USING HINT = format('Add it there as %s(%s), or publish a list of columns without it, before rows are written.',
				clip.embedding_type(relation, t.embedding_column), m.dimensions);
	END IF;
	PERFORM clip.note('change: begin', t.relation, t.embedding_column, new_column, m.name, m.fingerprint, m.dimensions::text,
		coalesce(skip_missing, false)::text);
	RETURN t.embedding_column;
END $$;
COMMENT ON FUNCTION clip.change_begin(regclass, text, name, boolean, integer) IS 'internal: first step of clip_change_model';

CREATE OR REPLACE FUNCTION clip.change_prepare(c clip.model_changes, t clip.tables) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT clip.lock_briefly(c.relation) THEN
		RETURN false;
	END IF;
	EXECUTE format('ALTER TABLE %s ADD COLUMN %I %I.%I(%s)', c.relation, c.new_column, clip.schema_of('vector'),
		clip.embedding_type(c.relation, c.embedding_column), c.dimensions);
	PERFORM clip.note('change: attach', c.relation, c.embedding_column, '');
	IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.relation AND a.attname = c.embedding_column AND a.attstorage = 'm') THEN
		PERFORM clip.keep_in_line(c.relation, c.new_column, c.dimensions, EXISTS (SELECT FROM clip.indexes_of(c.relation, c.embedding_column))),
			clip.fit_rows(c.relation);
	END IF;
	-- Fires before the trigger of the old column, by its name: that one may clear the image.
	PERFORM clip.create_triggers(k, k.embedding_column) FROM clip.tables k WHERE k.relation = c.relation AND k.embedding_column = c.new_column;
	RETURN true;
END $$;
COMMENT ON FUNCTION clip.change_prepare(clip.model_changes, clip.tables) IS 'internal: the new column and its trigger';

-- What is to be built next: an old index, 0 where every one has its successor, NULL where the next step is to look again.
CREATE OR REPLACE FUNCTION clip.change_index(c clip.model_changes) RETURNS oid LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	next_index regclass;
	made record;
	failure text;
BEGIN
	IF clip.is_locked('clip.model_changes', c.relation) THEN  -- a build that an earlier call has begun
		PERFORM pg_sleep(0.1);
		RETURN NULL;
	END IF;
	FOR next_index IN SELECT clip.indexes_of(c.relation, c.embedding_column) LOOP
		SELECT k.oid::regclass AS index, i.indisvalid INTO made
		FROM pg_class k JOIN pg_index i ON i.indexrelid = k.oid
		WHERE i.indrelid = c.relation AND k.relname = clip.successor_of(next_index);
		CONTINUE WHEN made.indisvalid;
		IF FOUND THEN  -- what a worker left that failed or was ended
			IF clip.lock_briefly(c.relation) THEN
				EXECUTE format('DROP INDEX %s', made.index);
			END IF;
			RETURN NULL;
		END IF;
		SELECT f.message INTO failure FROM clip.index_failures f WHERE f.relation = c.relation AND f.old_index = next_index;
		IF FOUND THEN
			RAISE EXCEPTION 'index "%" could not be built for the new model: %', clip.name_of(next_index), failure
				USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Call clip_change_model again once the reason is gone, or clip_abort_model_change.';
		END IF;
		-- stays if the worker cannot say it better
		PERFORM clip.note('change: index failure', c.relation, c.embedding_column, next_index::oid::text,
			'its background worker ended early, see the server''s log');
		RETURN next_index;
	END LOOP;
	RETURN 0;
END $$;
COMMENT ON FUNCTION clip.change_index(clip.model_changes) IS 'internal: the next of the new column''s indexes';

-- A table may change the models of two columns at a time. In 0.1.0 the name had no number.
CREATE OR REPLACE FUNCTION clip.change_constraint(c clip.model_changes) RETURNS name LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT k.conname FROM pg_constraint k WHERE k.conrelid = c.relation AND k.conname = 'clip_change_not_null'
		AND k.conkey = ARRAY[clip.number_of(c.relation, c.new_column)]), ('clip_change_' || clip.number_of(c.relation, c.new_column) || '_not_null')::name)
$$;
COMMENT ON FUNCTION clip.change_constraint(clip.model_changes) IS 'internal: name of the constraint that proves NOT NULL';

-- A NOT NULL of the old column, proved for the new one without a lock.
CREATE OR REPLACE FUNCTION clip.change_constrain(c clip.model_changes) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	validated boolean := (SELECT k.convalidated FROM pg_constraint k WHERE k.conrelid = c.relation AND k.conname = clip.change_constraint(c));
BEGIN
	IF validated OR NOT (SELECT a.attnotnull FROM pg_attribute a WHERE a.attrelid = c.relation AND a.attname = c.embedding_column) THEN
		RETURN true;
	ELSIF validated IS NULL THEN
		IF clip.lock_briefly(c.relation) THEN
			EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%I IS NOT NULL) NOT VALID', c.relation, clip.change_constraint(c), c.new_column);
		END IF;
		RETURN false;
	END IF;
	EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', c.relation, clip.change_constraint(c));
	RETURN true;
END $$;
COMMENT ON FUNCTION clip.change_constrain(clip.model_changes) IS 'internal: carries NOT NULL over';

-- One transaction under an exclusive lock: a statement sees the old column and the old model, or the new ones.
CREATE OR REPLACE FUNCTION clip.change_switch(c clip.model_changes, t clip.tables) RETURNS boolean LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	old record;
	step text;
	steps text[] := '{}';
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

	PERFORM clip.drop_triggers(c.relation, c.new_column);
	IF old.attnotnull THEN
		steps := steps || format('ALTER TABLE %s ALTER %I SET NOT NULL', c.relation, c.new_column)
			|| format('ALTER TABLE %s DROP CONSTRAINT %I', c.relation, clip.change_constraint(c));
	END IF;
	-- The old column leaves under another name, so that nothing takes it for an attached one that its user drops.
	steps := steps || format('ALTER TABLE %s RENAME %I TO %I', c.relation, c.embedding_column, left(c.embedding_column::text, 40) || '_gone')
		|| format('ALTER TABLE %s RENAME %I TO %I', c.relation, c.new_column, c.embedding_column)
		|| format('ALTER TABLE %s DROP COLUMN %I', c.relation, left(c.embedding_column::text, 40) || '_gone')
		|| after;
	PERFORM clip.create_triggers(k, k.embedding_column, false) FROM clip.tables k WHERE k.relation = c.relation AND k.embedding_column = c.embedding_column;
	FOREACH step IN ARRAY steps LOOP
		EXECUTE step;
	END LOOP;
	PERFORM clip.note('change: forget failures', c.relation, c.embedding_column, c.new_column::text);
	PERFORM clip.note('change: keep failures', c.relation, c.embedding_column, c.new_column::text);
	PERFORM clip.note('change: keep jobs', c.relation, c.embedding_column, c.new_column::text);
	PERFORM clip.note('change: switch', c.relation, c.embedding_column, '');
	PERFORM clip.fit_rows(c.relation);
	PERFORM clip.create_triggers(k, k.embedding_column) FROM clip.tables k WHERE k.relation = c.relation AND k.embedding_column = c.embedding_column;
	PERFORM clip.note('change: stage', c.relation, c.embedding_column, 'validating', c.skip_missing::text, NULL);
	RAISE NOTICE 'relation "%" is embedded with model "%" now; it was locked for % ms', clip.name_of(c.relation), c.model,
		round(1000 * extract(epoch FROM clock_timestamp() - locked_at), 1);
	RETURN true;
END $$;
COMMENT ON FUNCTION clip.change_switch(clip.model_changes, clip.tables) IS 'internal: puts the new column in the old one''s place';

-- One step. What is to follow: 0 for another step, the table itself where a walk is to embed its rows, an index whose successor
-- is to be built, NULL for nothing.
CREATE OR REPLACE FUNCTION clip.change_step(relation regclass, embedding_column name, batch_size integer) RETURNS oid
	LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	c clip.model_changes;
	left_out bigint;
	next text;
	waits text[];
	old_index oid;
BEGIN
	SELECT * INTO c FROM clip.model_changes m WHERE m.relation = t.relation AND m.embedding_column = t.embedding_column;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the change of model of relation "%" was aborted', clip.name_of(relation) USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	PERFORM clip.backfill_lock(relation);
	CASE c.stage
	WHEN 'preparing' THEN
		IF clip.change_prepare(c, t) THEN
			next := 'embedding';
		END IF;
	WHEN 'embedding' THEN
		IF NOT EXISTS (SELECT FROM clip.backfills b
				WHERE b.relation = c.relation AND b.embedding_column = c.new_column AND b.finished_at IS NOT NULL) THEN
			RETURN c.relation::oid;
		END IF;
		PERFORM clip.backfill_end(c.relation, c.new_column);
		left_out := clip.rows_without(c.relation, t, c.new_column);
		IF left_out > 0 AND NOT c.skip_missing THEN
			RAISE EXCEPTION '% rows of relation "%" could not be embedded with model "%"', left_out, clip.name_of(relation), c.model
				USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'See clip_failures. Call clip_change_model again, leave these rows without a vector with skip_missing => true, or call clip_abort_model_change.';
		END IF;
		next := 'indexing';
	WHEN 'indexing' THEN
		old_index := clip.change_index(c);
		IF old_index = 0 THEN
			next := 'constraining';
		ELSIF old_index IS NOT NULL THEN
			RETURN old_index;
		END IF;
	WHEN 'constraining' THEN
		IF clip.change_constrain(c) THEN
			next := 'waiting';
			-- A snapshot that is older than the last new vector must not meet the new column.
			-- Autovacuum, which is nobody's, and VACUUM compare no vectors, and may take hours.
			waits := ARRAY(SELECT l.virtualtransaction FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
				WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_xmin IS NOT NULL
					AND a.usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid)
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
		RETURN 0;
	WHEN 'validating' THEN
		FOR next IN SELECT k.conname FROM pg_constraint k
				WHERE k.conrelid = c.relation AND NOT k.convalidated AND clip.number_of(c.relation, c.embedding_column) = ANY (k.conkey) LOOP
			EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', c.relation, next);
		END LOOP;
		PERFORM clip.note('change: end', c.relation, c.embedding_column, '');
		RETURN NULL;
	END CASE;
	IF next IS NOT NULL THEN
		PERFORM clip.note('change: stage', c.relation, c.embedding_column, next, c.skip_missing::text, waits::text);
	END IF;
	RETURN 0;
END $$;
COMMENT ON FUNCTION clip.change_step(regclass, name, integer) IS 'internal: one step of clip_change_model';

CREATE OR REPLACE FUNCTION clip.change_continue(relation regclass, embedding_column name) RETURNS name
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t clip.tables := clip.attached(relation, embedding_column);
	new_column name;
BEGIN
	SELECT m.new_column INTO new_column FROM clip.model_changes m
	WHERE m.relation = t.relation AND m.embedding_column = t.embedding_column AND m.stage = 'embedding';
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the change of model of relation "%" was aborted', clip.name_of(relation) USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	PERFORM clip.attached(relation, new_column);  -- dropped, perhaps
	PERFORM clip.backfill_lock(relation);
	RETURN new_column;
END $$;
COMMENT ON FUNCTION clip.change_continue(regclass, name) IS 'internal: before each step of the walk that embeds into the new column';

CREATE OR REPLACE PROCEDURE @extschema@.clip_change_model(relation regclass, model text, embedding_column name DEFAULT NULL,
		skip_missing boolean DEFAULT false, batch_size integer DEFAULT 64)
	AS 'MODULE_PATHNAME', 'clip_change_model_wrapper' LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.clip_change_model(regclass, text, name, boolean, integer) IS 'embeds a table anew with another model while it is used, and switches at the end; called again it goes on where it was';

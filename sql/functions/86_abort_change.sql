-- Aborting a change of model ---------------------------------------------------------------------------------------

-- Under the lock of clip.try_lock, and when no index is being built any more: a build would hold the table until it ends.
CREATE OR REPLACE FUNCTION clip.abort_model_change(relation regclass, embedding_column name) RETURNS void
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
	WHILE NOT clip.lock_briefly(c.relation) LOOP
	END LOOP;
	IF EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.relation AND k.conname = clip.change_constraint(c)) THEN
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.relation, clip.change_constraint(c));
	END IF;
	PERFORM clip.drop_triggers(c.relation, c.new_column);
	PERFORM clip.note('change: end', c.relation, c.embedding_column, '');
	PERFORM clip.unregister(c.relation, c.new_column);
	PERFORM clip.fit_rows(c.relation);
	IF clip.number_of(c.relation, c.new_column) IS NOT NULL AND c.stage <> 'preparing' THEN
		EXECUTE format('ALTER TABLE %s DROP COLUMN %I', c.relation, c.new_column);
	END IF;
END $$;
COMMENT ON FUNCTION clip.abort_model_change(regclass, name) IS 'internal: behind clip_abort_model_change';

CREATE OR REPLACE FUNCTION @extschema@.clip_abort_model_change(relation regclass, embedding_column name DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'clip_abort_model_change_wrapper' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION @extschema@.clip_abort_model_change(regclass, name) IS 'ends a change of model and drops its new column; the table stays with its model';

-- Grants --------------------------------------------------------------------------------------------------------------
-- Given once: what an administrator has granted or revoked since stays as it is.

DO $$
DECLARE
	view regclass;
BEGIN
	FOREACH view IN ARRAY ARRAY['@extschema@.clip_stats'::regclass, '@extschema@.clip_queue', '@extschema@.clip_failures',
			'@extschema@.clip_progress'] LOOP
		IF EXISTS (SELECT FROM pg_class c WHERE c.oid = view AND c.relacl IS NULL) THEN
			EXECUTE format('GRANT SELECT ON %s TO PUBLIC', view);
		END IF;
	END LOOP;
	IF EXISTS (SELECT FROM pg_proc p WHERE p.oid = '@extschema@.clip_stats_reset()'::regprocedure AND p.proacl IS NULL) THEN
		REVOKE EXECUTE ON FUNCTION @extschema@.clip_stats_reset() FROM PUBLIC;
	END IF;
END $$;

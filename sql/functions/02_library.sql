-- The library ---------------------------------------------------------------------------------------------------------

-- A process that loaded the library of another version before this one was installed keeps that to its end.
DO $$
DECLARE
	other constant text := 'this session has loaded the library of another version of pg_clip';
	advice constant text := 'Restart the server where pg_clip is in shared_preload_libraries, else connect anew.';
BEGIN
	CREATE OR REPLACE FUNCTION clip.library_version() RETURNS text
		AS 'MODULE_PATHNAME', 'clip_library_version_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE;
	COMMENT ON FUNCTION clip.library_version() IS 'internal: the version of the library that this session has loaded';
	IF clip.library_version() <> (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_clip') THEN
		RAISE EXCEPTION '%', other USING ERRCODE = 'object_not_in_prerequisite_state', HINT = advice;
	END IF;
EXCEPTION WHEN undefined_function THEN
	RAISE EXCEPTION '%', other USING ERRCODE = 'object_not_in_prerequisite_state', HINT = advice;
END $$;

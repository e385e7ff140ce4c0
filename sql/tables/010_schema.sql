-- Schema and types -----------------------------------------------------------------------------------------------------
-- Files of this folder run once, when the extension is created. A change in one needs its like in sql/upgrade.

SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

CREATE SCHEMA clip;
COMMENT ON SCHEMA clip IS 'bookkeeping of pg_clip, written through its functions alone';
GRANT USAGE ON SCHEMA clip TO PUBLIC;

CREATE TYPE @extschema@.clip_modality AS ENUM ('text', 'image');
COMMENT ON TYPE @extschema@.clip_modality IS 'what a row was embedded from';

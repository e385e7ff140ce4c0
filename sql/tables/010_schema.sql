-- Schema and types -----------------------------------------------------------------------------------------------------
-- Files of this folder run once, when the extension is created. A change in one needs its like in sql/upgrade.

-- What the script names without its schema is found in pg_catalog, and the type vector where pgvector is, and nowhere else:
-- whoever may create objects in the schema of the extension must not be able to slip in a type or an operator of theirs.
SELECT pg_catalog.set_config('search_path', pg_catalog.format('pg_catalog, %I, pg_temp', n.nspname), true)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
WHERE e.extname OPERATOR(pg_catalog.=) 'vector';

CREATE SCHEMA clip;
COMMENT ON SCHEMA clip IS 'bookkeeping of pg_clip, written through its functions alone';
GRANT USAGE ON SCHEMA clip TO PUBLIC;

CREATE TYPE @extschema@.clip_modality AS ENUM ('text', 'image');
COMMENT ON TYPE @extschema@.clip_modality IS 'what a row was embedded from';

CREATE TYPE clip.embedded AS (embedding vector, sqlstate text, message text);
COMMENT ON TYPE clip.embedded IS 'internal: an input''s vector, or why it has none';

-- The rest names nothing but what is in pg_catalog without its schema.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

-- Queries -------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION @extschema@.clip_embed_trigger() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_embed_trigger' LANGUAGE C COST 1000;
COMMENT ON FUNCTION @extschema@.clip_embed_trigger() IS 'embeds a row before it is written; created by clip_create_table and clip_attach';

CREATE OR REPLACE FUNCTION @extschema@.clip_query(relation regclass, content text) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_query_text_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_query(regclass, text) IS 'unit vector of a text, by the model of a table''s vectors';

CREATE OR REPLACE FUNCTION @extschema@.clip_query(relation regclass, content text, embedding_column name) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_query_text_column_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_query(regclass, text, name) IS 'unit vector of a text, by the model of one of a table''s embedding columns';

CREATE OR REPLACE FUNCTION @extschema@.clip_query(relation regclass, image bytea) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_query_image_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 4000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_query(regclass, bytea) IS 'unit vector of an image, by the model of a table''s vectors';

CREATE OR REPLACE FUNCTION @extschema@.clip_query(relation regclass, image bytea, embedding_column name) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_query_image_column_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 4000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_query(regclass, bytea, name) IS 'unit vector of an image, by the model of one of a table''s embedding columns';

-- The rest names nothing but what is in pg_catalog without its schema.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

-- Embedding what may be bad -------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION clip.try_embed_images(images bytea[], model text, fingerprint text) RETURNS SETOF clip.embedded
	AS 'MODULE_PATHNAME', 'clip_try_embed_images_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 40000;
COMMENT ON FUNCTION clip.try_embed_images(bytea[], text, text) IS 'internal: a row for each image, in order; a bad one is a row with its SQLSTATE';

CREATE OR REPLACE FUNCTION clip.try_embed_texts(contents text[], model text, fingerprint text) RETURNS SETOF clip.embedded
	AS 'MODULE_PATHNAME', 'clip_try_embed_texts_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;
COMMENT ON FUNCTION clip.try_embed_texts(text[], text, text) IS 'internal: a row for each text, in order; a bad one is a row with its SQLSTATE';

-- The rest names nothing but what is in pg_catalog without its schema.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

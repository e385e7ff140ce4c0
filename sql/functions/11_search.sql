-- Search --------------------------------------------------------------------------------------------------------------
-- RESTRICTED: the statements inside have settings of their own, and may have parallel workers of their own.

CREATE OR REPLACE FUNCTION @extschema@.clip_search(relation regclass, query text, k integer DEFAULT 10, modality text DEFAULT NULL,
		filter jsonb DEFAULT NULL, after jsonb DEFAULT NULL, words text DEFAULT NULL, max_distance double precision DEFAULT NULL, embedding_column name DEFAULT NULL)
	RETURNS TABLE (key jsonb, modality text, content_ref text, metadata jsonb, distance double precision, rank bigint, cursor jsonb)
	AS 'MODULE_PATHNAME', 'clip_search_text_wrapper' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION @extschema@.clip_search(regclass, text, integer, text, jsonb, jsonb, text, double precision, name) IS 'the k rows of a table that are nearest to a text';

CREATE OR REPLACE FUNCTION @extschema@.clip_search(relation regclass, image bytea, k integer DEFAULT 10, modality text DEFAULT NULL,
		filter jsonb DEFAULT NULL, after jsonb DEFAULT NULL, words text DEFAULT NULL, max_distance double precision DEFAULT NULL, embedding_column name DEFAULT NULL)
	RETURNS TABLE (key jsonb, modality text, content_ref text, metadata jsonb, distance double precision, rank bigint, cursor jsonb)
	AS 'MODULE_PATHNAME', 'clip_search_image_wrapper' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION @extschema@.clip_search(regclass, bytea, integer, text, jsonb, jsonb, text, double precision, name) IS 'the k rows of a table that are nearest to an image';

CREATE OR REPLACE FUNCTION @extschema@.clip_search(relation regclass, embedding vector, k integer DEFAULT 10, modality text DEFAULT NULL,
		filter jsonb DEFAULT NULL, after jsonb DEFAULT NULL, words text DEFAULT NULL, max_distance double precision DEFAULT NULL, embedding_column name DEFAULT NULL)
	RETURNS TABLE (key jsonb, modality text, content_ref text, metadata jsonb, distance double precision, rank bigint, cursor jsonb)
	AS 'MODULE_PATHNAME', 'clip_search_vector_wrapper' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION @extschema@.clip_search(regclass, vector, integer, text, jsonb, jsonb, text, double precision, name) IS 'the k rows of a table that are nearest to a vector of its model';

-- Joined letters and numbers count in parts, too: a parser takes the path of a file for one word.
CREATE OR REPLACE FUNCTION @extschema@.clip_words(config regconfig, content text, metadata jsonb) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT pg_catalog.to_tsvector(config, coalesce(content, ''))
		OPERATOR(pg_catalog.||) pg_catalog.to_tsvector(config, CASE WHEN content OPERATOR(pg_catalog.~) '[/\\._-]' THEN pg_catalog.translate(content, '/\._-', '     ') ELSE '' END)
		OPERATOR(pg_catalog.||) pg_catalog.jsonb_to_tsvector(config, coalesce(metadata, '{}'), '["string", "numeric"]')
$$;
COMMENT ON FUNCTION @extschema@.clip_words(regconfig, text, jsonb) IS 'what clip_search finds a row''s words in';

CREATE OR REPLACE FUNCTION clip.words_expression(relation regclass, embedding_column name, schema name) RETURNS text
	AS 'MODULE_PATHNAME', 'clip_words_expression_wrapper' LANGUAGE C STABLE;
COMMENT ON FUNCTION clip.words_expression(regclass, name, name) IS 'internal: what an index of a table''s words is on';

CREATE OR REPLACE FUNCTION @extschema@.clip_create_words_index(relation regclass, embedding_column name DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('CREATE INDEX ON %s USING gin (%s)', relation, clip.words_expression(relation, embedding_column, clip.schema_of('pg_clip')));
END $$;
COMMENT ON FUNCTION @extschema@.clip_create_words_index(regclass, name) IS 'makes the index that serves clip_search with words';

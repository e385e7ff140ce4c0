-- Models --------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION @extschema@.clip_models(OUT name text, OUT architecture text, OUT dimensions integer, OUT precisions text[],
		OUT context_length integer, OUT image_size integer, OUT parameters bigint, OUT bytes bigint, OUT license text,
		OUT fingerprint text, OUT loaded boolean, OUT one_cone boolean, OUT licence text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clip_installed_models_wrapper' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10000 ROWS 5;
COMMENT ON FUNCTION @extschema@.clip_models() IS 'installed models: what they take and give, whether this session has loaded them, and whether texts and images lie in one cone of their space (licence is license, as 0.1.0 called it)';

CREATE OR REPLACE FUNCTION @extschema@.clip_token_count(content text) RETURNS integer
	AS 'MODULE_PATHNAME', 'clip_token_count_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION @extschema@.clip_token_count(text) IS 'tokens of a text, begin and end included, before it is cut to the context of the model of the setting clip.model';

CREATE OR REPLACE FUNCTION @extschema@.clip_token_count(content text, model text) RETURNS integer
	AS 'MODULE_PATHNAME', 'clip_token_count_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION @extschema@.clip_token_count(text, text) IS 'tokens of a text, begin and end included, before it is cut to the context of a named model';

-- Embedding -----------------------------------------------------------------------------------------------------------
-- With the session's model (clip.model) a function is STABLE. With a named one it is IMMUTABLE, for generated columns
-- and expression indexes: an installed name never changes its content, and it computes in f32 whatever clip.precision
-- says. The costs are far below the true ones, on purpose: a call with an input seen before costs microseconds, and a plan
-- that looks expensive is compiled by JIT first, which takes longer than a small query does. They count for each row only
-- where an argument changes from row to row (clip.cost).

CREATE OR REPLACE FUNCTION @extschema@.clip_embed_text(content text) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_embed_text_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_embed_text(text) IS 'unit vector of a text, by the model of the setting clip.model, computed as clip.precision says';

CREATE OR REPLACE FUNCTION @extschema@.clip_embed_text(content text, model text) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_embed_text_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_embed_text(text, text) IS 'unit vector of a text, by a named model, computed in f32 whatever clip.precision says';

CREATE OR REPLACE FUNCTION @extschema@.clip_embed_image(image bytea) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_embed_image_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 4000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_embed_image(bytea) IS 'unit vector of an image, by the model of the setting clip.model, computed as clip.precision says';

CREATE OR REPLACE FUNCTION @extschema@.clip_embed_image(image bytea, model text) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_embed_image_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_embed_image(bytea, text) IS 'unit vector of an image, by a named model, computed in f32 whatever clip.precision says';

CREATE OR REPLACE FUNCTION @extschema@.clip_embed_texts(contents text[]) RETURNS vector[]
	AS 'MODULE_PATHNAME', 'clip_embed_texts_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_embed_texts(text[]) IS 'unit vectors of texts, in order, NULL for NULL, by the model of the setting clip.model, computed as clip.precision says';

CREATE OR REPLACE FUNCTION @extschema@.clip_embed_texts(contents text[], model text) RETURNS vector[]
	AS 'MODULE_PATHNAME', 'clip_embed_texts_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_embed_texts(text[], text) IS 'unit vectors of texts, in order, NULL for NULL, by a named model, computed in f32 whatever clip.precision says';

CREATE OR REPLACE FUNCTION @extschema@.clip_embed_images(images bytea[]) RETURNS vector[]
	AS 'MODULE_PATHNAME', 'clip_embed_images_wrapper' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 40000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_embed_images(bytea[]) IS 'unit vectors of images, in order, NULL for NULL, by the model of the setting clip.model, computed as clip.precision says';

CREATE OR REPLACE FUNCTION @extschema@.clip_embed_images(images bytea[], model text) RETURNS vector[]
	AS 'MODULE_PATHNAME', 'clip_embed_images_model_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_embed_images(bytea[], text) IS 'unit vectors of images, in order, NULL for NULL, by a named model, computed in f32 whatever clip.precision says';

CREATE OR REPLACE FUNCTION @extschema@.clip_classify(image bytea, labels text[], template text DEFAULT 'a photo of a {}', model text DEFAULT NULL)
	RETURNS TABLE (label text, probability real)
	AS 'MODULE_PATHNAME', 'clip_classify_wrapper' LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION @extschema@.clip_classify(bytea, text[], text, text) IS 'probability of each label for an image, the most probable first';

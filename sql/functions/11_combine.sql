-- Sums and hashes -----------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION @extschema@.clip_combine(vectors vector[], weights real[] DEFAULT NULL) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_combine_wrapper' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION @extschema@.clip_combine(vector[], real[]) IS 'unit vector of the weighted sum of vectors, each of weight 1 where none are given; a negative weight takes away';

-- A function's result has no length: say bit(64) for the column or the index.
CREATE OR REPLACE FUNCTION @extschema@.clip_image_hash(image bytea) RETURNS bit
	AS 'MODULE_PATHNAME', 'clip_image_hash_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_image_hash(bytea) IS 'perceptual hash of 64 bits (pHash, as ImageHash computes it): copies of a picture differ in few bits';

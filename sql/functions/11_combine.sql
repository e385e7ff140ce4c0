-- Sums and hashes -----------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION @extschema@.clip_combine(vectors vector[], weights real[] DEFAULT NULL) RETURNS vector
	AS 'MODULE_PATHNAME', 'clip_combine_wrapper' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION @extschema@.clip_combine(vector[], real[]) IS 'unit vector of the weighted sum of vectors, each of weight 1 where none are given; a negative weight takes away';

-- A function's result has no length: say bit(64) for the column or the index.
CREATE OR REPLACE FUNCTION @extschema@.clip_image_hash(image bytea) RETURNS bit
	AS 'MODULE_PATHNAME', 'clip_image_hash_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4000 SUPPORT clip.cost;
COMMENT ON FUNCTION @extschema@.clip_image_hash(bytea) IS 'perceptual hash of 64 bits (pHash, as ImageHash computes it): copies of a picture differ in few bits';

-- Without a picture in it the value is NULL, so that coalesce(clip_image_preview(image), image) serves for whatever a column holds.
CREATE OR REPLACE FUNCTION @extschema@.clip_image_preview(image bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clip_image_preview_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.clip_image_preview(bytea) IS 'largest JPEG in a raw file of a camera, NULL where there is none or the image is no raw file';

CREATE OR REPLACE FUNCTION @extschema@.clip_image_frames(image bytea, at_most integer DEFAULT 16) RETURNS bytea[]
	AS 'MODULE_PATHNAME', 'clip_image_frames_wrapper' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4000;
COMMENT ON FUNCTION @extschema@.clip_image_frames(bytea, integer) IS 'frames of an animation, evenly in time, each as it is shown, as PNG; of any other image the picture itself';

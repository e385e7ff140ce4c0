-- Modalities as text ----------------------------------------------------------------------------------------------------
-- Drivers declare a string as text or varchar. PostgreSQL's own way from there to an enum may give something else tomorrow, for all that
-- the planner knows, so that no index of a modality would serve `modality = $1::clip_modality`. These labels stay what they are.

CREATE OR REPLACE FUNCTION clip.to_modality(label text) RETURNS @extschema@.clip_modality LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found @extschema@.clip_modality := (SELECT m FROM unnest(enum_range(NULL::@extschema@.clip_modality)) m WHERE m::text = label);
BEGIN
	IF found IS NULL THEN
		RAISE EXCEPTION 'invalid input value for enum clip_modality: "%"', label USING ERRCODE = 'invalid_text_representation';
	END IF;
	RETURN found;
END $$;
COMMENT ON FUNCTION clip.to_modality(text) IS 'internal: the cast of text to clip_modality, IMMUTABLE so that indexes by modality serve it';

DO $$
DECLARE
	present pg_catalog.oid[] := (SELECT pg_catalog.array_agg(castsource) FROM pg_catalog.pg_cast
		WHERE casttarget OPERATOR(pg_catalog.=) '@extschema@.clip_modality'::pg_catalog.regtype);
BEGIN
	IF present IS NULL OR 'text'::pg_catalog.regtype::pg_catalog.oid OPERATOR(pg_catalog.<>) ALL (present) THEN
		CREATE CAST (text AS @extschema@.clip_modality) WITH FUNCTION clip.to_modality(text) AS ASSIGNMENT;
	END IF;
	IF present IS NULL OR 'varchar'::pg_catalog.regtype::pg_catalog.oid OPERATOR(pg_catalog.<>) ALL (present) THEN
		CREATE CAST (varchar AS @extschema@.clip_modality) WITH FUNCTION clip.to_modality(text) AS ASSIGNMENT;
	END IF;
END $$;
COMMENT ON CAST (text AS @extschema@.clip_modality) IS 'IMMUTABLE, so that indexes by modality serve what drivers declare as text';
COMMENT ON CAST (varchar AS @extschema@.clip_modality) IS 'IMMUTABLE, so that indexes by modality serve what drivers declare as varchar';

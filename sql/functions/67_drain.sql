-- Draining ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE PROCEDURE @extschema@.clip_drain(relation regclass DEFAULT NULL, max_rows bigint DEFAULT NULL)
	AS 'MODULE_PATHNAME', 'clip_drain_wrapper' LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.clip_drain(regclass, bigint) IS 'embeds rows that wait, of one table or of all that the caller owns, and commits after each batch';

-- Costs ---------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION clip.cost(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'clip_cost' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clip.cost(internal) IS 'internal: tells the planner that a call with arguments that stay the same is computed once';

-- Counters ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION clip.session_stats(OUT model text, OUT kind text, OUT calls bigint, OUT items bigint, OUT memo_hits bigint,
		OUT errors bigint, OUT total_ms double precision, OUT max_ms double precision) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clip_session_stats_wrapper' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 5;
COMMENT ON FUNCTION clip.session_stats() IS 'internal: the rows of clip_stats';

CREATE VIEW clip_stats AS SELECT * FROM clip.session_stats();
COMMENT ON VIEW clip_stats IS 'what this session embedded: calls, inputs that the model ran on, inputs answered from memory, errors, time';
GRANT SELECT ON clip_stats TO PUBLIC;

-- Counters ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION clip.counters(of_session boolean, OUT model text, OUT kind text, OUT calls bigint, OUT items bigint,
		OUT memo_hits bigint, OUT errors bigint, OUT errors_by_sqlstate text, OUT total_ms double precision,
		OUT max_ms double precision, OUT batches bigint, OUT largest_batch bigint, OUT shared boolean) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clip_counters_wrapper' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 5;
COMMENT ON FUNCTION clip.counters(boolean) IS 'internal: the rows of clip_stats, or of this session alone';

CREATE OR REPLACE VIEW @extschema@.clip_stats AS
	SELECT model, kind, calls, items, memo_hits, errors, errors_by_sqlstate::pg_catalog.jsonb AS errors_by_sqlstate,
		total_ms, max_ms, batches, largest_batch, shared
	FROM clip.counters(false);
COMMENT ON VIEW @extschema@.clip_stats IS 'what was embedded in this database, by all sessions where the library is preloaded (shared), else by this one: calls, inputs that the model ran on, inputs answered from memory, errors, time, batches';

CREATE OR REPLACE FUNCTION @extschema@.clip_stats_reset() RETURNS void
	AS 'MODULE_PATHNAME', 'clip_reset_counters_wrapper' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION @extschema@.clip_stats_reset() IS 'sets the counters of clip_stats to zero';

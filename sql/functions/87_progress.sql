-- Progress ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW @extschema@.clip_progress WITH (security_barrier) AS
	SELECT t.relation, coalesce(c.embedding_column, t.embedding_column) AS embedding_column, t.model,
		CASE WHEN t.pending THEN 'model change' ELSE 'backfill' END AS command, coalesce(c.stage, 'embedding') AS phase,
		clip.backfill_runs(t.relation) AS running,
		b.rows_total, b.rows_done, b.rows_failed, b.started_at, b.updated_at, s.rate AS rows_per_second,
		CASE WHEN s.rate > 0 THEN b.updated_at + make_interval(secs =>
			greatest(b.rows_total - b.rows_done - b.rows_failed, 0) / s.rate) END AS estimated_end
	FROM clip.tables t JOIN clip.backfills b USING (relation, embedding_column)
	JOIN pg_class k ON k.oid = t.relation
	LEFT JOIN clip.model_changes c ON t.pending AND c.relation = t.relation AND c.new_column = t.embedding_column
	CROSS JOIN LATERAL (SELECT (b.rows_done - b.rows_resumed)
		/ nullif(extract(epoch FROM b.updated_at - b.resumed_at), 0)::double precision AS rate) s
	WHERE (b.finished_at IS NULL OR t.pending)
		AND (pg_has_role(k.relowner, 'USAGE') OR (has_table_privilege(k.oid, 'SELECT') AND NOT row_security_active(k.oid)));
COMMENT ON VIEW @extschema@.clip_progress IS 'backfills and changes of model that are running or were interrupted';

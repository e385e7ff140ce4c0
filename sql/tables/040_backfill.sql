-- Backfilling ---------------------------------------------------------------------------------------------------------

-- Where a backfill is. Committed with each batch, so that the next call goes on from there.
CREATE TABLE clip.backfills (
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	rows_total bigint NOT NULL,               -- when it began
	rows_done bigint NOT NULL DEFAULT 0,
	rows_failed bigint NOT NULL DEFAULT 0,
	rows_resumed bigint NOT NULL DEFAULT 0,   -- done when the last call began
	part regclass NOT NULL,                   -- the table itself or one of its partitions
	place tid NOT NULL,                       -- the last row of it that was looked at
	pass_done bigint NOT NULL DEFAULT 0,      -- rows of this walk through the table: embedded,
	pass_left bigint NOT NULL DEFAULT 0,      -- and changed or locked by others meanwhile
	idle_passes integer NOT NULL DEFAULT 0,   -- walks that found none but such
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	resumed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	finished_at timestamptz,
	PRIMARY KEY (relation, embedding_column),
	FOREIGN KEY (relation, embedding_column) REFERENCES clip.tables ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON TABLE clip.backfills IS 'state of each table''s last backfill; clip_progress shows those that are not done';
ALTER TABLE clip.backfills ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON clip.backfills FOR SELECT
	USING (EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND pg_has_role(c.relowner, 'USAGE')));
COMMENT ON POLICY owner ON clip.backfills IS 'a table''s owner alone sees how many rows it has';
GRANT SELECT ON clip.backfills TO PUBLIC;

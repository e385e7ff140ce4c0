-- Failures ------------------------------------------------------------------------------------------------------------
-- One entry for a row and a column, whoever came to the row: the queue, a backfill or a change of model.

CREATE TABLE clip.failures (
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	key text[],
	key_hash bigint GENERATED ALWAYS AS (hash_array_extended(key, 0)) STORED,
	place tid,
	version xid,
	modality text,
	sqlstate text NOT NULL,
	message text NOT NULL,
	attempts integer NOT NULL DEFAULT 1,
	state text NOT NULL CHECK (state IN ('waiting', 'dead', 'embedded')),
	enqueued_at timestamptz NOT NULL DEFAULT now(),
	failed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE clip.failures IS 'rows that could not be embedded, or in part; clip_failures shows them';
COMMENT ON COLUMN clip.failures.relation IS 'the table, or the partition that the row lies in';
COMMENT ON COLUMN clip.failures.key IS 'as in clip.queue; NULL where the table has no primary key';
COMMENT ON COLUMN clip.failures.key_hash IS 'a key may be too long for an index';
COMMENT ON COLUMN clip.failures.place IS 'where a backfill came to the row; once it is changed, it is another and is tried again';
COMMENT ON COLUMN clip.failures.version IS 'the row''s xmin at that time';
COMMENT ON COLUMN clip.failures.state IS 'waiting for the next attempt in the queue; dead: given up; embedded: the row has a vector of an image that is not all there';
CREATE UNIQUE INDEX failures_row ON clip.failures (relation, embedding_column, key_hash);
CREATE INDEX failures_place ON clip.failures (relation, embedding_column, place);
SELECT pg_catalog.pg_extension_config_dump('clip.failures', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
-- Keys and messages are content, so that nobody reads them here but who dumps the database.
GRANT SELECT, INSERT ON clip.failures TO pg_database_owner;

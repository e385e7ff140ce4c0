-- Changing the model --------------------------------------------------------------------------------------------------

CREATE TABLE clip.model_changes (
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	new_column name NOT NULL,
	model text NOT NULL,
	fingerprint text NOT NULL,
	dimensions integer NOT NULL,
	skip_missing boolean NOT NULL,
	stage text NOT NULL DEFAULT 'preparing'
		CHECK (stage IN ('preparing', 'embedding', 'indexing', 'constraining', 'waiting', 'switching', 'validating')),
	index_failure text,
	waits_for text[],                         -- transactions that may not see all new vectors
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (relation, embedding_column)
);
COMMENT ON TABLE clip.model_changes IS 'changes of model that are not done';
COMMENT ON COLUMN clip.model_changes.index_failure IS 'of 0.1.0: its dumps name the column';
GRANT SELECT ON clip.model_changes TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('clip.model_changes', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);
GRANT INSERT ON clip.model_changes TO pg_database_owner;

CREATE TABLE clip.index_failures (
	relation regclass NOT NULL,
	old_index oid NOT NULL,
	message text NOT NULL,
	PRIMARY KEY (relation, old_index)
);
COMMENT ON TABLE clip.index_failures IS 'indexes that could not be built for a new model';
ALTER TABLE clip.index_failures ENABLE ROW LEVEL SECURITY;  -- a message may quote a row
CREATE POLICY owner ON clip.index_failures FOR SELECT
	USING (EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND pg_has_role(c.relowner, 'USAGE')));
COMMENT ON POLICY owner ON clip.index_failures IS 'a table''s owner alone sees why';
GRANT SELECT ON clip.index_failures TO PUBLIC;

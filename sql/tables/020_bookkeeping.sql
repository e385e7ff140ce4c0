-- Bookkeeping ---------------------------------------------------------------------------------------------------------
-- Configuration tables have no foreign keys between them: pg_restore loads their rows side by side.

CREATE TABLE clip.tables (
	relation regclass NOT NULL,
	embedding_column name NOT NULL,
	text_column name,
	image_column name,
	modality_column name,
	keep_images boolean NOT NULL,
	model text NOT NULL,
	fingerprint text NOT NULL,
	dimensions integer NOT NULL,
	pending boolean NOT NULL DEFAULT false,  -- the new column of a model change: clip_query does not see it yet
	mode text NOT NULL DEFAULT 'sync' CHECK (mode IN ('sync', 'async')),
	PRIMARY KEY (relation, embedding_column)
);
COMMENT ON TABLE clip.tables IS 'tables that pg_clip embeds, each with the model that its vectors are of';
GRANT SELECT ON clip.tables TO PUBLIC;
-- Tables that are gone, and temporary ones, are not dumped.
SELECT pg_catalog.pg_extension_config_dump('clip.tables', $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c
	WHERE c.oid OPERATOR(pg_catalog.=) relation AND c.relpersistence OPERATOR(pg_catalog.<>) 't')$$);

-- A database's owner can restore a dump without being a superuser; what he restores must not be about others' tables.
GRANT INSERT ON clip.tables TO pg_database_owner;

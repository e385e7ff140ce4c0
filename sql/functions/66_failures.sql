-- Failures ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE TRIGGER restored BEFORE INSERT ON clip.failures FOR EACH ROW EXECUTE FUNCTION clip.check_restored();

-- Each column by its name; numbers and truth values as such, other types as they are written.
CREATE OR REPLACE FUNCTION clip.key_by_name(relation regclass, key text[]) RETURNS jsonb LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN count(*) = cardinality(key) THEN jsonb_object_agg(a.attname, CASE
			WHEN t.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND key[k.n] ~ '^-?[0-9]{1,18}$' THEN to_jsonb(key[k.n]::bigint)
			WHEN t.oid = 'bool'::regtype AND key[k.n] IN ('t', 'f') THEN to_jsonb(key[k.n]::boolean) ELSE to_jsonb(key[k.n]) END)
		ELSE to_jsonb(key) END
	FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (number, n), pg_attribute a, pg_type t
	WHERE i.indrelid = relation AND i.indisprimary AND k.n <= i.indnkeyatts AND a.attrelid = relation AND a.attnum = k.number
		AND t.oid = a.atttypid
$$;
COMMENT ON FUNCTION clip.key_by_name(regclass, text[]) IS 'internal: a primary key of clip.queue as JSON; a list where the key is another now';

CREATE OR REPLACE VIEW @extschema@.clip_failures WITH (security_barrier) AS
	SELECT f.relation, f.embedding_column, clip.key_by_name(f.relation, f.key) AS key, f.modality, f.sqlstate, f.message, f.attempts,
		f.state, f.enqueued_at, f.failed_at, f.place
	FROM clip.failures f JOIN pg_class c ON c.oid = f.relation
	WHERE pg_has_role(c.relowner, 'USAGE') OR (has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid));
COMMENT ON VIEW @extschema@.clip_failures IS 'rows that could not be embedded, or in part, by primary key, with the reason: waiting for another attempt, dead, or embedded from an image that is not all there';

CREATE OR REPLACE FUNCTION clip.move_failures() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_move_failures' LANGUAGE C;
COMMENT ON FUNCTION clip.move_failures() IS 'internal: takes failures out of the queue, which a dump of 0.1.0 has there';
CREATE OR REPLACE TRIGGER move_failures AFTER INSERT ON clip.queue FOR EACH STATEMENT EXECUTE FUNCTION clip.move_failures();

CREATE OR REPLACE FUNCTION clip.forget_trigger() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clip_wake_trigger' LANGUAGE C;
COMMENT ON FUNCTION clip.forget_trigger() IS 'internal: failures of rows that are deleted go with them';

-- For the owner of the table, who does not see the queue.
CREATE OR REPLACE FUNCTION clip.rows_wait(relation regclass, embedding_column name) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clip_rows_wait_wrapper' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION clip.rows_wait(regclass, name) IS 'internal: has the queue rows of a table, or an entry of one that failed?';

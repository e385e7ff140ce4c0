-- Storage -------------------------------------------------------------------------------------------------------------
-- A value of more than 2 kB goes to TOAST, and each costs a look-up there: of a vector(512) that is half the time of an exact scan. In
-- line it is read with its row. But pages of two or three large rows have no room for another version of one, so that an UPDATE of
-- any column puts that on another page, and a new entry into each index: an HNSW index takes milliseconds for it. So vectors
-- lie in line where they are small, and in tables that are made without an index, where two rows fit a page.

CREATE OR REPLACE FUNCTION clip.vector_bytes(relation regclass, col name, dimensions integer) RETURNS integer LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp AS $$
	SELECT 8 + dimensions * CASE clip.embedding_type(relation, col) WHEN 'halfvec' THEN 2 ELSE 4 END
$$;
COMMENT ON FUNCTION clip.vector_bytes(regclass, name, integer) IS 'internal: how large a vector of a column is';

CREATE OR REPLACE FUNCTION clip.keep_in_line(relation regclass, col name, dimensions integer, index boolean) RETURNS void LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	limit_bytes integer := CASE WHEN index THEN 1100 ELSE 3500 END;
BEGIN
	IF clip.vector_bytes(relation, col, dimensions) <= limit_bytes THEN
		EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE MAIN', relation, col);
	END IF;
END $$;
COMMENT ON FUNCTION clip.keep_in_line(regclass, name, integer, boolean) IS 'internal: lets the vectors of a column lie in their rows';

-- A row that is larger than the target has its other values moved to TOAST, in vain where the vector alone is too large. So the
-- target leaves them their place. While a model changes there are two vectors.
CREATE OR REPLACE FUNCTION clip.fit_rows(relation regclass) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	bytes bigint := (SELECT sum(clip.vector_bytes(t.relation, t.embedding_column, t.dimensions)) FROM clip.tables t
		JOIN pg_attribute a ON a.attrelid = t.relation AND a.attname = t.embedding_column AND a.attstorage = 'm' WHERE t.relation = fit_rows.relation);
BEGIN
	IF bytes > 1100 THEN
		EXECUTE format('ALTER TABLE %s SET (toast_tuple_target = %s)', relation, least(greatest(bytes + 580, 4080), 8160));
	ELSIF bytes IS NOT NULL THEN
		EXECUTE format('ALTER TABLE %s RESET (toast_tuple_target)', relation);
	END IF;
END $$;
COMMENT ON FUNCTION clip.fit_rows(regclass) IS 'internal: how large a row may be, by its vectors that lie in line';

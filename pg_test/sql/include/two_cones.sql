-- Vectors as every CLIP makes them: texts in one cone of the space, images in another one, far away. A text and an image of one
-- number belong together; twenty numbers in a row are about the same. The same vectors on every machine.
--
--   \set two_cones `echo "$PG_ABS_SRCDIR"/sql/include/two_cones.sql`
--   \i :two_cones
--   SELECT * FROM two_cones(rows => 1000, dimensions => 256);   -- of each modality
CREATE FUNCTION uniform(x bigint, seed bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
	$$ SELECT (hashint8extended(x, seed) & 65535) / 65536::float8 - 0.5 $$;
CREATE FUNCTION two_cones(rows integer, dimensions integer) RETURNS TABLE (number integer, modality clip_modality, embedding vector) LANGUAGE sql AS $$
	SELECT i, m.modality, l2_normalize((SELECT array_agg((uniform(d, m.cone) + 0.4 * uniform(d, 10 + i / 20) + 0.3 * uniform(d, 10000000 + i)
		+ 0.4 * uniform(d, 100000000 + 2 * i + m.cone))::real ORDER BY d) FROM generate_series(1, dimensions) d)::vector)
	FROM generate_series(1, rows) i CROSS JOIN (VALUES ('text'::clip_modality, 1), ('image', 2)) m (modality, cone)
$$;
-- A table of clip_create_table filled with them; what a text is of is no matter here.
CREATE PROCEDURE fill_with_two_cones(relation regclass, rows integer, dimensions integer) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', relation);
	EXECUTE format('INSERT INTO %s (modality, content_ref, embedding) SELECT modality, modality || '' '' || number, embedding FROM two_cones($1, $2)', relation)
		USING rows, dimensions;
	EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', relation);
	EXECUTE format('ANALYZE %s', relation);
END $$;

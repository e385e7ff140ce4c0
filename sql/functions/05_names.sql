-- Names ---------------------------------------------------------------------------------------------------------------
-- Files of this folder run when the extension is created and at each update: whatever they make replaces what is there.

-- What the script names without its schema is found in pg_catalog, and the type vector where pgvector is, and nowhere else:
-- whoever may create objects in the schema of the extension must not be able to slip in a type or an operator of theirs.
SELECT pg_catalog.set_config('search_path', pg_catalog.format('pg_catalog, %I, pg_temp', n.nspname), true)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
WHERE e.extname OPERATOR(pg_catalog.=) 'vector';

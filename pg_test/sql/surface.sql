-- What the extension puts into the database, and how its functions are labelled.

-- volatility, strictness, parallel safety
SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, p.provolatile AS volatile, p.proisstrict AS strict,
	p.proparallel AS parallel, p.procost >= 1000 AS costly
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_clip'
WHERE p.pronamespace <> 'clip'::regnamespace AND p.prorettype <> 'trigger'::regtype
ORDER BY 1, 2;

-- every object has a comment
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS uncommented
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_clip'
WHERE d.deptype = 'e' AND obj_description(d.objid, d.classid::regclass::text::name) IS NULL
	AND pg_describe_object(d.classid, d.objid, d.objsubid) !~ '^event trigger|\[\]$|^type clip\.|^type clip_(stats|progress|failures|queue)$'
ORDER BY 1;

-- the functions that write are pinned to a search_path or take only schema-qualified names
SELECT p.proname FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'clip'::regnamespace
	AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%');

SELECT name, architecture, dimensions > 0 AS dimensions, 'f32' = ANY (precisions) AS f32, length(fingerprint) AS fingerprint, bytes > 0 AS bytes, loaded
FROM clip_models() WHERE name = 'pictograms';
SELECT vector_dims(clip_embed_text('x')) > 0 AS embeds;
SELECT loaded FROM clip_models() WHERE name = 'pictograms';

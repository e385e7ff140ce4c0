-- Everything that the extension is in a database, a line for each property, without numbers that differ from one to the other.
WITH member AS (
	SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_clip'
), relation AS (
	SELECT c.* FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
), grants AS (
	SELECT classid, objid, string_agg(grantee::regrole || ' ' || privilege_type || is_grantable, ', ' ORDER BY grantee::regrole::text, privilege_type) AS list
	FROM (SELECT 'pg_class'::regclass AS classid, oid AS objid, relacl AS acl FROM relation
		UNION ALL SELECT 'pg_proc'::regclass, p.oid, p.proacl FROM pg_proc p
		UNION ALL SELECT 'pg_type'::regclass, t.oid, t.typacl FROM pg_type t
		UNION ALL SELECT 'pg_namespace'::regclass, n.oid, n.nspacl FROM pg_namespace n) g,
		LATERAL (SELECT x.* FROM aclexplode(g.acl) x) a
	GROUP BY classid, objid
), lines (line) AS (
	SELECT format('member %s, comment %L, grants %L', pg_describe_object(m.classid, m.objid, 0),
		obj_description(m.objid, m.classid::regclass::text::name), (SELECT g.list FROM grants g WHERE (g.classid, g.objid) = (m.classid, m.objid)))
	FROM member m
	UNION ALL
	SELECT format('initial grants of %s column %s: %s', pg_describe_object(i.classoid, i.objoid, 0), i.objsubid,
		(SELECT string_agg(a::text, ', ' ORDER BY a::text) FROM unnest(i.initprivs) a))
	FROM pg_init_privs i JOIN member m ON (m.classid, m.objid) = (i.classoid, i.objoid)
	UNION ALL
	SELECT format('function %s: %s', p.oid::regprocedure, pg_get_functiondef(p.oid))
	FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	UNION ALL
	SELECT format('column %s of %s %s: %s, type %s, not null %s, default %L, storage %s, comment %L', a.attnum, c.relkind, c.oid::regclass, a.attname,
		format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attstorage, col_description(c.oid, a.attnum))
	FROM relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
	UNION ALL
	SELECT format('relation %s: kind %s, options %s, row security %s %s, owner %s', c.oid::regclass, c.relkind, c.reloptions, c.relrowsecurity,
		c.relforcerowsecurity, c.relowner::regrole) FROM relation c
	UNION ALL
	SELECT format('view %s: %s', c.oid::regclass, pg_get_viewdef(c.oid)) FROM relation c WHERE c.relkind = 'v'
	UNION ALL
	SELECT format('rule %s of %s: %s', r.rulename, c.oid::regclass, r.ev_enabled) FROM relation c JOIN pg_rewrite r ON r.ev_class = c.oid
	UNION ALL
	SELECT format('sequence %s: %s', c.oid::regclass, (s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle))
	FROM relation c JOIN pg_sequence s ON s.seqrelid = c.oid
	UNION ALL
	SELECT format('index %s: %s', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid)) FROM relation c JOIN pg_index i ON i.indrelid = c.oid
	UNION ALL
	SELECT format('constraint %s of %s: %s, valid %s', k.conname, c.oid::regclass, pg_get_constraintdef(k.oid), k.convalidated)
	FROM relation c JOIN pg_constraint k ON k.conrelid = c.oid
	UNION ALL
	SELECT format('policy %s of %s: %s, comment %L', p.polname, c.oid::regclass, (p.polcmd, p.polpermissive, p.polroles, pg_get_expr(p.polqual, c.oid),
		pg_get_expr(p.polwithcheck, c.oid)), obj_description(p.oid, 'pg_policy'))
	FROM relation c JOIN pg_policy p ON p.polrelid = c.oid
	UNION ALL
	SELECT format('trigger of %s: %s, enabled %s', c.oid::regclass, pg_get_triggerdef(g.oid), g.tgenabled)
	FROM relation c JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal
	UNION ALL
	SELECT format('event trigger %s on %s: tags %s, function %s, enabled %s', t.evtname, t.evtevent, t.evttags, t.evtfoid::regproc, t.evtenabled)
	FROM pg_event_trigger t JOIN member m ON m.classid = 'pg_event_trigger'::regclass AND m.objid = t.oid
	UNION ALL
	SELECT format('type %s: kind %s, labels %s', t.oid::regtype, t.typtype,
		(SELECT string_agg(l.enumlabel, ', ' ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid))
	FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
	UNION ALL
	SELECT format('attribute %s of type %s: %s %s', a.attnum, t.oid::regtype, a.attname, format_type(a.atttypid, a.atttypmod))
	FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
	JOIN pg_attribute a ON a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT format('dumped rows of %s: %s', c.oid::regclass, e.extcondition[n])
	FROM pg_extension e, generate_subscripts(e.extconfig, 1) n JOIN pg_class c ON true
	WHERE e.extname = 'pg_clip' AND c.oid = e.extconfig[n]
	UNION ALL
	SELECT format('version %s, schema %s, relocatable %s', e.extversion, e.extnamespace::regnamespace, e.extrelocatable) FROM pg_extension e WHERE e.extname = 'pg_clip'
)
SELECT replace(line, E'\n', '\n') FROM lines ORDER BY line COLLATE "C";

-- Every function: who may execute it, how its names are resolved, in whose name its work is done, and what it may start.
-- A new one needs an entry here.
CREATE TEMP TABLE entries (function text, executed_by text, names text, runs_as text, starts text);
INSERT INTO entries VALUES
	('clip.abort_model_change(regclass, name)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.attach(regclass, name, name, name, name, boolean, text, text)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.attached(regclass, name)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.backfill_begin(regclass, name, integer)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.backfill_continue(regclass, name)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.backfill_end(regclass, name)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.backfill_lock(regclass, boolean)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.backfill_of(regclass, name)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.backfill_runs(regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.begin_index_build(regclass)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.change_begin(regclass, text, name, boolean, integer)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.change_constrain(clip.model_changes)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.change_constraint(clip.model_changes)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.change_continue(regclass, name)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.change_index(clip.model_changes)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.change_prepare(clip.model_changes, clip.tables)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.change_step(regclass, name, integer)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.change_switch(clip.model_changes, clip.tables)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.check_batch_size(integer)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.check_column(regclass, name, text[], text)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.check_dependents(regclass, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.check_every_row_is_seen(regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.check_is_owner(regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.check_restored()', 'everybody', 'pinned', 'whoever writes', 'nothing'),
	('clip.counters(boolean)', 'everybody', 'c', 'caller', 'nothing'),
	('clip.create_table(name, name, text, boolean, boolean, text)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.create_triggers(clip.tables, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.detach(regclass, name)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.drop_triggers(regclass, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.enqueue_again(regclass, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.enqueue_trigger()', 'everybody', 'c', 'whoever writes', 'nothing'),
	('clip.fire_last(regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.follow_altered()', 'everybody', 'pinned', 'superuser, by an event trigger', 'nothing'),
	('clip.follow_detached(clip.tables)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.follow_joined(clip.tables)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.follow_renamed(regclass, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.forget_dropped()', 'everybody', 'pinned', 'superuser, by an event trigger', 'nothing'),
	('clip.forget_keys(regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.forget_source(clip.tables, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.forget_trigger()', 'everybody', 'c', 'whoever writes', 'nothing'),
	('clip.free_name(regclass, text)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.free_restored()', 'everybody', 'pinned', 'whoever writes', 'nothing'),
	('clip.has_old_triggers(clip.tables)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.index_build_failed(regclass, text)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.index_sql(regclass, clip.model_changes)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.indexes_of(regclass, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.is_locked(regclass, regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.key_by_name(regclass, text[])', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.last_other_trigger(regclass, integer)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.library_version()', 'everybody', 'c', 'caller', 'nothing'),
	('clip.lock_briefly(regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.model_info(text)', 'everybody', 'c', 'caller', 'nothing'),
	('clip.move_failures()', 'everybody', 'c', 'whoever writes; fixed statements as superuser', 'nothing'),
	('clip.name_of(regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.names_columns(clip.tables)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.next_part(regclass, oid)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.note(text, regclass, name, text[])', 'everybody', 'c', 'caller, an owner; one fixed statement as superuser', 'nothing'),
	('clip.number_of(regclass, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.only_vector_column(regclass, text)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.parents_of(regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.register(regclass, name, name, name, name, boolean, text, text, integer)', 'everybody', 'c', 'caller, an owner; one fixed statement as superuser', 'nothing'),
	('clip.rows_without(regclass, clip.tables, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.rows_wait(regclass, name)', 'everybody', 'c', 'caller; one fixed query as superuser', 'nothing'),
	('clip.save_mode(regclass, name, text)', 'everybody', 'c', 'caller, an owner; one fixed statement as superuser', 'nothing'),
	('clip.schema_of(text)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.source_condition(regclass, name)', 'everybody', 'c', 'caller', 'nothing'),
	('clip.successor_of(regclass)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.switch_mode(regclass, name, text)', 'everybody', 'pinned', 'caller, who must be the owner', 'nothing'),
	('clip.trigger_arguments(clip.tables)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.triggers_of(regclass, name)', 'everybody', 'pinned', 'caller', 'nothing'),
	('clip.try_lock(regclass)', 'everybody', 'c', 'caller, an owner', 'nothing'),
	('clip.unregister(regclass, name)', 'everybody', 'c', 'caller, an owner; one fixed statement as superuser', 'nothing'),
	('clip.vacuum_gives_way(regclass)', 'everybody', 'c', 'caller, an owner; one fixed query as superuser', 'nothing'),
	('clip.wake_trigger()', 'everybody', 'c', 'whoever writes', 'nothing; wakes workers'),
	('public.clip_abort_model_change(regclass, name)', 'everybody', 'c', 'owner of the table, sandboxed', 'nothing; ends index builds of the table'),
	('public.clip_attach(regclass, name, name, name, text, name, boolean, text)', 'everybody', 'c', 'owner of the table, sandboxed', 'nothing'),
	('public.clip_backfill(regclass, name, integer)', 'everybody', 'c', 'owner of the table, sandboxed', 'nothing'),
	('public.clip_change_model(regclass, text, name, boolean, integer)', 'everybody', 'c', 'owner of the table, sandboxed', 'a worker that builds an index as the owner'),
	('public.clip_classify(bytea, text[], text, text)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_create_table(text, text, boolean, boolean, text)', 'everybody', 'qualified', 'caller', 'nothing'),
	('public.clip_detach(regclass, name)', 'everybody', 'c', 'owner of the table, sandboxed', 'nothing'),
	('public.clip_drain(regclass, bigint)', 'everybody', 'c', 'owner of each table, sandboxed', 'nothing'),
	('public.clip_embed_image(bytea)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_embed_image(bytea, text)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_embed_images(bytea[])', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_embed_images(bytea[], text)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_embed_text(text)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_embed_text(text, text)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_embed_texts(text[])', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_embed_texts(text[], text)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_embed_trigger()', 'everybody', 'c', 'whoever writes', 'nothing'),
	('public.clip_models()', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_query(regclass, bytea)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_query(regclass, bytea, name)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_query(regclass, text)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_query(regclass, text, name)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_retry(regclass, name, text)', 'everybody', 'c', 'caller, an owner; one fixed statement as superuser', 'nothing'),
	('public.clip_set_mode(regclass, text, name)', 'everybody', 'c', 'owner of the table, sandboxed', 'nothing'),
	('public.clip_stats_reset()', 'superuser', 'c', 'caller', 'nothing'),
	('public.clip_token_count(text)', 'everybody', 'c', 'caller', 'nothing'),
	('public.clip_token_count(text, text)', 'everybody', 'c', 'caller', 'nothing');

CREATE TEMP VIEW functions AS
	SELECT p.oid, p.prosecdef, format('%s.%s(%s)', CASE n.nspname WHEN 'clip' THEN 'clip' ELSE 'public' END, p.proname, oidvectortypes(p.proargtypes)) AS function,
		CASE WHEN EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
			THEN 'everybody' ELSE 'superuser' END AS executed_by,
		CASE WHEN l.lanname = 'c' THEN 'c' WHEN 'search_path=pg_catalog, pg_temp' = ANY (p.proconfig) THEN 'pinned' ELSE 'qualified' END AS names,
		p.prosrc
	FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
	JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_clip';

SELECT function AS without_entry FROM functions WHERE function NOT IN (SELECT function FROM entries) ORDER BY 1;
SELECT function AS without_function FROM entries WHERE function NOT IN (SELECT function FROM functions) ORDER BY 1;
SELECT f.function, f.executed_by, e.executed_by AS expected, f.names, e.names AS expected_names
FROM functions f JOIN entries e USING (function) WHERE (f.executed_by, f.names) IS DISTINCT FROM (e.executed_by, e.names) ORDER BY 1;
-- a definer's rights are those of event triggers alone, which nobody calls
SELECT function FROM functions f JOIN pg_proc p USING (oid) WHERE f.prosecdef AND p.prorettype <> 'event_trigger'::regtype;
-- what is not pinned names its schema with everything that it calls
SELECT function, m[1] AS unqualified FROM functions, regexp_matches(prosrc, '(?<![.\w])(clip_\w+|format|quote_ident|set_config|current_schema|parse_ident|cardinality)\(', 'g') m WHERE names = 'qualified';
-- one function starts a process
SELECT function, starts FROM entries WHERE starts LIKE 'a worker%';
-- what everybody may do with the bookkeeping's tables, and what the owner of a database may
SELECT c.relname, a.privilege_type, coalesce(r.rolname, 'everybody') AS grantee, c.relrowsecurity AS row_security
FROM pg_class c CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = 'clip'::regnamespace AND c.relkind IN ('r', 'S') AND a.grantee <> c.relowner ORDER BY 1, 3, 2;

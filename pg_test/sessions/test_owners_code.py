#!/usr/bin/env python3
"""Code of a table's owner runs as the owner, whoever's call, worker or maintenance starts it: triggers, functions of indexes and
constraints, domains, casts, policies, defaults. None of it can rise, start a process, or get at the caller's rights."""
import os

from pg import TWO_MODELS, Session, SqlError, fresh_database, golden_models, restart_server, until
from rows import settings

DB = "clip_owners_code"
# Each kind notes who it runs as; what a superuser runs it would notice.
HOSTILE = """
SET search_path = m, public;
CREATE TABLE m.log (kind text, who name, session name, path text);
CREATE FUNCTION m.climb(kind text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE attempt text;
BEGIN
    INSERT INTO m.log VALUES (kind, current_user, session_user, current_query());
    FOREACH attempt IN ARRAY ARRAY['SET ROLE NONE', 'RESET ROLE', 'SET SESSION AUTHORIZATION DEFAULT', 'SET LOCAL ROLE NONE',
            'ALTER ROLE mallory SUPERUSER', 'CALL public.clip_drain()', 'CALL public.clip_backfill(''m.t'')',
            'CALL public.clip_change_model(''m.t'', ''tiny'')', 'CALL public.clip_change_model(''m.t'', ''tiny-eps'')'] LOOP
        BEGIN
            PERFORM set_config('role', 'none', false);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        BEGIN
            EXECUTE attempt;
            IF attempt !~ 'ROLE|AUTHORIZATION' THEN
                INSERT INTO m.log VALUES ('got through: ' || attempt, current_user, session_user);
            END IF;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    INSERT INTO m.log VALUES (kind, current_user, session_user);
    RETURN true;
END $$;
CREATE FUNCTION m.quiet(kind text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN m.climb(kind); END $$;
CREATE DOMAIN m.title AS text CHECK (m.climb('domain'));
CREATE DOMAIN m.number AS int CHECK (m.climb('domain in an index'));
CREATE FUNCTION m.of_index(int, m.number[]) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM m.climb('index expression'); RETURN $1; END $$;
CREATE FUNCTION m.of_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM m.climb('trigger'); RETURN NEW; END $$;
CREATE FUNCTION m.of_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM m.climb('deferred trigger'); RETURN NULL; END $$;
CREATE FUNCTION m.of_default() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM m.climb('default'); RETURN 1; END $$;
CREATE FUNCTION m.of_vector(vector) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM m.climb('index on the vector'); RETURN 1; END $$;
"""
TABLE = """
SET search_path = m, public;
DROP TABLE IF EXISTS m.t;
CREATE TABLE m.t (id int PRIMARY KEY, title m.title, other int DEFAULT m.of_default(), embedding vector,
    CONSTRAINT checked CHECK (m.quiet('constraint')), CONSTRAINT of_vector CHECK (embedding IS NULL OR m.quiet('constraint on the vector')));
CREATE TRIGGER go BEFORE UPDATE ON m.t FOR EACH ROW EXECUTE FUNCTION m.of_trigger();
CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON m.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION m.of_statement();
CREATE INDEX on_expression ON m.t (m.of_index(id, '{1}'::m.number[]));
CREATE INDEX on_vector ON m.t (m.of_vector(embedding));
ALTER TABLE m.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON m.t USING (m.climb('policy'));
INSERT INTO m.t (id, title) SELECT i, 'cat ' || i FROM generate_series(1, 3) i;
TRUNCATE m.log;
"""


def as_mallory(sql):
    with Session(DB, PGUSER="mallory") as session:
        session.run(sql)


def check(admin, what, *kinds):
    """Nothing ran as somebody else than the owner, and what should have run did."""
    # policies and the like ask who somebody is: it is the owner, also where the session is another's
    wrong = admin.run("SELECT DISTINCT kind, who FROM m.log WHERE who <> 'mallory' OR kind LIKE 'got through%'")
    assert not wrong, (what, wrong)
    assert admin.one("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'") == "f", what
    seen = {row[0] for row in admin.run("SELECT DISTINCT kind FROM m.log")}
    assert set(kinds) <= seen, (what, seen)
    admin.run("TRUNCATE m.log")


def maintenance(admin):
    """Every function that works on a table, called by a superuser on another's table."""
    as_mallory(TABLE)
    admin.run("SELECT clip_attach('m.t', text_column => 'title')")
    check(admin, "clip_attach")
    admin.run("CALL clip_backfill('m.t')")
    check(admin, "clip_backfill", "trigger", "deferred trigger", "constraint", "index expression")
    admin.run("SELECT clip_set_mode('m.t', 'async')")
    check(admin, "clip_set_mode")
    as_mallory("INSERT INTO m.t (id, title) VALUES (10, 'dog'); TRUNCATE m.log")
    admin.run("CALL clip_drain('m.t')")
    check(admin, "clip_drain", "trigger", "deferred trigger", "constraint", "index expression")
    assert admin.one("SELECT count(*) FROM m.t WHERE embedding IS NULL") == "0", "a policy kept rows from being embedded"
    admin.run("SELECT clip_retry('m.t')")
    check(admin, "clip_retry")
    for concurrently in ("false", "true"):
        admin.run(f"CALL clip_create_index('m.t', type => 'halfvec', concurrently => {concurrently})")
        assert admin.one("SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'm.t'::regclass AND i.indisvalid "
                         "AND c.relname LIKE '%halfvec%' AND c.relowner = 'mallory'::regrole") == "1"
        admin.run("DROP INDEX m.t_embedding_halfvec_idx")
        check(admin, "clip_create_index")
    admin.run("CALL clip_change_model('m.t', 'tiny-eps')")
    check(admin, "clip_change_model", "trigger", "constraint on the vector", "index on the vector")
    assert admin.one("SELECT model FROM clip.tables WHERE relation = 'm.t'::regclass") == "tiny-eps"
    admin.run("SET statement_timeout = '400ms'")
    with Session(DB) as holder:
        holder.run("BEGIN; SELECT FROM m.t LIMIT 1")  # the change cannot take its lock
        assert admin.fails("CALL clip_change_model('m.t', 'tiny')") == "57014"
    admin.run("RESET statement_timeout")
    admin.run("SELECT clip_abort_model_change('m.t')")
    check(admin, "clip_abort_model_change")
    admin.run("SELECT clip_detach('m.t')")
    check(admin, "clip_detach")
    # what these functions stand on refuses to run as anybody else
    admin.run("SELECT clip_attach('m.t', text_column => 'title')")
    for call in ["clip.backfill_begin('m.t', 'embedding', 10)", "clip.backfill_continue('m.t', 'embedding')",
                 "clip.switch_mode('m.t', 'embedding', 'async')", "clip.detach('m.t', 'embedding')",
                 "clip.change_begin('m.t', 'tiny', 'embedding', false, 10)", "clip.change_step('m.t', 'embedding', 10)",
                 "clip.change_continue('m.t', 'embedding')",
                 "clip.abort_model_change('m.t', 'embedding')"]:
        assert admin.fails(f"SELECT {call}") == "42501", call
    check(admin, "internal functions")


def sandboxed(admin):
    """A session of a superuser that runs the owner's code without a call of ours: ANALYZE, REINDEX, and our worker."""
    admin.run("ANALYZE m.t")
    admin.run("REINDEX TABLE m.t")
    check(admin, "ANALYZE and REINDEX", "index expression")
    as_mallory(TABLE + "SELECT clip_attach('m.t', text_column => 'title', mode => 'async'); UPDATE m.t SET title = title || '!'; TRUNCATE m.log")
    until(lambda: admin.one("SELECT count(*) FROM m.t WHERE embedding IS NULL") == "0", what="the worker embeds the rows")
    check(admin, "the worker", "trigger")


def processes(admin):
    """No role but an owner, and no call but those that change the model or build indexes, starts a process."""
    admin.run("CREATE ROLE bob LOGIN; GRANT USAGE ON SCHEMA m TO bob; GRANT ALL ON m.t TO bob")
    workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip index build'"
    with Session(DB, PGUSER="bob") as bob:
        for call in ["SELECT clip.start_index_build('m.on_vector')", "CALL clip_change_model('m.t', 'tiny')", "CALL clip_backfill('m.t')",
                     "CALL clip_create_index('m.t', type => 'halfvec')", "CALL clip_create_index('m.t', type => 'halfvec', concurrently => false)",
                     "SELECT clip_abort_model_change('m.t')", "SELECT clip.try_lock('m.t')", "SELECT clip.begin_index_build('m.on_vector'::regclass)",
                     "SELECT clip_set_mode('m.t', 'sync')", "CALL clip_drain('m.t')", "SELECT clip.vacuum_gives_way('m.t')"]:
            assert bob.fails(call) in ("42501", "42883", "42704"), call
        assert admin.one(workers) == "0"
        # a lock that anybody can take keeps nobody from working
        bob.run("SELECT pg_advisory_lock('clip.backfills'::regclass::oid::integer, 'm.t'::regclass::oid::integer)")
        bob.run("SELECT pg_advisory_lock('clip.model_changes'::regclass::oid::integer, 'm.t'::regclass::oid::integer)")
        as_mallory("CALL clip_backfill('m.t')")
        as_mallory("CALL clip_change_model('m.t', 'tiny-eps')")
        assert admin.one("SELECT model FROM clip.tables WHERE relation = 'm.t'::regclass") == "tiny-eps"
    check(admin, "mallory's own calls")


try:
    with golden_models(TWO_MODELS) as models:
        settings(clip__model_dir=models)
        restart_server()
        with Session(fresh_database(DB)) as admin:
            admin.run("DROP ROLE IF EXISTS mallory, bob")
            admin.run(f"ALTER DATABASE {DB} SET clip.model = 'tiny'")
            admin.run("SET clip.model = 'tiny'; SET client_min_messages = error")
            admin.run("CREATE ROLE mallory LOGIN; CREATE SCHEMA m AUTHORIZATION mallory")
            as_mallory(HOSTILE)
            maintenance(admin)
        settings(shared_preload_libraries="pg_clip")
        restart_server()
        with Session(DB) as admin:
            sandboxed(admin)
            processes(admin)
        print("owner's code ran as the owner")
finally:
    settings(shared_preload_libraries=None, clip__model_dir=None)
    restart_server()
    with Session() as admin:
        admin.run(f"DROP DATABASE IF EXISTS {DB}")
        admin.run("DROP ROLE IF EXISTS mallory, bob")

#!/usr/bin/env python3
"""Databases and tables as they come: schemas with odd names, a type that looks like pgvector's, keys that are deferrable, tables
that become partitions, columns that go with their types, owners who cannot log in, isolation levels."""
from pg import TWO_MODELS, Session, fresh_database, golden_models, until

DB = "clip_odd"


def new_database(*statements, options=""):
    with Session() as admin:
        admin.run(f"DROP DATABASE IF EXISTS {DB}")
        admin.run(f"CREATE DATABASE {DB} {options}")
    session = Session(DB)
    session.run("SET client_min_messages = error")
    for statement in statements:
        session.run(statement)
    return session


def use(session):
    """Everything that names the extension's or pgvector's schema."""
    session.run("SELECT clip_create_table('items'); INSERT INTO items (modality, content_ref) VALUES ('text', 'cat')")
    session.run("SELECT clip_set_mode('items', 'async'); INSERT INTO items (modality, content_ref) VALUES ('text', 'dog')")
    session.run("CALL clip_drain(); SELECT clip_set_mode('items', 'sync')")
    session.run("CALL clip_change_model('items', 'tiny-eps')")
    assert session.one("SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', 'dog') LIMIT 1") == "dog"
    assert session.one("SELECT count(*) FROM items WHERE embedding IS NULL") == "0"
    session.run("SELECT clip_detach('items'); SELECT clip_attach('items', text_column => 'content_ref', image_column => 'image', modality_column => 'modality')")


def schemas(models):
    configured = [f"SET clip.model_dir = '{models}'", "SET clip.model = 'tiny'"]
    for schema in ("50% Off", "%s", "My Schema", "it's", "select"):
        quoted = f'"{schema}"'
        extension = "public" if "'" in schema else quoted  # PostgreSQL itself refuses a quote in an extension's schema
        with new_database(f"CREATE SCHEMA {quoted}", f"CREATE EXTENSION vector SCHEMA {extension}", f"CREATE EXTENSION pg_clip SCHEMA {extension}",
                          f"SET search_path = {quoted}, public", *configured) as session:
            use(session)
            if "'" not in schema:  # and renamed afterwards
                session.run(f"DROP TABLE items; ALTER SCHEMA {quoted} RENAME TO \"%I renamed\"; SET search_path = \"%I renamed\"")
                use(session)
    # a type of that name in the schema of the extension, which would be found first
    with new_database("CREATE TYPE public.vector AS (a text, b text)", "CREATE SCHEMA ext", "CREATE EXTENSION vector SCHEMA ext",
                      "CREATE FUNCTION public.decoy(regclass, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hijacked'; END $$",
                      "CREATE FUNCTION public.decoy(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hijacked'; END $$",
                      "CREATE OPERATOR public.= (LEFTARG = regclass, RIGHTARG = oid, FUNCTION = public.decoy)",
                      "CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.decoy)",
                      "CREATE FUNCTION public.nextval(text) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
                      "CREATE EXTENSION pg_clip SCHEMA public", "SET search_path = public, ext", *configured) as session:
        types = session.run("SELECT DISTINCT prorettype::regtype FROM pg_proc WHERE proname IN ('clip_embed_text', 'clip_query')")
        assert types == [["ext.vector"]], types
        use(session)
        assert session.run("SELECT relation FROM clip_queue UNION SELECT relation FROM clip_progress") == []
        assert "decoy" not in session.one("SELECT string_agg(pg_get_viewdef(c.oid), ' ') FROM pg_class c WHERE relkind = 'v' AND relname LIKE 'clip%'")


def tables(models):
    with new_database("CREATE EXTENSION pg_clip CASCADE", f"ALTER DATABASE {DB} SET clip.model_dir = '{models}'",
                      f"ALTER DATABASE {DB} SET clip.model = 'tiny'", f"SET clip.model_dir = '{models}'", "SET clip.model = 'tiny'") as session:
        session.run("CREATE TABLE later (id int PRIMARY KEY DEFERRABLE, title text, embedding vector)")
        assert session.fails("SELECT clip_attach('later', text_column => 'title', mode => 'async')") == "55000"
        session.run("SELECT clip_attach('later', text_column => 'title')")
        assert session.fails("SELECT clip_set_mode('later', 'async')") == "55000"
        session.run("INSERT INTO later VALUES (1, 'cat')")
        # a domain's rules hold for what the trigger writes
        session.run("CREATE DOMAIN short AS vector CHECK (vector_dims(VALUE) < 5); CREATE TABLE ruled (id int, title text, embedding short)")
        session.run("SELECT clip_attach('ruled', text_column => 'title')")
        assert session.fails("INSERT INTO ruled VALUES (1, 'cat')") == "23514"
        session.run("INSERT INTO ruled VALUES (1, NULL); DROP TABLE ruled; DROP DOMAIN short")
        # constraints that wait for the commit of the caller's own transaction go on waiting
        session.run("CREATE TABLE master (id int PRIMARY KEY); CREATE TABLE detail (id int PRIMARY KEY, title text, embedding vector, "
                    "of int REFERENCES master DEFERRABLE INITIALLY DEFERRED)")
        session.run("BEGIN; INSERT INTO detail (id, of) VALUES (1, 7); CREATE TABLE beside (id int PRIMARY KEY, title text, embedding vector)")
        session.run("SELECT clip_attach('beside', text_column => 'title'), clip_set_mode('beside', 'async'), clip_detach('beside')")
        session.run("INSERT INTO master VALUES (7); COMMIT; DROP TABLE detail, master, beside")
        # a table that becomes a partition
        session.run("CREATE TABLE whole (id int PRIMARY KEY, title text, embedding vector) PARTITION BY RANGE (id)")
        session.run("CREATE TABLE part (id int PRIMARY KEY, title text, embedding vector); SELECT clip_attach('part', text_column => 'title', mode => 'async')")
        session.run("ALTER TABLE whole ATTACH PARTITION part FOR VALUES FROM (0) TO (10)")
        session.run("INSERT INTO whole VALUES (1, 'through the parent'); INSERT INTO part VALUES (2, 'directly'); CALL clip_drain()")
        assert session.one("SELECT count(*) FROM whole WHERE embedding IS NULL") == "0"
        # columns that go with something else
        for create, drop in [("CREATE DOMAIN e AS vector(24)", "DROP DOMAIN e CASCADE"), ("CREATE DOMAIN e AS vector", "DROP OWNED BY odd CASCADE")]:
            session.run("DROP ROLE IF EXISTS odd; CREATE ROLE odd")
            session.run(f"{create}; ALTER DOMAIN e OWNER TO odd; CREATE TABLE gone (id int PRIMARY KEY, title text, embedding e)")
            session.run("SELECT clip_attach('gone', text_column => 'title', mode => 'async'); INSERT INTO gone VALUES (1, 'waits')")
            session.run(drop)
            assert session.one("SELECT count(*) FROM clip.tables WHERE relation = 'gone'::regclass") == "0", drop
            assert session.one("SELECT count(*) FROM clip.queue WHERE relation = 'gone'::regclass") == "0", drop
            session.run("INSERT INTO gone VALUES (2, 'still here'); DROP TABLE gone; DROP ROLE odd")
        # a subscriber would stop at a column that it does not have
        session.run("CREATE TABLE sent (id int PRIMARY KEY, title text, embedding vector); SELECT clip_attach('sent', text_column => 'title')")
        session.run("CREATE PUBLICATION p FOR TABLE sent; SET client_min_messages = warning")
        assert "published" in str(session.run("CALL clip_change_model('sent', 'tiny-eps')"))
        session.run("SET client_min_messages = error; DROP PUBLICATION p")
        # a temporary table ends without being dropped
        with Session(DB) as other:
            other.run("CREATE TEMP TABLE passing (id int PRIMARY KEY, title text, embedding vector); SELECT clip_attach('passing', text_column => 'title')")
        until(lambda: session.one("SELECT count(*) FROM pg_class WHERE relname = 'passing'") == "0", what="the temporary table goes")
        session.run("SELECT clip_create_table('next_one', index => false)")
        assert session.one("SELECT count(*) FROM clip.tables t WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)") == "0"
        # isolation and read-only by default
        for setting in ("default_transaction_isolation = 'serializable'", "default_transaction_isolation = 'repeatable read'"):
            session.run(f"SET {setting}; TRUNCATE next_one; INSERT INTO next_one (modality, content_ref) VALUES ('text', 'cat')")
            session.run("ALTER TABLE next_one DISABLE TRIGGER USER; UPDATE next_one SET embedding = NULL; ALTER TABLE next_one ENABLE TRIGGER USER")
            session.run("CALL clip_backfill('next_one'); CREATE INDEX ON next_one USING hnsw (embedding vector_cosine_ops)")
            target = {"tiny": "tiny-eps", "tiny-eps": "tiny"}[session.one("SELECT model FROM clip.tables WHERE relation = 'next_one'::regclass")]
            session.run(f"CALL clip_change_model('next_one', '{target}')")
            assert session.one("SELECT embedding <=> clip_query('next_one', 'cat') < 1e-5 FROM next_one") == "t", setting
        session.run("SET default_transaction_read_only = on")
        assert session.fails("CALL clip_backfill('next_one')") == "25006"
        session.run("RESET default_transaction_read_only; RESET default_transaction_isolation")
        # an owner who cannot log in: his indexes are built from version 17 on, before that he is told at once
        session.run("CREATE ROLE clip_group; ALTER TABLE next_one OWNER TO clip_group; GRANT ALL ON SCHEMA public TO clip_group")
        target = {"tiny": "tiny-eps", "tiny-eps": "tiny"}[target]
        if int(session.one("SHOW server_version_num")) < 170000:
            assert session.fails(f"CALL clip_change_model('next_one', '{target}')") == "55000"
            assert session.one("SELECT count(*) FROM clip.model_changes") == "0"
            session.run("ALTER ROLE clip_group LOGIN")
        session.run(f"CALL clip_change_model('next_one', '{target}')")
        assert session.one("SELECT embedding <=> clip_query('next_one', 'cat') < 1e-5 FROM next_one") == "t"
        session.run("DROP TABLE next_one; REVOKE ALL ON SCHEMA public FROM clip_group; DROP ROLE clip_group")


def beside_autovacuum(models):
    """A change of model waits for autovacuum no longer than for one lock."""
    with new_database("CREATE EXTENSION pg_clip CASCADE", f"ALTER DATABASE {DB} SET clip.model_dir = '{models}'",
                      f"SET clip.model_dir = '{models}'", "SET clip.model = 'tiny'") as session, Session() as admin:
        session.run("CREATE TABLE v (id int PRIMARY KEY, filler text, title text, embedding vector) "
                    "WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, fillfactor = 10, autovacuum_vacuum_threshold = 0)")
        session.run("INSERT INTO v SELECT i, repeat('x', 500), 'cat' FROM generate_series(1, 2000) i; DELETE FROM v WHERE id > 30")
        session.run("SELECT clip_attach('v', text_column => 'title'); CALL clip_backfill('v')")
        admin.run("ALTER SYSTEM SET autovacuum_naptime = '1s'; SELECT pg_reload_conf()")
        try:
            at_work = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query LIKE 'autovacuum:%public.v%'"
            until(lambda: admin.one(at_work) == "1", 60, what="autovacuum works on the table")
            session.run("SET statement_timeout = '60s'; CALL clip_change_model('v', 'tiny-eps')")
            assert session.one("SELECT model FROM clip.tables WHERE relation = 'v'::regclass") == "tiny-eps"
        finally:
            admin.run("ALTER SYSTEM RESET autovacuum_naptime; SELECT pg_reload_conf()")


with golden_models(TWO_MODELS) as models:
    schemas(models)
    tables(models)
    beside_autovacuum(models)
with Session() as admin:
    admin.run(f"DROP DATABASE {DB}")
print("odd servers work")

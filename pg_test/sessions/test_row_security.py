#!/usr/bin/env python3
"""Row-level security: what binds a table's owner hides no row from backfill, change of model and queue; and the views tell a
role that sees some of the rows nothing of the others."""
from pg import TWO_MODELS, Session, fresh_database, golden_models

DB = "clip_row_security"
VIEWS = ["clip_queue", "clip_failures", "clip_progress"]


def every_row(models, admin):
    """FORCE ROW LEVEL SECURITY, and a policy that shows half of the rows, or none."""
    for name, policy in [("half", "tenant = current_setting('app.tenant', true)"), ("none", "false")]:
        table = f"a.{name}"
        with Session(DB, PGUSER="alice") as alice:
            alice.run("SET app.tenant = 'x'; SET client_min_messages = error")
            alice.run(f"CREATE TABLE {table} (id int PRIMARY KEY, tenant text, title text, embedding vector)")
            alice.run(f"INSERT INTO {table} SELECT i, CASE WHEN i % 2 = 0 THEN 'x' ELSE 'y' END, 'title ' || i FROM generate_series(1, 10) i")
            alice.run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
            alice.run(f"CREATE POLICY p ON {table} USING ({policy}) WITH CHECK (true)")
            alice.run(f"SELECT clip_attach('{table}', text_column => 'title')")
            alice.run(f"CALL clip_backfill('{table}')")
            missing = f"SELECT count(*) FROM {table} WHERE embedding IS NULL OR embedding <=> clip_query('{table}', title) > 1e-5"
            assert admin.one(missing) == "0", f"clip_backfill, policy {policy}"
            alice.run(f"CALL clip_change_model('{table}', 'tiny-eps')")
            assert admin.one(missing) == "0", f"clip_change_model, policy {policy}"
            assert admin.one(f"SELECT model FROM clip.tables WHERE relation = '{table}'::regclass") == "tiny-eps"
            alice.run(f"SELECT clip_set_mode('{table}', 'async')")
            alice.run(f"INSERT INTO {table} (id, tenant, title) VALUES (11, 'y', 'waits')")
            alice.run(f"CALL clip_drain('{table}')")
            assert admin.one(missing) == "0", f"clip_drain, policy {policy}"
            assert alice.one(f"SELECT count(*) FROM {table}") == {"half": "5", "none": "0"}[name], "the policy holds for the owner's own statements"
    assert admin.one("SELECT count(*) FROM clip.queue") == "0"
    # a partition of somebody else's, with policies of his: an error, as they cannot be lifted in the owner's name
    admin.run("CREATE TABLE a.parts (id int PRIMARY KEY, title text, embedding vector) PARTITION BY RANGE (id)")
    admin.run("CREATE TABLE a.one PARTITION OF a.parts FOR VALUES FROM (0) TO (100); INSERT INTO a.parts (id, title) VALUES (1, 'cat')")
    admin.run("ALTER TABLE a.parts OWNER TO alice; ALTER TABLE a.one OWNER TO bob; GRANT ALL ON a.one TO alice")
    admin.run("ALTER TABLE a.one ENABLE ROW LEVEL SECURITY")
    with Session(DB, PGUSER="alice") as alice:
        alice.run("SELECT clip_attach('a.parts', text_column => 'title')")
        assert alice.fails("CALL clip_backfill('a.parts')") == "42501"
    admin.run("DROP TABLE a.parts")


def views(admin):
    """Keys, errors and counts of rows that a role does not see."""
    with Session(DB, PGUSER="alice") as alice:
        alice.run("SET client_min_messages = error")
        alice.run("CREATE TABLE a.t (email text PRIMARY KEY, tenant name, photo bytea, embedding vector)")
        alice.run("ALTER TABLE a.t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON a.t USING (tenant = current_user)")
        alice.run("GRANT SELECT ON a.t TO bob; GRANT SELECT (tenant) ON a.t TO carol; GRANT SELECT ON a.t TO dora")
        alice.run("SELECT clip_attach('a.t', image_column => 'photo')")
        alice.run("ALTER TABLE a.t DISABLE TRIGGER USER")
        alice.run("INSERT INTO a.t VALUES ('bad@example.org', 'alice', 'no image')")
        alice.run("ALTER TABLE a.t ENABLE TRIGGER USER")
        alice.run("CALL clip_backfill('a.t')")
        alice.run("SELECT clip_set_mode('a.t', 'async')")
        alice.run("INSERT INTO a.t VALUES ('secret@example.org', 'alice', 'no image')")
        alice.run("CALL clip_drain('a.t')")
        alice.run("INSERT INTO a.t VALUES ('waits@example.org', 'alice', 'no image')")
        assert alice.run("SELECT waiting, dead FROM clip_queue WHERE relation = 'a.t'::regclass") == [["1", "2"]]
        keys = alice.one("SELECT string_agg(key::text, ' ') FROM clip_failures WHERE relation = 'a.t'::regclass")
        assert "secret" in keys and "bad@" in keys, keys
        alice.run("UPDATE a.t SET tenant = tenant")
    admin.run("UPDATE clip.backfills SET finished_at = NULL WHERE relation = 'a.t'::regclass")
    admin.run("INSERT INTO clip.index_failures VALUES ('a.t', 0, 'could not index secret@example.org')")
    relations = [*VIEWS, "clip.backfills", "clip.index_failures"]
    for role, sees in [("bob", False), ("carol", False), ("eve", False), ("dora", True)]:
        with Session(DB, PGUSER=role) as session:
            for relation in relations:
                count = session.one(f"SELECT count(*) FROM {relation} v WHERE relation = (SELECT oid FROM pg_class WHERE relname = 't' AND relnamespace = 'a'::regnamespace)")
                # who may read every row of the table sees what the views say of it
                assert (count != "0") == sees, (role, relation, count)
            for relation in ("clip.queue", "clip.failures"):
                assert session.fails(f"SELECT * FROM {relation}") == "42501", (role, relation)
    with Session(DB, PGUSER="alice") as alice:
        for relation in relations:
            assert alice.one(f"SELECT count(*) FROM {relation} WHERE relation = 'a.t'::regclass") != "0", relation


def pooled(admin):
    """A connection that is handed on: nobody learns what its last user embedded."""
    with Session(DB) as session:
        counters = "SELECT coalesce(sum(memo_hits), 0) FROM clip.counters(true) WHERE kind = 'text'"
        session.run("SET SESSION AUTHORIZATION alice")
        for expected in ("0", "1"):
            session.run("SELECT clip_embed_text('confidential')")
            assert session.one(counters) == expected
        session.run("DISCARD ALL; SET SESSION AUTHORIZATION bob; SELECT clip_embed_text('confidential')")
        assert session.one(counters) == "1", "bob was answered from what alice embedded"


with golden_models(TWO_MODELS) as models, Session(fresh_database(DB)) as admin:
    admin.run("SET client_min_messages = error; DROP ROLE IF EXISTS alice, bob, carol, dora, eve")
    for setting, value in [("model_dir", models), ("model", "tiny")]:
        admin.run(f"ALTER DATABASE {DB} SET clip.{setting} = '{value}'; SET clip.{setting} = '{value}'")
    admin.run("CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE dora LOGIN BYPASSRLS; CREATE ROLE eve LOGIN")
    admin.run("CREATE SCHEMA a AUTHORIZATION alice; GRANT USAGE ON SCHEMA a TO bob, carol, dora; GRANT CREATE ON SCHEMA a TO bob")
    every_row(models, admin)
    views(admin)
    pooled(admin)
with Session() as admin:
    admin.run(f"DROP DATABASE {DB}")
    admin.run("DROP ROLE alice, bob, carol, dora, eve")
print("no row is left out, and none is told of")

#!/usr/bin/env python3
"""Entries of clip_failures and those who repair their rows: no transaction fails by them, whatever its isolation, and nobody waits
for one that is still open."""
from pg import TWO_MODELS, Session, fresh_database, golden_models, hexed, png, until

db = fresh_database("clip_failing")
GOOD = hexed(png(9, 7))


def failed(session):
    return [key for key, in session.run("SELECT key ->> 'id' FROM clip_failures ORDER BY key")]


with Session(db) as session, Session(db) as writer:
    session.run("SET client_min_messages = error; SET lock_timeout = '5s'")
    session.run("CREATE TABLE t (id int PRIMARY KEY, photo bytea, embedding vector)")
    session.run("INSERT INTO t SELECT i, 'no image' FROM generate_series(1, 4) i")
    session.run("SELECT clip_attach('t', image_column => 'photo')")
    session.run("CALL clip_backfill('t')")
    assert failed(session) == ["1", "2", "3", "4"]

    # the entry is newer than what the writer's transaction sees of anything else
    writer.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")
    session.run("CALL clip_backfill('t')")
    writer.run(f"UPDATE t SET photo = {GOOD} WHERE id = 1; COMMIT")
    assert failed(session) == ["2", "3", "4"]

    # what is repaired in an open transaction is left to it
    writer.run(f"BEGIN; UPDATE t SET photo = {GOOD} WHERE id = 2")
    assert session.one("SELECT clip_retry('t')") == "2"
    session.run("CALL clip_drain('t')")
    assert failed(session) == ["2", "3", "4"]
    writer.run("ROLLBACK")
    assert failed(session) == ["2", "3", "4"]
    writer.run(f"BEGIN; UPDATE t SET photo = {GOOD} WHERE id = 2; DELETE FROM t WHERE id = 3; SAVEPOINT a; DELETE FROM t WHERE id = 4; ROLLBACK TO a; COMMIT")
    session.run("CALL clip_backfill('t')")  # a table in mode sync is not told of rows that are deleted
    assert failed(session) == ["4"], failed(session)
    # a row that went where the walk had been keeps its entry, one that is gone does not
    session.run("INSERT INTO clip.failures (relation, embedding_column, key, sqlstate, message, state) VALUES "
                "('t', 'embedding', '{99}', '22000', '', 'dead'), ('t', 'embedding', '{a,b}', '22000', '', 'dead'), ('t', 'embedding', '{x}', '22000', '', 'dead')")
    session.run("UPDATE clip.backfills SET finished_at = NULL, place = '(1000,1)', pass_done = 0, pass_left = 0, started_at = clock_timestamp()")
    session.run("CALL clip_backfill('t')")
    assert failed(session) == ["4"], failed(session)
    session.run(f"UPDATE t SET photo = {GOOD}")
    assert failed(session) == []
    assert session.one("SELECT bool_and(embedding = clip_embed_image(photo)) FROM t") == "t"

    # a key of a type that the column had before
    session.run("INSERT INTO clip.failures (relation, embedding_column, key, sqlstate, message, state) VALUES ('t', 'embedding', '{x}', '22000', '', 'dead')")
    assert failed(session) == ["x"]

    # a row that fails in mode async and gets another key in mode sync; its old one is free for others
    session.run("CREATE TABLE u (id int PRIMARY KEY, photo bytea, embedding vector)")
    session.run("SELECT clip_attach('u', image_column => 'photo', mode => 'async')")
    session.run("INSERT INTO u VALUES (1, 'no image'); CALL clip_drain('u'); SELECT clip_set_mode('u', 'sync')")
    session.run(f"UPDATE u SET id = 2 WHERE id = 1; INSERT INTO u VALUES (1, {GOOD})")
    session.run("CALL clip_drain('u')")
    assert session.one("SELECT string_agg(key ->> 'id', ',') FROM clip_failures WHERE relation = 'u'::regclass") == "2"

# rows that a change of model failed at, and that are gone before it ends
with golden_models(TWO_MODELS) as models:
    with Session() as admin:
        admin.run(f"ALTER DATABASE {db} SET clip.model_dir = '{models}'; ALTER DATABASE {db} SET clip.model = 'tiny'")
    with Session(db) as session, Session(db) as changer, Session(db) as holder:
        session.run("CREATE TABLE v (id int PRIMARY KEY, photo bytea, embedding vector)")
        session.run("SELECT clip_attach('v', image_column => 'photo'); ALTER TABLE v DISABLE TRIGGER ALL")
        session.run("INSERT INTO v SELECT i, 'no image', array_fill(0.1, ARRAY[(SELECT dimensions FROM clip_models() WHERE name = 'tiny')])::vector "
                    "FROM generate_series(1, 3) i; ALTER TABLE v ENABLE TRIGGER ALL")
        holder.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1")
        changer.send("CALL clip_change_model('v', 'tiny-eps', skip_missing => true)")
        until(lambda: session.one("SELECT count(*) FROM clip_failures WHERE relation = 'v'::regclass") == "3", 30, "failures of the change")
        session.run(f"DELETE FROM v WHERE id < 3; INSERT INTO v VALUES (1, {GOOD})")
        holder.run("COMMIT")
        changer.wait()
        found = session.one("SELECT string_agg(embedding_column || ' ' || (key ->> 'id'), ',') FROM clip_failures WHERE relation = 'v'::regclass")
        assert found == "embedding 3", found

#!/usr/bin/env python3
"""A row of which the worker's process dies costs two restarts of the server at most, and no other row its turn: those of its
batch and those that other workers have at that moment are embedded. A process that is told to end is no crash."""
import os
import time

from pg import Session, SqlError, fresh_database, restart_server, until
from rows import empty_queue, no_workers, preloaded, settings

LOG = os.path.join(os.environ["PGHOST"], "server.log")
RESTART = "all server processes terminated; reinitializing"


def restarts():
    with open(LOG, errors="replace") as log:
        return log.read().count(RESTART)


def ask(db, sql):
    """On a server that restarts now and then."""
    try:
        with Session(db) as session:
            return session.run(sql)
    except (SqlError, ValueError, OSError):
        return None


preloaded(clip__workers=2)
try:
    db = fresh_database("clip_poison_row")
    with Session(db) as session:
        session.run("CREATE TABLE posts (id int PRIMARY KEY, title text, embedding vector); CREATE TABLE slow (LIKE posts INCLUDING ALL)")
        session.run("CREATE TABLE lines (line text)")
        # kill -9 of the very process, as the kernel does where memory runs out
        session.run("CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                    "IF NEW.title LIKE 'poison%' THEN COPY lines FROM PROGRAM 'kill -9 $PPID; sleep 10'; END IF; RETURN NEW; END $$")
        session.run("CREATE TRIGGER die BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION die()")
        session.run("CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NEW; END $$")
        session.run("CREATE TRIGGER wait BEFORE UPDATE ON slow FOR EACH ROW EXECUTE FUNCTION wait()")
        session.run("SELECT clip_attach(t, text_column => 'title', mode => 'async') FROM unnest('{posts,slow}'::regclass[]) t")
        # another worker has rows in its hands at each crash
        session.run("INSERT INTO slow SELECT i, 'slow ' || i FROM generate_series(1, 40) i")
        until(lambda: session.one("SELECT count(*) FROM clip.queue WHERE claimed_by IS NOT NULL AND relation = 'slow'::regclass") != "0")
        before = restarts()
        session.run("INSERT INTO posts SELECT i, CASE WHEN i = 30 THEN 'poison' ELSE 'post ' || i END FROM generate_series(1, 100) i")
    dead = "SELECT relation::regclass, key, sqlstate, message FROM clip.failures WHERE state = 'dead'"
    until(lambda: ask(db, dead), 60)
    until(lambda: ask(db, "SELECT count(*) FROM clip.queue") == [["0"]], 90)
    seen = restarts() - before
    assert seen == 2, f"{seen} restarts"
    assert ask(db, dead) == [["posts", "{30}", "57P02", "the server process ended in each of 2 attempts to embed the row"]], ask(db, dead)
    with Session(db) as session:
        assert session.run("SELECT id FROM posts WHERE embedding IS NULL") == [["30"]]
        assert session.one("SELECT count(*) FROM slow WHERE embedding IS NULL") == "0"

        # twice more, with others' rows in the same moment: these are none the worse for it
        session.run("TRUNCATE slow")
        empty_queue(session)
        session.run("INSERT INTO slow SELECT i, 'slow ' || i FROM generate_series(1, 60) i")
        until(lambda: session.one("SELECT count(*) FROM clip.queue WHERE claimed_by IS NOT NULL AND relation = 'slow'::regclass") != "0")
        session.run("INSERT INTO posts SELECT 1000, 'poison again'")
    until(lambda: restarts() - before >= 3, 60)
    until(lambda: ask(db, dead), 60)
    assert ask(db, "SELECT count(*) FROM clip.queue WHERE relation = 'slow'::regclass AND coalesce(crashes, 0) > 0") == [["0"]]
    assert restarts() - before == 4

    # orderly ends, in the middle of a batch: no attempt, no crash
    with Session(db) as session:
        session.run("TRUNCATE slow")
        empty_queue(session)
        session.run("INSERT INTO slow SELECT i, 'slow ' || i FROM generate_series(1, 300) i")
        for _ in range(3):
            until(lambda: session.one("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker' "
                                      "AND query LIKE 'writing%slow%'") != "0", 60)
            until(lambda: session.one("SELECT count(*) FROM clip.queue q WHERE claimed_by IS NOT NULL "
                                      "AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = q.claimed_by)") == "0")
            assert session.one("SELECT count(*) FROM clip.queue WHERE attempts > 0 OR crashes > 0") == "0"
        session.run("UPDATE clip.queue SET not_before = now() WHERE not_before < 'infinity'")
        until(lambda: session.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker' AND query LIKE 'writing%slow%'") != "0", 60)
    restart_server()
    with Session(db) as session:
        assert session.one("SELECT count(*) FROM clip.queue WHERE attempts > 0 OR crashes > 0") == "0"
        # a session that drains and leaves after an error
        no_workers(session)
        for _ in range(3):
            with Session(db) as drains:
                drains.run("SET statement_timeout = '1500ms'")
                assert drains.fails("CALL clip_drain('slow')") == "57014"
        session.run("CALL clip_drain('posts')")
        assert session.one("SELECT count(*) FROM clip.queue WHERE attempts > 0 OR crashes > 0") == "0"
    print(f"restarts for two rows of which their worker's process dies: {restarts() - before}")
finally:
    settings(shared_preload_libraries=None, clip__workers=None)
    restart_server()
    with Session() as admin:  # its rows would keep the workers of other tests busy
        admin.run("DROP DATABASE IF EXISTS clip_poison_row")

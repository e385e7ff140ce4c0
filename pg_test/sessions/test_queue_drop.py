#!/usr/bin/env python3
"""DROP TABLE, DROP EXTENSION and DROP DATABASE WITH (FORCE) while a worker is at work: each is done at once, and the log
has no other errors than those that belong to it."""
import os
import re
import time

from pg import Session, fresh_database, hexed, png, restart_server, until
from rows import settings

LOG = os.path.join(os.environ["PGHOST"], "server.log")
WORKING = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker' AND query LIKE 'embedding %'"


def at_work(db):
    """A session on a database whose worker is in the middle of a long queue."""
    session = Session(db)
    session.run("SET client_min_messages = warning")
    session.run("CREATE TABLE IF NOT EXISTS picture AS SELECT " + hexed(png(700, 700)) + " AS image")
    session.run("SELECT clip_create_table('busy', keep_images => true, mode => 'async')")
    # large ones, different in the bytes after their end
    session.run("INSERT INTO busy (modality, content_ref, image) SELECT 'image', i, image || int4send(i) FROM picture, generate_series(1, 2000) i")
    until(lambda: session.one(WORKING) == "1", 60)
    until(lambda: session.one("SELECT count(*) FROM busy WHERE embedding IS NOT NULL") != "0", 60)
    until(lambda: session.one(WORKING) == "1", 60)
    return session


def timed(session, sql, what):
    start = time.monotonic()
    session.run(sql)
    spent = time.monotonic() - start
    print(f"{what} while a worker is at work: {spent * 1000:.0f} ms")
    # on a machine with much else to do; after 5 s DROP DATABASE itself gives up on whoever does not leave
    assert spent < 4, spent


settings(shared_preload_libraries="pg_clip")
restart_server()
try:
    with open(LOG) as log:
        log.seek(0, 2)
        db = fresh_database("clip_queue_drop")
        with at_work(db) as session:
            timed(session, "DROP TABLE busy", "DROP TABLE")
            assert session.one("SELECT count(*) FROM clip.queue") == "0"
        with at_work(db) as session:
            timed(session, "TRUNCATE busy", "TRUNCATE")
            until(lambda: session.one("SELECT count(*) FROM clip.queue") == "0", 60)
            session.run("DROP TABLE busy")
        with at_work(db) as session:
            timed(session, "DROP EXTENSION pg_clip CASCADE", "DROP EXTENSION")
            until(lambda: session.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'") == "0")
            session.run("DROP TABLE busy; CREATE EXTENSION pg_clip")
        with Session() as admin:
            with at_work(db) as session:
                pass
            # Who has said goodbye is there for a moment more, and would be in the log as one that was sent away.
            until(lambda: admin.one(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {session.pid}") == "0")
            timed(admin, f"DROP DATABASE {db} WITH (FORCE)", "DROP DATABASE WITH (FORCE)")
            time.sleep(6)  # the launcher does not try to connect to what is gone
            assert admin.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip launcher'") == "1"
        lines = [line for line in log if re.search(r"ERROR|FATAL|PANIC|WARNING|exit code|terminated", line)]
        # autovacuum gives way to a DROP of the table that it is at, as always
        lines = [line for line in lines if "canceling autovacuum task" not in line and "terminating autovacuum process" not in line]
        expected = [line for line in lines if "terminating background worker" in line or "exited with exit code 1" in line]
        print("in the log:", [re.sub(r"^.*?(LOG|FATAL|ERROR)", r"\1", line).strip() for line in lines])
        assert lines == expected and len(lines) <= 2, lines
finally:
    settings(shared_preload_libraries=None)
    restart_server()

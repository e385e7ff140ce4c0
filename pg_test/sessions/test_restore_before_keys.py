#!/usr/bin/env python3
"""Rows that wait are restored before their tables have keys, and hours may pass in between: no attempt is counted meanwhile,
what is missing can be seen, and when it is there they are embedded. The same where the model is not there yet."""
import os
import subprocess
import tempfile

from pg import Session, bindir, fresh_database, restart_server, until
from rows import preloaded, settings

ROWS = 200
STATE = "SELECT max(attempts), (SELECT count(*) FROM clip.failures WHERE state = 'dead'), count(*) FROM clip.queue"
# what a day of pauses would do: as if each had ended
HURRY = "UPDATE clip.queue SET not_before = now() WHERE not_before < 'infinity'"

preloaded(clip__workers=0)
directory = tempfile.mkdtemp()
dump = os.path.join(directory, "dump")
try:
    db = fresh_database("clip_before_keys")
    with Session(db) as session:
        session.run("CREATE TABLE t (id int PRIMARY KEY, title text, embedding vector)")
        session.run("SELECT clip_attach('t', text_column => 'title', mode => 'async')")
        session.run(f"INSERT INTO t SELECT i, 'text ' || i FROM generate_series(1, {ROWS}) i")
        # some are claimed by somebody of the old database
        session.run("UPDATE clip.queue SET claimed_by = 1, claimer_start = now(), claimed_in = (SELECT oid FROM pg_database "
                    "WHERE datname = current_database()), not_before = 'infinity' WHERE id % 3 = 0")
    pg_dump, pg_restore = (os.path.join(bindir(), name) for name in ("pg_dump", "pg_restore"))
    subprocess.run([pg_dump, "-Fc", "-d", db, "-f", dump], check=True)
    settings(clip__workers=1)
    restart_server()
    with Session() as admin:
        admin.run(f"DROP DATABASE {db}")
        admin.run(f"CREATE DATABASE {db}")
    subprocess.run([pg_restore, "-d", db, "--section=pre-data", "--section=data", dump], check=True)
    with Session(db) as session:
        for _ in range(8):  # tries
            until(lambda: int(session.one("SELECT coalesce(sum(pauses), 0) FROM clip.queue")) > 0)
            session.run("UPDATE clip.queue SET pauses = 0")
            session.run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'")
            assert session.run(STATE) == [["0", "0", str(ROWS)]], session.run(STATE)
            session.run(HURRY)
            # a table's pause is not longer than one of its rows', which are due
            session.run("CALL clip_drain()")
        assert session.run("SELECT DISTINCT sqlstate, message FROM clip_failures") == \
            [["55000", "the table has no primary key, which the row waits under"]]
        assert session.one("SELECT retrying > 0 FROM clip_queue") == "t"
    subprocess.run([pg_restore, "-d", db, "--section=post-data", dump], check=True)
    with Session(db) as session:
        until(lambda: session.one("SELECT count(*) FROM t WHERE embedding IS NULL") == "0", 120)
        assert session.one("SELECT count(*) FROM clip.queue") == "0"

        # a model that is not installed (yet)
        session.run("UPDATE clip.tables SET model = 'not-here'")
        session.run("INSERT INTO t VALUES (1000, 'cat')")
        for _ in range(8):
            session.run(HURRY)
            session.run("CALL clip_drain()")
        assert session.run("SELECT attempts, state, sqlstate FROM clip_failures") == [["0", "waiting", "42704"]]
        session.run("UPDATE clip.tables SET model = 'pictograms'")
        session.run(HURRY)
        session.run("CALL clip_drain()")
        until(lambda: session.one("SELECT count(*) FROM t WHERE embedding IS NULL") == "0", 120)
finally:
    settings(shared_preload_libraries=None, clip__workers=None)
    restart_server()

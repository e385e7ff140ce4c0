#!/usr/bin/env python3
"""Work that no commit of a writer tells of: COMMIT PREPARED, in the same life of the server and after a restart, and a database
that is made from one with a full queue."""
import time

from pg import Session, fresh_database, restart_server, until
from rows import preloaded, settings

WAITS = "SELECT count(*) FROM t WHERE embedding IS NULL"
WORKERS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker' AND datname = 'clip_prepared'"


def served(session, seconds=5):
    start = time.monotonic()
    until(lambda: session.one(WAITS) == "0", 30)
    spent = time.monotonic() - start
    assert spent < seconds, f"{spent:.1f} s"
    return spent


preloaded(max_prepared_transactions=5)
try:
    db = fresh_database("clip_prepared")
    with Session(db) as session:
        session.run("CREATE TABLE t (id int PRIMARY KEY, title text, embedding vector)")
        session.run("SELECT clip_attach('t', text_column => 'title', mode => 'async')")
        for i in range(3):
            session.run(f"BEGIN; INSERT INTO t VALUES ({i}, 'text {i}'); PREPARE TRANSACTION 'p{i}'")
        until(lambda: session.one(WORKERS) == "0")
        session.run("COMMIT PREPARED 'p0'")
        print(f"embedded {served(session):.1f} s after COMMIT PREPARED")
        session.run("ROLLBACK PREPARED 'p1'")
    restart_server()
    with Session(db) as session:
        until(lambda: session.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip launcher'") == "1")
        until(lambda: all(session.one(WORKERS) == "0" and not time.sleep(0.2) for _ in range(5)))
        session.run("COMMIT PREPARED 'p2'")
        print(f"embedded {served(session):.1f} s after COMMIT PREPARED, with a restart in between")
        # nobody works on the rows of the template
        session.run("ALTER SYSTEM SET clip.workers = 0")
        session.run("SELECT pg_reload_conf()")
        until(lambda: session.one(WORKERS) == "0")
        session.run("INSERT INTO t SELECT i, 'text ' || i FROM generate_series(100, 199) i")
    with Session() as admin:
        for strategy in ("wal_log", "file_copy"):
            admin.run(f"CREATE DATABASE clip_prepared_{strategy} TEMPLATE {db} STRATEGY {strategy}")
        admin.run("ALTER SYSTEM SET clip.workers = 1")
        admin.run("SELECT pg_reload_conf()")
        for name in ("clip_prepared", "clip_prepared_wal_log", "clip_prepared_file_copy"):
            with Session(name) as session:
                served(session, 10)
        # while workers are there to begin with; the template is left as it is
        admin.run(f"ALTER DATABASE {db} WITH IS_TEMPLATE true")
        until(lambda: admin.one(WORKERS) == "0")
        with Session(db) as session:
            session.run("UPDATE t SET embedding = NULL")
        admin.run(f"CREATE DATABASE clip_prepared_late TEMPLATE {db}")
        with Session("clip_prepared_late") as session:
            print(f"embedded {served(session):.1f} s after CREATE DATABASE ... TEMPLATE")
        with Session(db) as session:
            assert session.one(WAITS) != "0"
        admin.run(f"ALTER DATABASE {db} WITH IS_TEMPLATE false")
        for name in ("late", "wal_log", "file_copy"):
            admin.run(f"DROP DATABASE clip_prepared_{name}")
finally:
    settings(shared_preload_libraries=None, max_prepared_transactions=None, clip__workers=None)
    restart_server()

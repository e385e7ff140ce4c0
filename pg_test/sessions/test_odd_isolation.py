#!/usr/bin/env python3
"""Databases whose defaults are others: isolation levels, read only, timeouts, a search_path; workers and clip_drain work as
everywhere, beside writers who change what they work on."""
import os
import threading

from pg import Session, SqlError, fresh_database, restart_server, until
from rows import no_workers, preloaded, settings

LOG = os.path.join(os.environ["PGHOST"], "server.log")
DEFAULTS = [
    {"default_transaction_isolation": "serializable"},
    {"default_transaction_isolation": "repeatable read"},
    {"default_transaction_read_only": "on"},
    {"statement_timeout": "1ms", "lock_timeout": "1ms", "idle_in_transaction_session_timeout": "1ms", "search_path": "nowhere"},
]
preloaded(clip__workers=2)
try:
    db = fresh_database("clip_odd")
    with Session(db) as session:
        session.run("CREATE TABLE t (id serial PRIMARY KEY, title text, n int, embedding vector)")
        session.run("SELECT clip_attach('t', text_column => 'title', mode => 'async')")
    with open(LOG, errors="replace") as log:
        log.seek(0, 2)
        at = log.tell()
    for defaults in DEFAULTS:
        with Session() as admin:
            until(lambda: admin.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'") == "0")
        with Session() as admin:
            admin.run(f"ALTER DATABASE {db} RESET ALL")
            for name, value in defaults.items():
                admin.run(f"ALTER DATABASE {db} SET {name} = '{value}'")
        stop = threading.Event()

        def write():
            with Session(db) as session:
                session.run("SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; "
                            "SET default_transaction_read_only = off; SET search_path = public")
                i = 0
                while not stop.is_set():
                    i += 1
                    stop.wait(0.02)
                    try:
                        session.run(f"INSERT INTO t (title) SELECT 'text {i} ' || j FROM generate_series(1, 10) j")
                        session.run(f"UPDATE t SET title = 'other {i}' WHERE id % 17 = {i % 17} AND id > (SELECT max(id) - 200 FROM t)")
                    except SqlError as e:
                        assert e.sqlstate == "40001", e
        threads = [threading.Thread(target=write) for _ in range(2)]
        for thread in threads:
            thread.start()
        stop.wait(1.5)
        stop.set()
        for thread in threads:
            thread.join()
        with Session(db) as session:
            session.run("SET statement_timeout = 0; SET search_path = public")
            until(lambda: session.one("SELECT count(*) FROM clip.queue") == "0", 120)
            assert session.one("SELECT count(*) FROM t WHERE embedding IS NULL") == "0"
            print(f"{defaults}: {session.one('SELECT count(*) FROM t')} rows")
    with open(LOG, errors="replace") as log:
        log.seek(at)
        errors = [line for line in log if "pg_clip worker" in line and ("ERROR" in line or "exited with exit code" in line or "LOG:  pg_clip worker" in line)]
        assert not errors, errors

    # clip_drain in a session of such a database: writers change rows meanwhile
    with Session() as admin:
        no_workers(admin)
        admin.run(f"ALTER DATABASE {db} RESET ALL")
        admin.run(f"ALTER DATABASE {db} SET default_transaction_isolation = 'serializable'")
    with Session(db) as session, Session(db) as other:
        session.run("TRUNCATE t")
        session.run("CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END $$")
        session.run("CREATE TRIGGER wait BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.embedding IS NOT NULL) EXECUTE FUNCTION wait()")
        session.run("INSERT INTO t (title) SELECT 'text ' || i FROM generate_series(1, 200) i")
        session.send("CALL clip_drain('t')")
        other.run("SET default_transaction_isolation = 'read committed'")
        for i in range(10):
            other.run(f"UPDATE t SET title = 'again {i}' WHERE id % 10 = {i}; DELETE FROM clip.failures WHERE state = 'dead'")
        session.wait()
        for _ in range(5):
            session.run("SELECT pg_sleep(1)")
            session.run("CALL clip_drain('t')")
        assert session.one("SELECT count(*) FROM t WHERE embedding IS NULL") == "0"
finally:
    settings(shared_preload_libraries=None, clip__workers=None)
    restart_server()

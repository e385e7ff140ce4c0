#!/usr/bin/env python3
"""Many databases: after a restart those with rows that wait are served at once, and nobody connects to the others; each is
served when it enqueues, and can be dropped and copied meanwhile. PG_CLIP_DATABASES sets how many, for measuring."""
import os
import time

from pg import Session, fresh_database, restart_server, until
from rows import no_workers, preloaded, settings

DATABASES = int(os.environ.get("PG_CLIP_DATABASES", 40))
FULL = [DATABASES // 3, DATABASES - 1]
WAITS = "SELECT count(*) FROM t WHERE embedding IS NULL"
WORKERS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'"


def waits(number):
    with Session(f"clip_many_{number}") as session:
        return session.one(WAITS)


def transactions(admin):
    """Of the databases in which nothing waits: whoever connects makes some."""
    others = ", ".join(f"'clip_many_{i}'" for i in range(DATABASES) if i not in FULL)
    return admin.one(f"SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname IN ({others})")


preloaded(autovacuum="off")
template = fresh_database("clip_many_template")
try:
    with Session(template) as session:
        session.run("CREATE TABLE t (id int PRIMARY KEY, title text, embedding vector)")
        session.run("SELECT clip_attach('t', text_column => 'title', mode => 'async')")
    with Session() as admin:
        until(lambda: admin.one(WORKERS) == "0")
        start = time.monotonic()
        for i in range(DATABASES):
            # a third of them without the extension
            source = "template0" if i % 3 == 2 and i not in FULL else template
            admin.run(f"CREATE DATABASE clip_many_{i} TEMPLATE {source} STRATEGY file_copy")
        print(f"{DATABASES} databases made in {time.monotonic() - start:.0f} s")
        # every one that enqueues is served; afterwards its queue has been used and is empty
        used = [i for i in range(0, DATABASES, 3) if i not in FULL][:60]
        start = time.monotonic()
        for i in used:
            with Session(f"clip_many_{i}") as session:
                session.run("INSERT INTO t VALUES (1, 'cat')")
        until(lambda: all(waits(i) == "0" for i in used), 60)
        print(f"rows of {len(used)} databases embedded after {time.monotonic() - start:.1f} s")
        no_workers(admin)
        for i in FULL:
            with Session(f"clip_many_{i}") as session:
                session.run("INSERT INTO t SELECT i, 'text ' || i FROM generate_series(1, 200) i")
        admin.run("ALTER SYSTEM SET clip.workers = 1")
    restart_server()
    start = time.monotonic()
    with Session() as admin:
        before = transactions(admin)
        until(lambda: all(waits(i) == "0" for i in FULL), 60)
        served = time.monotonic() - start
        assert served < 10, f"served after {served:.1f} s"
        print(f"after a restart: 2 of {DATABASES} databases had full queues and were served after {served:.1f} s")
        until(lambda: admin.one(WORKERS) == "0")
        time.sleep(2)
        assert transactions(admin) == before, "somebody connected to databases in which nothing waits"
        # the next rows, of any
        for i in (0, FULL[0], FULL[1]):
            with Session(f"clip_many_{i}") as session:
                session.run("INSERT INTO t VALUES (9999, 'late')")
                start = time.monotonic()
                until(lambda: session.one(WAITS) == "0")
                assert time.monotonic() - start < 3
        # nobody is in the way of who drops or copies a database
        admin.run(f"CREATE DATABASE clip_many_copy TEMPLATE clip_many_{FULL[0]}")
        admin.run("DROP DATABASE clip_many_copy")
finally:
    with Session() as admin:
        for i in range(DATABASES):
            admin.run(f"DROP DATABASE IF EXISTS clip_many_{i} WITH (FORCE)")
    settings(shared_preload_libraries=None, clip__workers=None, autovacuum=None)
    restart_server()

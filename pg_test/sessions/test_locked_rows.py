#!/usr/bin/env python3
"""Rows that somebody holds locked are looked at before the model runs, with growing pauses and without an attempt; soon after
a short lock has ended they have their vectors."""
import time

from pg import Session, fresh_database, restart_server, until
from rows import no_workers, preloaded, settings

ROWS = 600
LOCKED = 20  # seconds
RUNS = "SELECT coalesce(sum(items), 0) FROM clip_stats WHERE kind = 'text'"
WAITS = "SELECT count(*) FROM held WHERE embedding IS NULL"

preloaded(clip__cache_entries=0)
try:
    db = fresh_database("clip_locked_rows")
    with Session(db) as session, Session(db) as holder:
        session.run("CREATE TABLE held (id int PRIMARY KEY, title text, price int, embedding vector)")
        session.run("CREATE TABLE part_of (held int REFERENCES held)")
        session.run("SELECT clip_attach('held', text_column => 'title', mode => 'async')")

        # a long lock: the model runs for what was claimed before it at most
        before = int(session.one(RUNS))
        holder.run(f"INSERT INTO held SELECT i, 'text ' || i FROM generate_series(1, {ROWS}) i; BEGIN; UPDATE held SET price = 1")
        begun = time.monotonic()
        done = ROWS - int(session.one(WAITS))
        looks = []
        while time.monotonic() - begun < LOCKED:
            looks.append(session.run("SELECT coalesce(max(pauses), 0), max(attempts), (SELECT count(*) FROM clip.failures) FROM clip.queue")[0])
            time.sleep(0.5)
        runs = int(session.one(RUNS)) - before
        assert runs - done <= 128, f"the model ran {runs} times, {done} rows were done before the lock"
        assert {look[1] for look in looks} == {"0"} and {look[2] for look in looks} == {"0"}, looks[-1]
        assert 4 <= int(looks[-1][0]) <= 16, f"looked at {looks[-1][0]} times in {LOCKED} s"
        holder.run("COMMIT")
        start = time.monotonic()
        until(lambda: session.one(WAITS) == "0", 30)
        print(f"{ROWS} rows locked for {LOCKED} s: {runs - done} runs of the model, {looks[-1][0]} looks, "
              f"embedded {time.monotonic() - start:.1f} s after the lock's end")
        until(lambda: session.one("SELECT count(*) FROM clip.queue") == "0")

        # a short one
        longest = 0
        for i in range(3):
            for number in range(1000 + 20 * i, 1020 + 20 * i):
                session.run(f"INSERT INTO held VALUES ({number}, 'early')")
                until(lambda: session.one(WAITS) == "0")
                holder.run(f"BEGIN; UPDATE held SET title = 'late' WHERE id = {number}; COMMIT; BEGIN; SELECT FROM held WHERE id = {number} FOR UPDATE")
                if session.one(WAITS) == "1":
                    break
                holder.run("COMMIT")   # a worker was there between the two transactions
            time.sleep(1.5)
            assert session.one(WAITS) == "1"
            holder.run("COMMIT")
            start = time.monotonic()
            until(lambda: session.one(WAITS) == "0")
            longest = max(longest, time.monotonic() - start)
        assert longest < 2.5, f"embedded {longest:.1f} s after a short lock"

        # a lock that lets the vector be written is none: a foreign key's check
        session.run("INSERT INTO held VALUES (2000, 'parent')")
        until(lambda: session.one(WAITS) == "0")
        holder.run("BEGIN; INSERT INTO part_of VALUES (2000)")
        session.run("UPDATE held SET title = 'changed' WHERE id = 2000")
        until(lambda: session.one(WAITS) == "0")
        holder.run("ROLLBACK")

        # a table on which an index is being built cannot be written to: the model does not run for it
        no_workers(session)
        session.run("INSERT INTO held SELECT i, 'more ' || i FROM generate_series(3001, 3100) i")
        holder.run("BEGIN; LOCK TABLE held IN SHARE MODE")
        before = session.one(RUNS)
        session.run("ALTER SYSTEM SET clip.workers = 1")
        session.run("SELECT pg_reload_conf()")
        until(lambda: session.one("SELECT min(coalesce(pauses, 0)) FROM clip.queue") not in ("0", "NULL"))
        assert session.one(RUNS) == before
        holder.run("COMMIT")
        until(lambda: session.one(WAITS) == "0")
finally:
    settings(shared_preload_libraries=None, clip__cache_entries=None, clip__workers=None)
    restart_server()
